"""Groups of a lake, by hand: hashes and vectors say what is nearly the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from indexer.disk.locks import only_maker
from indexer.errors import BadRequest, LakeDamaged, LakeError, WhereError
from service.alike.names import where_others
from service.cli.main import main
from service.doctor import examine as doctor
from service.lake import Lake
from tests.fakes import ColourEmbedder
from tests.service.lakes import Maker

PHOTO = 0xFFFF_FFFF_0000_0000  # 32 bits set, as in every photo's hash
OTHER = 0x0000_FFFF_FFFF_0000  # 32 bits away from it
FLAT = 1  # too few bits to tell pictures apart


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """1, 2 and 5 are one photo; 3 has its hash, and looks otherwise; 4 differs in 9 bits; 6 and 8
    are flat and alike, 7 is flat and not. Later rows are larger files.
    """
    maker = Maker(tmp_path / "my.lake")
    maker.add((1, 0, 0), phash=PHOTO)
    maker.add((1, 0.1, 0), phash=PHOTO ^ 0xFF)
    maker.segment()
    maker.add((0, 1, 0), phash=PHOTO)
    maker.add((1, 0, 0), phash=PHOTO ^ (0x1FF << 40))
    maker.add((1, 0, 0.1), phash=PHOTO ^ 0x0F, camera="a")
    maker.add((0, 0, 1), phash=FLAT)
    maker.add((0, 0.3, 1), phash=0)
    maker.add((0, 0.1, 1), phash=FLAT ^ 0xF0)
    return maker.open()


def passing(lake: Lake, where: str) -> list[int]:
    found: list[int] = lake.browse(where).row_ids.tolist()
    return found


def test_two_at_once_do_not_write_into_each_other_s_groups(lake: Lake) -> None:
    folder = lake.folder / "alike"
    busy = f"another process makes groups in {folder} just now; wait for it to end"
    with (
        only_maker(folder / "groups.lock", "groups"),
        pytest.raises(LakeError, match=re.escape(busy)),
    ):
        lake.make_groups()
    assert lake.groups is None
    assert lake.make_groups().groups == 2


def test_where_groups_cannot_be_stored(lake: Lake) -> None:
    (lake.folder / "alike").write_text("a file")
    with pytest.raises(LakeError, match=r"alike cannot be written .*groups cannot be stored"):
        lake.make_groups()


def test_a_where_asks_for_groups(lake: Lake) -> None:
    assert lake.groups is None
    with pytest.raises(WhereError, match="this lake has none yet; `lakesift curate groups LAKE`"):
        lake.browse("is_best")
    made = lake.make_groups()
    assert made.to_json() == {"rows": 8, "groups": 2, "copies": 3, "largest": 3, "unread": 0}
    # 5 is in the middle of its group: 4 bits from 1 and 4 from 2. It is the largest file, too.
    assert passing(lake, "group = 5") == [1, 2, 5]
    assert passing(lake, '"group" = 6 AND is_best') == [8]
    assert passing(lake, "group_size = 1") == [3, 4, 7]
    assert passing(lake, "group IS NULL") == [3, 4, 7]
    assert passing(lake, "is_best") == [3, 4, 5, 7, 8]
    assert passing(lake, "NOT is_best OR camera = 'a'") == [1, 2, 5, 6]
    assert passing(lake, "GROUP_SIZE >= 2 AND is_best = TRUE") == [5, 8]
    hits = lake.search("red", where="is_best", k=2)
    assert [hit.row_id for hit in hits] == [4, 5]
    assert [facet.rows for facet in lake.facets("is_best", ["width_px"]).facets] == [5]


def test_fewer_bits_and_a_higher_cosine_make_smaller_groups(lake: Lake) -> None:
    assert lake.make_groups(bits=7).to_json()["copies"] == 2
    # cosines with 5 are 0.995 and 0.990
    assert lake.make_groups(threshold=0.993).to_json()["copies"] == 2
    assert lake.make_groups(bits=0, threshold=1).to_json()["groups"] == 0
    for knobs, name in (({"bits": 9}, "bits"), ({"threshold": 1.5}, "threshold")):
        with pytest.raises(BadRequest, match=f"{name}: .* is n"):
            lake.make_groups(**knobs)


def test_a_damaged_file_hides_no_search(lake: Lake) -> None:
    lake.make_groups()
    lake.snapshot.groups_file.path.write_bytes(b"no groups")
    assert len(lake.search("red")) == 8
    with pytest.raises(LakeDamaged, match=r"`lakesift curate groups .*my.lake` makes it anew"):
        lake.browse("is_best")
    assert [each.ok for each in doctor._near_identical(lake)] == [False]
    lake.make_groups()
    assert passing(lake, "group_size = 2") == [6, 8]
    (finding,) = doctor._near_identical(lake)
    assert finding.ok and finding.detail.startswith("2 groups, of snapshot ")


def test_a_filter_and_max_per_may_not_ask_for_them(lake: Lake) -> None:
    from service.where.where import Where

    lake.make_groups()
    with pytest.raises(WhereError, match="is_best is not for filters: groups are made anew"):
        Where.parse("is_best", lake.snapshot.schema)
    with pytest.raises(BadRequest, match="collapse makes those one hit"):
        lake.search("red", max_per=("group", 1))


def test_group_by_is_refused_as_before(lake: Lake) -> None:
    with pytest.raises(WhereError, match="GROUP BY is not allowed"):
        lake.browse("width_px > 1 GROUP BY camera")


def test_a_column_of_ones_own_keeps_its_name(tmp_path: Path) -> None:
    maker = Maker(tmp_path / "my.lake")
    for number in range(3):
        maker.add((1, 0, number / 100), phash=PHOTO, group="x" if number else "y")
    lake = maker.open()
    lake.make_groups()
    assert passing(lake, "group = 'x'") == [2, 3]
    assert passing(lake, "lakesift_group = 1") == [1, 2, 3]
    assert lake.where_copies == "NOT is_best"


def test_a_where_of_the_others_is_by_the_names_that_groups_have() -> None:
    assert where_others(["row_id"]) == "NOT is_best"
    assert where_others(["row_id"], 5) == "group = 5 AND NOT is_best"
    both = ["row_id", "Group", "is_best"]
    assert where_others(both, 5) == "lakesift_group = 5 AND NOT lakesift_is_best"


def test_the_command_does_not_go_by_a_column_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = Maker(tmp_path / "my.lake")
    for number in range(3):
        maker.add((1, 0, number / 100), phash=PHOTO, is_best=number == 1, group=number)
    lake = maker.open()
    whole = Lake.open
    monkeypatch.setattr(
        Lake, "open", lambda folder, **options: whole(folder, ColourEmbedder(), **options)
    )
    assert main(["curate", "groups", str(lake.folder), "--tag", "copy"]) == 0
    assert "--where lakesift_is_best\n" in capsys.readouterr().out
    assert passing(lake, "is_best") == [2]
    assert passing(lake, "tag = 'copy'") == passing(lake, "NOT lakesift_is_best")
    assert len(passing(lake, "tag = 'copy'")) == 2


def test_the_command_groups_tags_and_tells(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Lake.open
    monkeypatch.setattr(
        Lake, "open", lambda folder, **options: whole(folder, ColourEmbedder(), **options)
    )
    folder = str(lake.folder)
    assert main(["curate", "groups", folder, "--tag", "copy"]) == 0
    assert capsys.readouterr().out == (
        "3 of 8 images are nearly another one: 2 groups, the largest of 3\n"
        "the best of each, and all that are like no other: --where is_best\n"
        f"tagged 3 images copy; `lakesift tag {folder} --undo --act 1` takes it back\n"
    )
    assert passing(lake, "tag = 'copy'") == [1, 2, 6]
    assert main(["curate", "groups", folder, "--bits", "0", "--threshold", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["groups"] == 0
    assert main(["curate", "groups", folder, "--bits", "12"]) == 2
    assert "bits: 12 is not from 0 to 8" in capsys.readouterr().err


def test_of_a_pair_one_is_nearly_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = Maker(tmp_path / "my.lake")
    for _ in range(2):
        maker.add((1, 0, 0), phash=PHOTO)
    lake = maker.open()
    whole = Lake.open
    monkeypatch.setattr(
        Lake, "open", lambda folder, **options: whole(folder, ColourEmbedder(), **options)
    )
    assert main(["curate", "groups", str(lake.folder)]) == 0
    assert capsys.readouterr().out.startswith(
        "1 of 2 images is nearly another one: 1 group, the largest of 2\n"
    )
