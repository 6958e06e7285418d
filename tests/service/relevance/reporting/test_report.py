"""The report of a filter on coloured images; the lake is that of the tests of `Filter`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import BadRequest, NotWritten, UnreadableImage
from service.lake import Lake
from service.originals import IndexedImage
from service.relevance import Filter
from service.relevance.labels import Answer
from service.relevance.reporting.costs import Prices
from service.relevance.reporting.document import document
from service.relevance.reporting.file import check_out, write_out
from service.relevance.reporting.noise import Check, Doubles, agreed_rows, check, seen, warning
from service.relevance.reporting.summary import summary
from tests.service.relevance.test_filters import OTHERS, REDS, answer, audited, desk, is_red, lake, red_filter

__all__ = ["desk", "lake"]  # fixtures


def said(row_id: int, **labellers: str) -> Answer:
    labels = set(labellers.values())
    label = "conflict" if labels == {"yes", "no"} else labels.pop()
    return Answer(row_id, label, labellers, "audit", row_id)


def test_the_share_of_wrong_answers_follows_from_disagreement() -> None:
    """18 of 100 pairs disagree: 2 e (1 - e) = 0.18 where e = 0.1."""
    answers = {n: said(n, ann="yes", ben="no" if n <= 18 else "yes") for n in range(1, 101)}
    found = Doubles.of(answers)
    assert (found.rows, found.pairs, found.disagreeing) == (100, 100, 18)
    assert found.share_wrong == pytest.approx(0.1)
    assert agreed_rows(answers) == list(range(19, 101))
    three = Doubles.of({1: said(1, ann="yes", ben="no", cem="yes"), 2: said(2, ann="no")})
    assert (three.rows, three.pairs, three.disagreeing) == (1, 3, 2)
    assert three.share_wrong == 0.5  # more than half of the pairs: nothing is known
    assert Doubles.of({1: said(1, ann="yes")}).share_wrong is None


def test_a_warning_says_what_would_still_hold() -> None:
    fallen = Check("recall", 80, 4, 1, False, rows=4_000, rows_then=900)
    text = warning(Doubles(100, 100, 18), [fallen]) or ""
    assert "as if 10.0% of all answers were wrong" in text
    assert "4 of the 80 audit answers no below the line" in text
    assert "only at a line with 900 images below it, not 4,000" in text
    assert warning(Doubles(100, 100, 0), [Check("recall", 80, 0, 1, True, 4_000, 4_000)]) is None
    assert "cannot be known" in seen(Doubles(0, 0, 0), 1)


@pytest.fixture
def applied(lake: Lake) -> Filter:
    filter = audited(lake)
    filter.apply()
    return filter


def test_the_facts_add_up(applied: Filter) -> None:
    found = applied.report(Prices.of(2, miss_price=10, currency="EUR"))
    decided = applied.applied(applied.definition)
    images = found["images"]
    assert (images["in"], images["looked_at"], images["broken"]) == (REDS + OTHERS, REDS + OTHERS, 0)
    assert [images[name] for name in ("keep", "ask", "drop")] == [
        decided[name] for name in ("kept", "asked", "dropped")
    ]
    given = found["labels"]["given"]
    assert given == len(applied.answers()) == found["labels"]["teach"] + found["labels"]["audit"]
    money = found["saved"]
    assert money["not_annotated"] == 2 * decided["dropped"]
    assert money["labels"] == given  # half of 2 each
    assert money["at_most"] == 2 * decided["dropped"] - given
    assert money["at_least"] == money["at_most"] - 10 * found["misses"]["at_most"]
    assert found["promise"]["recall"]["at_least"] == 0.9
    assert found["refusal"] is None
    shown = found["examples"]
    assert {row["row_id"] for row in shown["kept_nearest"]} <= {
        row["row_id"] for row in applied.samples("keep", 120)["rows"]
    }
    assert applied.report(Prices.of(2, miss_price=10, currency="EUR")) == found


def test_the_bound_of_misses_is_never_below_what_was_missed(applied: Filter) -> None:
    dropped = applied.samples("drop", 120)["rows"]
    assert applied.report()["misses"]["at_most"] >= sum(map(is_red, dropped))


def test_a_smaller_promise_is_reported_as_it_was_made(lake: Lake) -> None:
    filter = audited(lake)
    filter.apply(recall=0.5, confidence=0.8)
    found = filter.report()
    assert found["promise"]["recall"]["at_least"] == 0.5
    assert found["promise"]["confidence"] == 0.8
    assert found["people"]["wrong_answers"]["checks"][0]["stands"] >= 0


def test_before_an_audit_and_before_it_is_applied_it_says_why_nothing_is_decided(lake: Lake) -> None:
    filter = red_filter(lake)
    assert "nothing was audited yet" in filter.report()["refusal"]["reason"]
    answer(filter, filter.next(10))
    answer(filter, filter.next(5, "audit"))
    found = filter.report()
    assert (found["saved"], found["promise"], found["examples"]) == (None, None, {})
    assert found["refusal"]["reason"].startswith("5 audit labels do not yet show recall 0.9")
    assert any(line.startswith("nothing is promised: 5 audit labels") for line in summary(found))


def test_who_disagrees_is_named_and_what_was_taken_back_is_listed(applied: Filter) -> None:
    row = applied.next(1, "teach")["rows"] or [{"row_id": 1}]
    row_id = row[0]["row_id"]
    applied.label(
        [{"row_id": 1, "label": "no", "labeller": "ben"}, {"row_id": 31, "label": "no", "labeller": "ben"}]
    )
    found = applied.conflicts()
    assert [(c["row_id"], c["labellers"]) for c in found["conflicts"]] == [(1, {"ann": "yes", "ben": "no"})]
    assert found["conflicts"][0]["uri"].endswith("a000.png")
    assert found["pairs"][0]["agreed"] == 1
    audit_row = next(
        r for r, a in applied.answers().items() if a.purpose == "audit" and len(a.labellers) == 1
    )
    applied.undo(audit_row, "ann")
    changed = applied.report()["people"]["changed"]
    assert [(c["row_id"], c["labeller"], c["now"]) for c in changed] == [(audit_row, "ann", None)]
    notes = applied.report()["notes"]
    assert "Labels have changed since version" in notes[0]
    assert row_id


def test_the_page_stands_alone_and_shows_hostile_names_as_text(applied: Filter) -> None:
    facts: dict[str, Any] = applied.report()
    facts["keep"] = {"texts": ["<script>alert(1)</script>"], "examples": 0}
    for rows in facts["examples"].values():
        rows[0]["uri"] = '/photos/"><img src=x onerror=alert(2)>.jpg'
    page = document(facts, {}).decode()
    assert "<script" not in page
    assert "onerror=alert(2)&gt;" in page
    assert "<img src=x" not in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "default-src 'none'" in page
    assert document(facts, {}) == document(facts, {})


def test_the_page_has_pictures_and_says_which_are_gone(applied: Filter) -> None:
    row = applied.report()["examples"]["kept_nearest"][0]
    page = applied.report_page().decode()
    assert page.count("data:image/jpeg;base64,") > 8

    def broken_for_one(image: IndexedImage, size_px: int) -> bytes:
        if image.uri == row["uri"]:
            raise UnreadableImage(image.uri, "it is cut off")
        return b"jpeg"

    again = applied.report_page(thumbnail=broken_for_one).decode()
    assert f'aria-label="{Path(row["uri"]).name}: it is cut off"' in again


def test_a_file_is_never_written_over_unasked(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("mine")
    with pytest.raises(BadRequest, match="is there already"):
        check_out(out)
    check_out(out, overwrite=True)
    with pytest.raises(NotWritten, match="there is no folder"):
        check_out(tmp_path / "none" / "report.html")
    with pytest.raises(NotWritten, match="cannot be written"):
        write_out(b"page", tmp_path / "none" / "report.html")
    write_out(b"page", out)
    assert out.read_bytes() == b"page"


def test_the_audit_is_weighed_again_with_wrong_answers(applied: Filter) -> None:
    standing = applied.standing()
    assert standing is not None
    labels = {row_id: answer.label for row_id, answer in applied.answers().items()}
    cut = standing.best_cut(standing.chains[0], standing.evidence[0])
    assert cut is not None
    calibration = applied.definition.calibration
    drawn = standing.audit.draws(len(standing.audit.prefix(labels)))
    below = [row for stratum, row in zip(*map(list, drawn), strict=True) if stratum >= cut]
    noes = [row for row in below if labels[row] == "no"]

    def checked(share: float | None, agreed: list[int]) -> Check:
        return check(standing, labels, {"recall": cut}, share, calibration, agreed)[0]

    none = checked(0.0, [])
    assert (none.kind, none.answers, none.wrong, none.holds) == ("recall", len(noes), 0, True)
    assert none.rows == none.rows_then == int(standing.audit.sizes[cut:].sum())
    every = checked(1.0, [])
    assert (every.wrong, every.holds) == (len(noes), False)  # were all of them relevant, much would be lost
    assert (every.rows_then or 0) < every.rows
    assert none.stands == every.stands < len(noes)
    assert checked(1.0, noes).holds  # two people said so: not doubted
    assert checked(None, []).holds is None
