"""Picks of a lake, by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.errors import BadRequest, WhereError
from service.cli.main import main
from service.curate.picking import pick as picking
from service.curate.picking import reach
from service.curate.picking.pick import Doubts
from service.curate.picking.reach import wilson
from service.lake import Lake
from tests.service.lakes import Maker

PHOTO = 0xFFFF_FFFF_0000_0000  # 32 bits set, as in every photo's hash


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """1 to 6 lie round the first axis, 7 to 9 round the second, 10 on the third: the nearer the
    first of each, the smaller its number.
    """
    maker = Maker(tmp_path / "my.lake")
    for place in range(6):
        maker.add((1, 0.1 * place, 0), camera="front" if place < 4 else "back", phash=PHOTO ^ place)
    maker.segment()
    for place in range(3):
        maker.add((0, 1, 0.1 * place), camera="back")
    maker.add((0, 0, 1))
    return maker.open()


def test_each_cluster_has_its_pick(lake: Lake) -> None:
    picks = lake.pick(3)
    # Among 7, 8 and 9 the one in the middle has 2.990, and 0.0995 of 10; 9 has 2.976 and 0.196.
    assert {row_id for row_id in picks.row_ids if row_id > 6} == {9, 10}
    assert (picks.rows, picks.compared, picks.labelled, picks.wanted) == (10, 10, 0, ())
    assert picks.reach is not None
    assert (picks.reach.counted, picks.reach.low) == (10, picks.reach.mean)
    assert picks.reach.within is None
    assert lake.pick(3, seed=1).row_ids == picks.row_ids  # nothing was drawn but what is compared
    # The usual one first, 6 of those round the first axis (its cosines sum to most); then 10, at
    # a right angle to it; then 9, whose cosine with 6 is 0.438 and with 10 0.196 (7: 0.447 and 0).
    assert lake.pick(3, by="diversity").row_ids == (6, 10, 9)


def doubts(*weights: float, answered: tuple[int, ...] = ()) -> Doubts:
    """Of rows 7 to 10."""
    return Doubts("f", np.array(answered, np.int64), np.arange(7, 11), np.array(weights))


def test_picks_stand_for_what_weighs(lake: Lake) -> None:
    """8 has 2.990 of itself, 7 and 9, and 0.0995 of 10; 9 has 2.976 and 0.196: 0.18 is even."""
    light = picking.pick(lake.snapshot, 1, doubts=doubts(1, 1, 1, 0.1))
    assert light.row_ids == (8,)
    assert (light.rows, light.compared, light.unsure_of) == (10, 4, "f")
    assert light.reach is not None
    assert light.reach.mean == pytest.approx((2.990 + 0.1 * 0.0995) / 3.1, abs=1e-3)
    assert light.reach.low == light.reach.mean
    assert picking.pick(lake.snapshot, 1, doubts=doubts(1, 1, 1, 0.5)).row_ids == (9,)
    # What people answered is labelled, and weighs nothing.
    after = picking.pick(lake.snapshot, 4, doubts=doubts(1, 1, 1, 0.5, answered=(8, 99)))
    assert after.labelled == 1 and set(after.row_ids) == {7, 9, 10}
    # Nothing is left to be unsure of; what a condition asks for is picked all the same.
    none = picking.pick(
        lake.snapshot, 2, doubts=doubts(0, 0, 0, 0), at_least={"camera = 'front'": 1}
    )
    assert none.reach is None and len(none.row_ids) == 2
    with pytest.raises(BadRequest, match="picked by coverage, not by diversity"):
        picking.pick(lake.snapshot, 1, by="diversity", doubts=doubts(1, 1, 1, 1))


def test_of_many_rows_those_are_drawn_that_weigh(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picking, "STAND_FOR_ALL", 1)
    drawn = [
        picking.pick(lake.snapshot, 1, doubts=doubts(1, 0, 0, 3), seed=seed).row_ids
        for seed in range(400)
    ]
    # 10 in three of four draws; the standard error is 0.022.
    assert set(drawn) == {(7,), (10,)}
    assert drawn.count((10,)) / 400 == pytest.approx(0.75, abs=0.07)


def test_what_is_labelled_counts_as_picked(lake: Lake) -> None:
    lake.tag("done", [2, 10])
    picks = lake.pick(1, labelled="tag = 'done'")
    assert picks.row_ids == (8,)
    assert picks.labelled == 2
    assert set(lake.pick(20, labelled="tag = 'done'").row_ids) == {1, 3, 4, 5, 6, 7, 8, 9}


def test_picks_stand_for_what_passes_alone(lake: Lake) -> None:
    picks = lake.pick(2, where="camera = 'back'", within=0.99)
    assert set(picks.row_ids) <= {5, 6, 7, 8, 9}
    assert picks.rows == 5
    # 5 and 6 are 4.8 degrees apart, whose cosine is 0.9964; 7 and 8, and 8 and 9, 5.7 degrees
    # (0.995), 7 and 9 11.3 (0.98).
    assert picks.reach is not None and picks.reach.within is not None
    assert picks.reach.within.share == 1
    # 8, and 5 or 6, whose cosine is 0.99655; 8's are 0.99504 with 7 and 0.99523 with 9. Vectors are
    # kept in half precision, and some are a 5,000th too long.
    assert picks.reach.mean == pytest.approx((2 + 0.99655 + 0.99504 + 0.99523) / 5, abs=3e-4)
    assert lake.pick(5, where="camera IS NULL").row_ids == (10,)


def test_limits(lake: Lake) -> None:
    # 10 has no camera, and is not limited.
    picks = lake.pick(9, at_most={"camera": 1})
    assert len(picks.row_ids) == 3 and 10 in picks.row_ids
    picks = lake.pick(4, at_least={"camera = 'front'": 0.6, "row_id >= 9": 1})
    assert [each.to_json() for each in picks.wanted] == [
        {"where": "camera = 'front'", "count": 3, "picked": 3},  # 2.4 of them, rounded up
        {"where": "row_id >= 9", "count": 1, "picked": 1},
    ]
    # 3.0000000000000004 in binary; it is three.
    assert lake.pick(10, at_least={"row_id > 1": 0.3}).wanted[0].count == 3
    short = lake.pick(4, at_least={"row_id > 100": 2})
    assert (len(short.row_ids), short.wanted[0].picked) == (4, 0)
    with pytest.raises(BadRequest, match=r"at_most: this lake has no groups .* makes them"):
        lake.pick(3, at_most={"group": 1})
    made = lake.make_groups()
    # 1 to 6: hashes 3 bits apart at most; 7 to 9 are flat, and their vectors near.
    assert (made.groups, made.largest) == (2, 6)
    assert len([each for each in lake.pick(10, at_most={"group": 1}).row_ids if each <= 6]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": 0}, "n: 0 is no number of picks; it is 1 to 20,000"),
        ({"n": 20_001}, "n: 20001 is no number of picks"),
        ({"n": 1, "by": "luck"}, "by: images are picked by coverage or diversity, not by luck"),
        ({"n": 1, "within": 1.5}, "within: 1.5 is no cosine, which is from -1 to 1"),
        ({"n": 1, "within": float("nan")}, "within: nan is no cosine"),
        ({"n": 1, "seed": -1}, "seed: -1 is no seed"),
        ({"n": 1, "at_most": {"site": 1}}, "at_most: there is no column site; there are group,"),
        ({"n": 1, "at_most": {"place": 1}}, "at_most: place holds struct<"),
        ({"n": 1, "at_most": {"camera": 0}}, "at_most: 0 of each camera leaves none"),
        (
            {"n": 4, "at_least": {"is_best": 5}},
            "at_least: 5 of 4 where is_best: it is a number from",
        ),
        ({"n": 4, "at_least": {"row_id > 1": 1.5}}, "at_least: 1.5 of 4 where row_id > 1"),
        ({"n": 4, "at_least": {"row_id > 1": float("nan")}}, "at_least: nan of 4 where row_id > 1"),
    ],
)
def test_what_cannot_be_asked(lake: Lake, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(said)):
        lake.pick(**arguments)


def test_a_where_that_is_not_understood(lake: Lake) -> None:
    with pytest.raises(WhereError):
        lake.pick(1, where="cameras = 1")
    with pytest.raises(WhereError):
        lake.pick(1, labelled="cameras = 1")
    with pytest.raises(WhereError):
        lake.pick(1, at_least={"cameras = 1": 1})


@pytest.mark.parametrize("by", ["coverage", "diversity"])
def test_where_there_is_nothing_to_pick(lake: Lake, tmp_path: Path, by: str) -> None:
    nothing = lake.pick(5, by=by, where="camera = 'none'", at_most={"camera": 1})
    assert (nothing.row_ids, nothing.rows, nothing.reach) == ((), 0, None)
    assert Maker(tmp_path / "empty.lake").open().pick(5, by=by, within=0.9).row_ids == ()
    assert lake.pick(5, by=by, labelled="row_id > 0").row_ids == ()


def test_of_a_large_lake_some_stand_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, random = Maker(tmp_path / "my.lake"), np.random.default_rng(0)
    for number in range(600):
        maker.add(random.standard_normal(3), camera="rare" if number % 100 == 7 else "usual")
    lake = maker.open()
    monkeypatch.setattr(picking, "STAND_FOR_ALL", 100)
    monkeypatch.setattr(reach, "COUNTED_ROWS", 300)
    picks = lake.pick(20, at_least={"camera = 'rare'": 6})
    assert (picks.rows, picks.compared) == (600, 100)
    # All six were looked for in the whole lake.
    assert picks.wanted[0].picked == 6
    assert lake.pick(20, at_least={"camera = 'rare'": 6}) == picks
    assert lake.pick(20, seed=1).row_ids != lake.pick(20).row_ids
    reached = lake.pick(20, within=0.98).reach
    assert reached is not None and reached.within is not None and reached.counted == 300
    assert reached.random_mean < reached.low < reached.mean < reached.high
    assert reached.within.low < reached.within.share < reached.within.high
    assert reached.within.random_share < reached.within.share
    assert reached.random_needed is not None and reached.random_needed > 20


def test_wilsons_interval() -> None:
    """For 10 of 100: (0.1 + 0.0192073 -+ 1.959964 sqrt(0.0009 + 0.00009604)) / 1.0384146."""
    assert wilson(0.1, 100) == pytest.approx((0.05523, 0.17437), abs=2e-5)
    assert wilson(0, 10) == pytest.approx((0, 0.27754), abs=2e-5)
    assert wilson(1, 10) == pytest.approx((0.72247, 1), abs=2e-5)


def test_the_command(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    at = str(lake.folder)
    assert main(["curate", "pick", at, "-n", "2", "--by", "diversity", "--within", "0.99"]) == 0
    said = capsys.readouterr()
    lines = [line.split("\t") for line in said.out.splitlines()]
    assert [int(row_id) for row_id, _ in lines] == list(lake.pick(2, by="diversity").row_ids)
    assert lines[1] == ["10", "/photos/10.png"]
    assert "2 of 10 images picked by diversity\n" in said.err
    assert "mean cosine of an image to its nearest pick: 0." in said.err
    assert "of the images have one within cosine 0.99; with as many picked at random " in said.err

    call = [
        "curate",
        "pick",
        at,
        "-n",
        "9",
        "--at-most",
        "1",
        "camera",
        "--at-least",
        "50%",
        "row_id > 8",
    ]
    assert main([*call, "--tag", "label"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "9 were asked for: no more keep to what was asked\n" in said.err
    assert "at least 5 were to pass row_id > 8; 2 do, and no more could be had\n" in said.err
    assert f"tagged 3 images label; `lakesift tag {at} --undo --act 1` takes it back\n" in said.err
    assert lake.tags() == {"label": 3}

    assert main(["curate", "pick", at, "-n", "3", "--labelled", "tag = 'label'", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["labelled"] == 3 and len(document["row_ids"]) == 3
    assert document["reach"]["counted"] == 10

    assert main(["curate", "pick", at, "-n", "1", "--labelled", "tag = 'lable'"]) == 0
    assert (
        "no image passes --labelled tag = 'lable', so none counted as picked before\n"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--at-most", "camera", "1"],
            "--at-most: 'camera' is not a whole number; give a number and a column",
        ),
        (
            ["--at-least", "few", "row_id > 1"],
            "--at-least: 'few' is not a whole number; give a number or a share",
        ),
        (["--at-least", "200%", "row_id > 1"], "2.0 of 3 where row_id > 1"),
        (["--tag", "a/b"], "a/b"),
        (
            ["--at-most", "1", "camera", "--at-most", "2", "camera"],
            "--at-most: it says 2 of camera, and another number, too",
        ),
    ],
)
def test_flags_that_are_not_understood(
    lake: Lake, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    assert main(["curate", "pick", str(lake.folder), "-n", "3", *flags]) != 0
    told = capsys.readouterr()
    assert said in told.err and not told.out
    assert lake.tags() == {}
