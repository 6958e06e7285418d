"""A part that does not fit the others is refused by name, before it embeds anything."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.config import ReadLimits
from indexer.disk.layout import Layout
from indexer.disk.manifest import SourceEntry
from indexer.errors import LakeDamaged, LakeError, WrongModel
from indexer.parts.agreement import read_agreement
from indexer.parts.leaving import discard_parts
from tests.fakes import ColourEmbedder
from tests.indexer.lakes import contents, index, write_photo
from tests.indexer.parts.lakes import SETTLED, commit, part, parts


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A lake of whose two parts the first one is done."""
    for number in range(8):
        write_photo(tmp_path / "photos" / f"{number}.png", (number, 99, 1))
    parts(tmp_path / "my.lake", 2, tmp_path / "photos", only=[1])
    return tmp_path / "my.lake"


def refused(lake: Path, share: str, source: Path | SourceEntry, **options: Any) -> str:
    model = options.setdefault("model", ColourEmbedder())
    before = sorted(path.name for path in (lake / "parts").iterdir())
    with pytest.raises(LakeError) as error:
        part(lake, share, source, **options)
    assert model.calls == []
    assert sorted(path.name for path in (lake / "parts").iterdir()) == before
    return str(error.value)


def test_of_another_number_of_parts(begun: Path) -> None:
    told = refused(begun, "2/3", begun.parent / "photos")
    assert told.startswith(
        f"--part: 2/3: the parts of {begun} were begun as 2; give every part the same command"
    )


def test_of_another_source(begun: Path) -> None:
    write_photo(begun.parent / "other" / "1.png", (1, 2, 3))
    told = refused(begun, "2/2", begun.parent / "other")
    photos, other = begun.parent / "photos", begun.parent / "other"
    assert f"begun with the sources {photos}, in this order, and this one with {other}; " in told


def test_with_other_options_of_the_source(begun: Path) -> None:
    source = SourceEntry(str(begun.parent / "photos"), frames="5s")
    told = refused(begun, "2/2", source)
    assert "begun with other options of " in told and "(frames: None, and now 5s)" in told


def test_with_other_settings(begun: Path) -> None:
    photos = begun.parent / "photos"
    less = replace(SETTLED, limits=ReadLimits(max_pixels=99))
    told = refused(begun, "2/2", photos, config=less)
    assert told.startswith("--max-pixels: part 2/2 has 99, the parts of ")
    assert refused(begun, "2/2", photos, exact=True).startswith("--exact: part 2/2 has True")


def test_of_another_model(begun: Path) -> None:
    with pytest.raises(WrongModel, match=r"weights 0.*weights 1.* of part 2/2; give every part"):
        part(begun, "2/2", begun.parent / "photos", model=ColourEmbedder(weights="1"))
    part(begun, "2/2", begun.parent / "photos")
    assert commit(begun).run.rows == 8


def test_of_another_model_than_the_lake(tmp_path: Path) -> None:
    write_photo(tmp_path / "photos" / "1.png", (1, 99, 1))
    index(tmp_path / "my.lake", tmp_path / "photos", SETTLED)
    with pytest.raises(WrongModel, match=r"weights 0.*weights 1"):
        part(tmp_path / "my.lake", "1/2", tmp_path / "photos", model=ColourEmbedder(weights="1"))


def test_a_lake_that_became_one_of_another_model_takes_no_parts(begun: Path) -> None:
    part(begun, "2/2", begun.parent / "photos")
    other = begun.with_name("other.lake")
    from indexer.sync import sync

    model = ColourEmbedder(weights="1")
    sync(other, lambda _: model, add=[SourceEntry(str(begun.parent / "photos"))], config=SETTLED)
    (begun / "parts").rename(other / "parts")
    before = contents(other)
    with pytest.raises(LakeError, match="is of the model colours by now, its parts are of colours"):
        commit(other)
    assert contents(other) == before and (other / "parts").is_dir()


def test_a_part_of_another_plan_that_came_all_the_same_is_refused_by_commit(begun: Path) -> None:
    """As where a disk has no hard links, and two began at once."""
    part(begun, "2/2", begun.parent / "photos")
    note = begun / "parts" / "2-of-2.json"
    fields = json.loads(note.read_text())
    note.write_text(json.dumps({"plan": "0" * 64}))
    with pytest.raises(
        LakeError, match=r"^part 2/2 of \S+ is of another plan than the other parts"
    ):
        commit(begun)
    note.write_text(json.dumps(fields))
    (begun / "parts" / "3-of-3").mkdir()
    with pytest.raises(LakeError, match=r"^part 3-of-3 of \S+ is of another plan"):
        commit(begun)


@pytest.mark.parametrize(
    "data, why",
    [
        (b"{", "Expecting property name"),
        (b"{}", "it has no checksum"),
        (b'{"of": 2, "checksum": "0"}', "its checksum does not match its content"),
    ],
)
def test_a_damaged_plan_names_the_way_out(begun: Path, data: bytes, why: str) -> None:
    (begun / "parts" / "plan.json").write_bytes(data)
    for verb in (lambda: commit(begun), lambda: part(begun, "2/2", begun.parent / "photos")):
        with pytest.raises(LakeDamaged, match=re.escape(why)) as told:
            verb()
        assert f"`lakesift commit {begun} --discard`" in str(told.value)
    discard_parts(begun)
    assert not (begun / "parts").exists()


def test_what_is_agreed_on_is_read_as_it_was_written(begun: Path) -> None:
    agreed = read_agreement(Layout(begun))
    assert agreed is not None
    assert (agreed.of, agreed.model_id, agreed.dim) == (2, "colours", 3)
    assert agreed.sources == (SourceEntry(str(begun.parent / "photos")),)
    assert agreed.settings.max_pixels == 180_000_000
    done = json.loads((begun / "parts" / "1-of-2.json").read_text())
    assert (done["part"], done["plan"]) == ("1/2", agreed.digest)
