"""Images that stand alone: what is planted is found, copies hide none, usual ones are not told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.errors import BadRequest, WhereError
from service.cli.main import main
from service.curate.strange import strange as module
from service.curate.strange.strange import StrangeImages, strange
from service.lake import Lake
from tests.service.lakes import Maker

DIM = 3
AXES = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabulary is the three colours."""
    monkeypatch.setattr(module, "VOCABULARY", tuple(AXES))


def round_red(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    return np.array(AXES["red"]) + 0.1 * random.normal(size=(count, DIM))


def lake_of(folder: Path, usual: int, *more: tuple[str, int], seed: int = 0) -> Lake:
    """So many images round red, then so many copies of each colour; site tells them apart."""
    maker, random = Maker(folder / "my.lake"), np.random.default_rng(seed)
    for vector in round_red(random, usual):
        maker.add(vector, site="usual")
    for colour, copies in more:
        for _ in range(copies):
            maker.add(AXES[colour], site=colour)
    return maker.open()


def looked(lake: Lake, n: int = 100, **options: object) -> StrangeImages:
    wanted = {"where": None, "labelled": None, **options}
    return strange(
        lake.snapshot,
        n,
        embed=lambda texts: np.array([AXES[text] for text in texts], np.float32),
        **wanted,  # type: ignore[arg-type]  # as they are said
    )


def test_what_stands_alone_is_found_with_its_copies_and_named(tmp_path: Path) -> None:
    """Rows 401 to 404 are four copies of blue, 405 is green; their tenth nearest are red."""
    lake = lake_of(tmp_path, 400, ("blue", 4), ("green", 1))
    found = looked(lake)
    assert (found.rows, found.compared_with, found.labelled) == (405, 405, None)
    first = {each.row_id: each for each in found.images[:5]}
    assert set(first) == {401, 402, 403, 404, 405}
    assert found.found == len(found.images) <= 6
    groups = [(each.words, set(each.row_ids)) for each in found.groups[:2]]
    assert sorted(groups) == [("blue", {401, 402, 403, 404}), ("green", {405})]
    blue = first[401]
    assert found.groups[blue.group - 1].words == "blue"
    assert blue.nearest in {402, 403, 404} and blue.nearest_cosine == pytest.approx(1.0)
    # The cosine of the tenth nearest, which is the seventh of the reds, worked out here.
    reds = round_red(np.random.default_rng(0), 400)
    reds /= np.linalg.norm(reds, axis=1, keepdims=True)
    assert blue.cosine == pytest.approx(np.sort(reds[:, 2])[-7], abs=2e-3)
    assert all(each.p <= each.q <= 0.05 for each in found.images)
    assert looked(lake).to_json() == found.to_json()
    assert found.usual > 0.97
    few = looked(lake, 2)
    assert (len(few.images), few.found) == (2, found.found)


def test_a_lake_in_which_nothing_stands_alone_says_so(tmp_path: Path) -> None:
    told = [looked(lake_of(tmp_path / str(seed), 200, seed=seed)).found for seed in range(10)]
    assert sum(each > 0 for each in told) <= 2


def test_ten_that_are_alike_are_no_strange_ones(tmp_path: Path) -> None:
    """Eleven copies have ten others each, of which the tenth is one, too."""
    assert looked(lake_of(tmp_path / "ten", 900, ("blue", 10))).found >= 10
    found = looked(lake_of(tmp_path / "eleven", 900, ("blue", 11)))
    assert not {each.row_id for each in found.images} & set(range(901, 912))


def test_where_looks_at_some_alone(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, 300, ("blue", 150), ("green", 1))
    assert [each.row_id for each in looked(lake).images] == [451]
    green = looked(lake, where="site = 'usual' OR site = 'green'")
    assert ([each.row_id for each in green.images], green.rows) == ([451], 301)
    assert looked(lake, where="site = 'usual'").found == 0


def test_what_is_far_from_all_labelled(tmp_path: Path) -> None:
    """Six hundred blues are no strange ones, and yet far from what is labelled; of that none is
    told, and of the other reds hardly any.
    """
    lake = lake_of(tmp_path, 1_000, ("blue", 600))
    assert not {each.row_id for each in looked(lake).images} & set(range(1_001, 1_601))
    found = looked(lake, 1_000, labelled="row_id <= 500")
    assert (found.rows, found.labelled, found.compared_with) == (1_100, 500, 500)
    told = {each.row_id for each in found.images}
    assert set(range(1_001, 1_601)) <= told
    # A share of 0.05 of what is told, at most, is expected to be there by chance.
    assert min(told) > 500 and len(told) <= 632
    assert (found.groups[0].words, len(found.groups[0].row_ids)) == ("blue", 600)
    assert all(each.nearest <= 500 for each in found.images)
    # What is usual: how near the labelled ones are to the nearest of each other.
    reds = round_red(np.random.default_rng(0), 1_000)[:500]
    reds /= np.linalg.norm(reds, axis=1, keepdims=True)
    cosines = reds @ reds.T
    np.fill_diagonal(cosines, -1)
    assert found.usual == pytest.approx(np.median(cosines.max(axis=1)), abs=1e-3)
    with pytest.raises(BadRequest, match="99 images pass row_id < 100; they are too few"):
        looked(lake, labelled="row_id < 100")
    with pytest.raises(BadRequest, match="0 images are too few"):
        looked(lake, where="row_id < 9", labelled="row_id <= 500")


def test_a_large_lake_is_compared_with_some_drawn_at_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFERENCE", 150)
    monkeypatch.setattr(module, "READ_ROWS", 64)
    lake = lake_of(tmp_path, 400, ("blue", 2))
    found = looked(lake)
    assert (found.rows, found.compared_with) == (402, 150)
    assert {401, 402} <= {each.row_id for each in found.images}
    assert looked(lake, seed=1).to_json() != found.to_json()


def test_what_cannot_be_looked_at_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = lake_of(tmp_path, 120)
    with pytest.raises(BadRequest, match="99 images are too few to tell"):
        looked(lake, where="row_id <= 99")
    with pytest.raises(BadRequest, match="0 is no number of images"):
        looked(lake, 0)
    with pytest.raises(BadRequest, match="0 is no share"):
        looked(lake, q=0)
    with pytest.raises(BadRequest, match="no seed"):
        looked(lake, seed=-1)
    with pytest.raises(WhereError):
        looked(lake, where="sight = 'a'")
    assert main(["curate", "strange", str(lake.folder), "--where", "row_id < 3"]) == 2
    assert "where: 2 images are too few" in capsys.readouterr().err


def test_the_command_tells_lists_and_tags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_of(tmp_path, 400, ("blue", 4))
    model = lake.embedder
    monkeypatch.setattr("service.lake.load_model_of", lambda *_, **__: model)
    expected = lake.strange()
    command = ["curate", "strange", str(lake.folder)]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == [
        str(each.row_id) for each in expected.images
    ]
    assert out.splitlines()[0].endswith("/photos/401.png")
    assert f"{expected.found} of 404 images are far from the others (q at most 0.05" in err
    assert "  1. like blue: 4 images, cosine " in err and "; rows 401, 402, 403, 404" in err
    assert main([*command, "--tag", "odd", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document.pop("tagged")["rows"] == expected.found
    assert document == expected.to_json()
    with Lake.open(lake.folder, model) as again:
        hits = again.search("red", k=404, where="tag = 'odd'")
        assert {hit.row_id for hit in hits} == {each.row_id for each in expected.images}
    assert main([*command, "--where", "site = 'usual'", "--q", "1e-9"]) == 0
    assert "none of 400 images is strange" in capsys.readouterr().err
