"""An audit that follows the lake, on coloured images of which some come and some go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import BadRequest, LakeDamaged
from service.lake import Lake
from service.relevance import Filter, Filters, Target
from service.relevance.promise import audit, following, replanning
from service.relevance.promise.audit import Audit, Design
from service.relevance.promise.following import Following
from service.relevance.scoring.scorer import Scored
from tests.lakes import Desk

REDS, OTHERS = 40, 260
SEED = "5" * 64  # what an audit draws is the same in every run


def colour(number: int) -> tuple[int, int, int]:
    if number < REDS:
        return 255, number * 2, 0
    return 100 - number % 100, number % 200, 160 + number % 95


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of 300 images, 40 of them reddish, whose audit holds and was applied."""
    desk = Desk(tmp_path_factory.mktemp("followed"))
    for number in range(REDS + OTHERS):
        desk.add(f"{number:03d}.png", colour(number))
    desk.index()
    with pytest.MonkeyPatch.context() as patched, Lake.open(desk.lake, desk.model) as lake:
        patched.setattr(audit, "fresh_seed", lambda: SEED)
        filter = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.8, None, 0.9))
        answer(filter, [row.row_id for row in filter.next(40).rows])
        while rows := filter.next(20, "audit").rows:
            answer(filter, [row.row_id for row in rows])
        assert not filter.apply().refused
    return desk.root


@pytest.fixture
def desk(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The photos, as they were again afterwards, and a copy of the lake."""
    monkeypatch.setattr(following, "fresh_seed", lambda: SEED)
    shutil.copytree(begun / "my.lake", tmp_path / "my.lake")
    yield _Copy(begun, tmp_path)
    for path in (begun / "photos").glob("new*"):
        path.unlink()
    for number in range(REDS + OTHERS):
        Desk(begun).add(f"{number:03d}.png", colour(number))


class _Copy(Desk):
    def __init__(self, root: Path, place: Path) -> None:
        super().__init__(root)
        self.place = place

    @property
    def lake(self) -> Path:
        return self.place / "my.lake"


def is_red(row_id: int) -> bool:
    """By their numbers: the images that there were first, and of those that came the first four."""
    return row_id <= REDS or REDS + OTHERS < row_id <= REDS + OTHERS + 4


def answer(filter: Filter, rows: list[int]) -> None:
    filter.label([{"row_id": row, "label": "yes" if is_red(row) else "no"} for row in rows])


def grow(desk: Desk, gone: tuple[int, ...] = ()) -> None:
    """30 images come, four of them reddish; some go."""
    for number in range(30):
        desk.add(f"new{number:02d}.png", colour(number if number < 4 else 60 + number), size=(5, 5))
    for number in gone:
        (desk.photos / f"{number:03d}.png").unlink()
    desk.sync()


def finish(filter: Filter) -> int:
    """Answer what is asked, one by one; how many that were."""
    asked = 0
    while rows := filter.next(1, "audit").rows:
        answer(filter, [row.row_id for row in rows])
        asked += 1
    return asked


def test_images_that_came_are_decided_with_the_old_answers(desk: Desk) -> None:
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        before = filter.definition
        old = filter.progress().audit
        assert old is not None
        assert filter.summary().applied.undecided == 30  # type: ignore[union-attr]
        rows = [row.row_id for row in filter.next(30, "audit", follow=True).rows]
        assert rows
        assert min(rows) > REDS + OTHERS  # it draws from those that came alone
        now = filter.definition
        assert (now.version, now.audit, now.pieces) == (before.version + 1, 1, 1)
        assert (now.reason, now.scorer) == ("audit 1 follows the lake", before.scorer)
        begun = filter.progress().audit
        assert begun is not None
        assert (begun.number, begun.answered, begun.rows) == (1, old.answered, 330)
        # Not yet at its old line: some of what came may be missed there.
        assert old.drops is not None
        assert begun.drops is None or begun.drops < old.drops
        assert begun.follows is not None
        assert begun.follows.to_json() == {"came": 30, "gone": 0, "labels_before": old.answered}
        # A person who asks again goes on; the order is the one that was written down.
        assert [row.row_id for row in filter.next(30, "audit", follow=True).rows] == rows
        assert filter.definition == now
        few = finish(filter)
        assert 0 < few < 30 < old.answered
        applied = filter.apply()
        assert not applied.refused
        assert applied.measured["follows"] == {
            "came": 30,
            "gone": 0,
            "labels_before": old.answered,
        }
        assert (applied.rows, applied.measured["audit_labels"]) == (330, old.answered + few)
        assert applied.promise.recall == 0.8
        kept = set(filter.decided("keep")["row_id"].to_pylist())
        assert sum(is_red(row) for row in kept) >= 0.8 * (REDS + 4)
        summary = filter.summary().applied
        assert summary is not None
        assert summary.undecided == 0
        # At its old line.
        assert applied.thresholds == filter.decisions.version(before.version).thresholds


def test_what_was_promised_before_is_still_there(desk: Desk) -> None:
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        version = filter.decisions.last().version
        ledger = filter.decisions.ledger_path(version).read_bytes()
        filter.next(1, "audit", follow=True)
        assert filter.decisions.last().version == version  # it decides until the other is applied
        finish(filter)
        filter.apply()
        assert filter.decisions.ledger_path(version).read_bytes() == ledger
        assert filter.decisions.version(version).pieces == 0


def test_rows_that_went_count_at_their_worst(desk: Desk) -> None:
    """With forty of the others gone the promise still follows; with reds that people found it may
    be gone. What is told is of the rows that are there.
    """
    grow(desk, gone=(0, 1, *range(260, 300)))
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        rows = filter.next(30, "audit", follow=True).rows
        found = filter._auditing.of(filter.definition)
        assert isinstance(found, Following)
        assert found.facts == {"came": 30, "gone": 42, "labels_before": found.drawn_before}
        assert len(found.row_ids) == 300 + 30 - 42
        assert not set(found.row_ids.tolist()) & {1, 2, *range(261, 301)}
        assert all(row.row_id > 300 for row in rows)
        finish(filter)
        applied = filter.apply()
        if not applied.refused:
            assert applied.rows == 288
        filter.report_page()  # draws of rows that went do not stand in its way


def test_an_answer_of_a_row_that_went_can_be_taken_back(desk: Desk) -> None:
    grow(desk, gone=tuple(range(100, 300)))
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        filter.next(1, "audit", follow=True)
        found = filter._auditing.of(filter.definition)
        assert isinstance(found, Following)
        said = filter.labels.said()
        gone = sorted(found.gone)
        assert gone
        assert found.prefix(said).count(-1) == 0
        without = {row: label for row, label in said.items() if row != gone[0]}
        assert len(found.prefix(without)) == len(found.prefix(said))  # unknown, and nobody is asked
        assert found.prefix(without).count(-1) == 1
        assert gone[0] not in found.pending(without, 300)


def test_undo_and_the_same_answer_again_give_the_same(desk: Desk) -> None:
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        filter.next(1, "audit", follow=True)
        finish(filter)
        before = filter.standing()
        row = filter.labels.undo().undone.row_id  # type: ignore[union-attr]
        assert next(each.row_id for each in filter.next(5, "audit").rows) == row
        answer(filter, [row])
        after = filter.standing()
        assert before is not None
        assert after is not None
        assert before.evidence[0].best.tolist() == after.evidence[0].best.tolist()


def test_it_follows_again_and_again(desk: Desk) -> None:
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        filter.next(1, "audit", follow=True)
        finish(filter)
        assert not filter.apply().refused
    for number in range(10):
        desk.add(f"newer{number}.png", colour(150 + number), size=(6, 6))
    desk.sync()
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        filter.next(1, "audit", follow=True)
        definition = filter.definition
        assert definition.pieces == 2
        found = filter._auditing.of(definition)
        assert isinstance(found, Following)
        assert [len(each) for each in (found.parts, found.design.counts)] == [2, 2]
        assert int(found.is_new.sum()) == 10
        finish(filter)
        standing = filter.standing()
        assert standing is not None
        # Read anew from the disk it is the same.
        again = Filters(lake).open("reds").standing()
        assert again is not None
        assert again.evidence[0].best.tolist() == standing.evidence[0].best.tolist()
        # Another audit ends it all, and is the second of the filter.
        filter.next(1, "audit", again=True)
        assert (filter.definition.audit, filter.definition.pieces) == (2, 0)


def test_its_version_is_of_format_3(desk: Desk) -> None:
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        old = filter.definition.to_document()
        assert old["format"] == 1
        assert "pieces" not in old
        filter.next(1, "audit", follow=True)
        new = filter.definition.to_document()
        assert (new["format"], new["pieces"]) == (3, 1)
        folder = desk.lake / "filters" / "reds"
        # An audit's own design is written as ever, so that older versions read it.
        assert "piece" not in json.loads((folder / "audits" / "000001.json").read_bytes())
        design = json.loads((folder / "audits" / "000001-0001.json").read_bytes())
        assert (design["piece"], len(design["counts"])) == (1, 1)
        checks = filter.definition.checks
        assert checks is not None
        assert set(checks.files) == {
            "audits/000001.json",
            "audits/000001.parquet",
            "audits/000001-0001.json",
            "audits/000001-0001.parquet",
        }
        assert filter.definition == Filters(lake).open("reds").definition


@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_a_damaged_piece_is_told(desk: Desk, ending: str) -> None:
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        Filters(lake).open("reds").next(1, "audit", follow=True)
        path = desk.lake / "filters" / "reds" / "audits" / f"000001-0001.{ending}"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(LakeDamaged, match="000001-0001"):
            Filters(lake).open("reds").next(1)


def test_a_stop_before_the_version_leaves_what_was(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The piece is written first: until a version names it, nobody was shown its rows."""
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        before = filter.definition

        def stop(definition: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(filter._store, "add", stop)
            with pytest.raises(KeyboardInterrupt):
                filter.next(1, "audit", follow=True)
        assert (desk.lake / "filters" / "reds" / "audits" / "000001-0001.json").exists()
        again = Filters(lake).open("reds")
        assert again.definition == before
        assert again.progress().audit.holds  # type: ignore[union-attr]
        assert again.next(1, "audit", follow=True).rows
        assert again.definition.pieces == 1


def test_nothing_came(desk: Desk) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        before = filter.definition
        assert filter.next(1, "audit", follow=True).rows == []
        assert filter.definition == before


def test_what_cannot_follow_is_told(desk: Desk) -> None:
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        filters = Filters(lake)
        filter = filters.open("reds")
        for options, sentence in (
            ({"again": True}, "leave again, budget and assume out"),
            ({"budget": 5}, "leave again, budget and assume out"),
            ({"assume": "tail"}, "leave again, budget and assume out"),
        ):
            with pytest.raises(BadRequest, match=sentence):
                filter.next(1, "audit", follow=True, **options)
        with pytest.raises(BadRequest, match="no audit that could follow"):
            filter.next(1, "teach", follow=True)
        filter.next(1, "audit", follow=True)
        with pytest.raises(
            BadRequest, match="follows the lake, where nothing is assumed of the tail"
        ):
            filter.apply(assume="tail")
        both = filters.create("both", keep_texts=["red"], target=Target(0.5, 0.5, 0.9))
        with pytest.raises(BadRequest, match="no audit that could follow"):
            both.next(1, follow=True)
        both.next(1, "audit")
        with pytest.raises(BadRequest, match="since it promises precision"):
            both.next(1, follow=True)
        tail = filters.create("tail", keep_texts=["red"], target=Target(0.5, None, 0.9))
        tail.next(1, "audit", assume="tail")
        with pytest.raises(BadRequest, match="since it assumes the tail"):
            tail.next(1, follow=True)
        plain = filters.create("plain", keep_texts=["red"], target=Target(0.5, None, 0.9))
        plain.next(1, "audit")
    desk.add("newest.png", colour(1), size=(7, 7))
    desk.sync()
    with (
        Lake.open(desk.lake, desk.model) as lake,
        pytest.raises(BadRequest, match="shows no promise that could follow"),
    ):
        Filters(lake).open("plain").next(1, follow=True)


def test_an_estimate_says_what_bounds_and_what_does_not(desk: Desk) -> None:
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("reds")
        before = filter.plan()
        filter.next(1, "audit", follow=True)
        # As before it followed: the audit's own bounds, and those that came may all be relevant.
        after = filter.plan()
        assert (after.at_least, after.at_most) == (before.at_least, before.at_most)
        with pytest.raises(BadRequest, match="bounds no number of all"):
            filter.estimate()


def test_an_audit_whose_draws_were_shared_out_anew_is_followed_with_each_draw_s_shares(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "fresh_seed", lambda: SEED)
    monkeypatch.setattr(replanning, "GAIN", -1.0)  # at each look
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).create("more", keep_texts=["red"], target=Target(0.8, None, 0.9))
        answer(filter, [row.row_id for row in filter.next(40).rows])
        rows = [row.row_id for row in filter.next(20, "audit", budget=100).rows]
        while rows:
            answer(filter, rows)
            rows = [row.row_id for row in filter.next(20, "audit").rows]
        standing = filter.standing()
        assert standing is not None and standing.holds
        first, said = standing.audit, filter.labels.said()
        assert first.design.looks == (20, 33, 50, 66)
        assert (len(first.later), len(first.prefix(said))) == (4, 100)
    grow(desk)
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("more")
        drawn = [row.row_id for row in filter.next(30, "audit", follow=True).rows]
        assert min(drawn) > REDS + OTHERS
        standing = filter.standing()
        assert standing is not None and isinstance(standing.audit, Following)
        assert standing.audit.design.looks == ()
        old, new = (each for _, each in standing.audit.with_all(standing.audit.prefix(said)))
        assert old.shares.tolist() == first.shares_of(100).tolist()
        assert old.shares.shape == (100, len(first.sizes))
        assert len({tuple(shares) for shares in old.shares.tolist()}) == 5
        assert new.shares.shape == (len(first.sizes),)
        finish(filter)
        assert not filter.apply().refused


def test_a_skipped_image_that_went_counts_at_its_worst() -> None:
    """By hand, recall 0.9: above the line two yes and a skip take 0.1 each, below it a yes gives
    0.9 back, and a skip there might have been a no.
    """
    target = Target(0.9, None, 0.9)
    rows, scores = np.arange(1, 10), np.repeat([0.9, 0.1], [4, 5]).astype(np.float32)
    design = Design(1, SEED, 1, target, (0.9,), (4, 5), (0.5, 0.5), None, None, 1)
    strata = np.repeat([0, 1], [4, 5]).astype(np.int16)
    first = Audit(design, rows, scores, strata, np.zeros(9, bool))
    told = ["yes", "yes", "skip", "no", "yes", "conflict", "no", "no", "no"]
    said = dict(enumerate(told, start=1))
    after = following.begin(first, 2, Scored(rows[3:4], scores[3:4]), said, 1, np.full(2, 0.1))
    assert after.facts == {"came": 0, "gone": 8, "labels_before": 9}
    went = following._Went.of(after, after.with_all(after.prefix(said)), said)
    assert (went.unseen.tolist(), went.yes.tolist(), went.known) == ([1, 1], [2, 1], 0)
    assert went.loss(np.array([0.1, -0.9]), 0.9) == pytest.approx(3 * 0.1 - 0.9)
