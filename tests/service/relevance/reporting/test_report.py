"""The report of a filter on coloured images; the lake is that of the tests of `Filter`."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import BadRequest, NotWritten, UnreadableImage
from service.lake import Lake
from service.pictures.originals import IndexedImage
from service.relevance import Filter
from service.relevance.decisions.answers import AppliedAnswer
from service.relevance.labels.book import Answer
from service.relevance.promise.prices import Prices
from service.relevance.reporting.document import document
from service.relevance.reporting.file import check_out, write_out
from service.relevance.reporting.noise import Check, Doubles, agreed_rows, check, seen, warning
from service.relevance.reporting.summary import summary
from tests.service.relevance.test_filters import (
    OTHERS,
    REDS,
    answer,
    audited,
    desk,
    is_red,
    lake,
    red_filter,
)

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
    decided = applied.decisions.applied()
    images = found["images"]
    assert (images["in"], images["looked_at"], images["broken"]) == (
        REDS + OTHERS,
        REDS + OTHERS,
        0,
    )
    assert [images[name] for name in ("keep", "ask", "drop")] == [
        decided.kept,
        decided.asked,
        decided.dropped,
    ]
    given = found["labels"]["given"]
    assert given == len(applied.answers()) == found["labels"]["teach"] + found["labels"]["audit"]
    money = found["saved"]
    assert money["not_annotated"] == 2 * decided.dropped
    assert money["labels"] == given  # half of 2 each
    assert money["at_most"] == 2 * decided.dropped - given
    assert money["at_least"] == money["at_most"] - 10 * found["misses"]["at_most"]
    assert found["promise"]["recall"]["at_least"] == 0.9
    assert found["refusal"] is None
    shown = found["examples"]
    assert {row["row_id"] for row in shown["kept_nearest"]} <= {
        row.row_id for row in applied.samples("keep", 120).rows
    }
    assert applied.report(Prices.of(2, miss_price=10, currency="EUR")) == found


def test_a_report_is_read_by_name_and_by_key(applied: Filter) -> None:
    found = applied.report(Prices.of(2, currency="EUR"))
    assert found.images.came_in == found["images"]["in"] == REDS + OTHERS
    assert (found.prices.look, found.prices.label, found["prices"]["label"]) == (1, None, 1)
    with pytest.raises(KeyError):
        found["price"]
    told = found.to_json()
    assert " ".join(told) == (
        "filter version stage made_at lake snapshot keep drop where target images promise refusal labels misses prices "
        "saved ask_band line scores bands people examples notes"
    )
    assert next(iter(told["images"])) == "in"
    assert " ".join(told["scores"]) == "edges keep ask drop audit_yes audit_no audit_unclear"
    assert json.loads(json.dumps(told)) == told


def test_the_bound_of_misses_is_never_below_what_was_missed(applied: Filter) -> None:
    dropped = applied.samples("drop", 120).rows
    assert applied.report()["misses"]["at_most"] >= sum(map(is_red, dropped))


@pytest.mark.parametrize(
    ("currency", "line"),
    [
        ("annotations", "saved about 1,073 annotations (from -20 to 1,074)"),
        ("EUR", "saved about 1,073.40 EUR (from -20.00 to 1,074.00)"),
        ("", "saved about 1,073.40 (from -20.00 to 1,074.00)"),
    ],
)
def test_annotations_are_whole_and_money_has_its_cents(
    applied: Filter, currency: str, line: str
) -> None:
    report = applied.report()
    assert report.saved is not None
    saved = replace(report.saved, estimate=1_073.4, at_least=-20.0, at_most=1_074.0)
    prices = replace(report.prices, currency=currency)
    assert line in summary(replace(report, saved=saved, prices=prices))


def test_a_smaller_promise_is_reported_as_it_was_made(lake: Lake) -> None:
    filter = audited(lake)
    filter.apply(recall=0.5, confidence=0.8)
    found = filter.report()
    assert found["promise"]["recall"]["at_least"] == 0.5
    assert found["promise"]["confidence"] == 0.8
    assert found["people"]["wrong_answers"]["checks"][0]["stands"] >= 0


def test_before_an_audit_and_before_it_is_applied_it_says_why_nothing_is_decided(
    lake: Lake,
) -> None:
    filter = red_filter(lake)
    assert "nothing was audited yet" in filter.report()["refusal"]["reason"]
    answer(filter, filter.next(10).rows)
    answer(filter, filter.next(5, "audit").rows)
    found = filter.report()
    assert (found["saved"], found["promise"], found["examples"]) == (None, None, {})
    assert found["refusal"]["reason"].startswith("5 audit labels do not yet show recall 0.9")
    assert any(line.startswith("nothing is promised: 5 audit labels") for line in summary(found))


def test_a_promise_that_holds_says_what_applying_it_would_drop(lake: Lake) -> None:
    filter = audited(lake)
    refusal = filter.report().refusal
    applied = filter.apply()
    assert refusal is not None and refusal.holds and isinstance(applied, AppliedAnswer)
    assert refusal.reason.endswith(f"and would drop {applied.dropped} of 120")


def test_who_disagrees_is_named_and_what_was_taken_back_is_listed(applied: Filter) -> None:
    rows = applied.next(1, "teach").rows
    row_id = rows[0].row_id if rows else 1
    applied.label(
        [
            {"row_id": 1, "label": "no", "labeller": "ben"},
            {"row_id": 31, "label": "no", "labeller": "ben"},
        ]
    )
    found = applied.labels.conflicts().agreement
    assert [(c.row_id, c.labellers) for c in found.conflicts] == [(1, {"ann": "yes", "ben": "no"})]
    assert (found.conflicts[0].uri or "").endswith("a000.png")
    assert found.pairs[0].agreed == 1
    wrong = applied.report()["people"]["wrong_answers"].to_json()
    settled = applied.label([{"row_id": 1, "label": "yes", "labeller": "cem"}], settle=True)
    assert (settled.saved, applied.answers()[1].label) == (1, "yes")
    report = applied.report()
    assert report["people"]["conflicts"] == ()
    assert [(s.row_id, s.label, s.by) for s in report["people"]["settled"]] == [(1, "yes", "cem")]
    # Whoever settles has seen the answers: that tells nothing of how many are wrong.
    told = report["people"]["wrong_answers"].to_json()
    assert (told["pairs"], told["share"]) == (wrong["pairs"], wrong["share"])
    text = re.sub("<[^>]*>", "", document(report.to_json(), {}).decode())
    page = " ".join(text.split())
    assert "Conflicts settled: 1" in page and "ann: yes, ben: no, settled by cem: yes" in page
    audit_row = next(
        r for r, a in applied.answers().items() if a.purpose == "audit" and len(a.labellers) == 1
    )
    applied.labels.undo(audit_row, "ann")
    changed = applied.report()["people"]["changed"]
    assert [(c["row_id"], c["labeller"], c["now"]) for c in changed] == [(audit_row, "ann", None)]
    notes = applied.report()["notes"]
    assert "Labels have changed since version" in notes[0]
    assert row_id


def test_the_page_stands_alone_and_shows_hostile_names_as_text(applied: Filter) -> None:
    facts = applied.report().to_json()
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


HOSTILE = (
    """<script>alert("1")</script>' onload='alert(2)' "><img src=x onerror=alert(3)> & \n\u202e"""
)
SHOWN = (
    """<script>alert("1")</script>' onload='alert(2)' "><img src=x onerror=alert(3)> & \\n\\u202e"""
)


def with_every_text(value: Any, text: str) -> Any:
    """The same facts with each text replaced, labellers' names among them."""
    if isinstance(value, dict):
        if isinstance(value.get("labellers"), dict):
            value = {**value, "labellers": dict.fromkeys([text], text)}
        return {name: with_every_text(each, text) for name, each in value.items()}
    if isinstance(value, list):
        return [with_every_text(each, text) for each in value]
    return text if isinstance(value, str) else value


class Built(HTMLParser):
    """A page's tags with their attributes' names, and its texts and attributes' values."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.said: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.said += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


@pytest.mark.parametrize("decided", [True, False])
def test_no_text_of_the_facts_or_of_a_picture_becomes_markup(
    applied: Filter, decided: bool
) -> None:
    applied.label([{"row_id": 1, "label": "no", "labeller": "ben"}])
    said = next(row for row, a in applied.answers().items() if a.purpose == "audit" and row != 1)
    applied.labels.undo(said, "ann")
    facts = applied.report(Prices.of(2, miss_price=10, currency="EUR")).to_json()
    facts["where"] = facts["people"]["wrong_answers"]["warning"] = "text"
    facts["notes"] = ["text"]
    facts["images"]["broken_reasons"] = [{"reason": "text", "files": 1}]
    facts["people"]["wrong_answers"]["checks"] = [{"kind": "text", "answers": 1, "stands": 0}]
    facts["promise"]["assumption"] = "text"
    facts["drop"] = {"texts": ["text", "text"], "examples": 1}
    (conflict,) = facts["people"]["conflicts"]
    facts["people"]["settled"] = [{**conflict, "by": "text", "label": "text"}]
    assert facts["people"]["changed"] and facts["people"]["pairs"]
    shown = [row["row_id"] for rows in facts["examples"].values() for row in rows]
    if not decided:
        facts["refusal"] = {"reason": "text", "can_promise": None, "holds": False}

    def page(text: str) -> Built:
        missing = dict.fromkeys(shown, text)
        return Built(document(with_every_text(facts, text), missing))

    hostile, plain = page(HOSTILE), page("text")
    assert hostile.tags == plain.tags
    names = {name for _, *names in hostile.tags for name in names}
    assert not any(name.startswith("on") for name in names)
    assert "script" not in {tag for tag, *_ in hostile.tags}
    assert sum(SHOWN in each for each in hostile.said) > 30
    assert not any(HOSTILE in each for each in hostile.said), "a name stays on its line"


def test_the_page_says_what_the_facts_say(applied: Filter) -> None:
    """Each sentence from numbers that were put in by hand."""
    facts = applied.report(Prices.of(2, miss_price=10, currency="EUR")).to_json()
    facts["images"] |= {"in": 1_230, "broken": 20, "looked_at": 1_000, "keep": 300, "ask": 50}
    facts["images"] |= {"left_out": 230, "drop": 650}
    facts["promise"] = {
        "recall": {"at_least": 0.95, "estimate": 0.979},
        "precision": {"at_least": 0.8, "estimate": 0.85},
        "confidence": 0.9, "assumption": None, "audit": 2, "audit_labels": 1_200,
        "relevant_estimate": 310.0, "counted": False, "both": 0.85, "every": None, "scenes": None,
    }  # fmt: skip
    facts["misses"] = {"estimate": 3.4, "at_most": 9, "promised": True}
    facts["ask_band"] = {
        "probability_above": 0.125, "probability_below": 0.4, "rows": 1, "kept_now": 1,
        "dropped_now": 0, "score_from": 0.1, "score_to": 0.1, "saves": -1.5,
    }  # fmt: skip
    conflict = {"row_id": 7, "uri": "/p/a.jpg", "labellers": {"ann": "yes", "ben": "no"}}
    facts["people"] |= {"conflicts": [conflict] * 52, "alpha": -0.25}
    text = re.sub("[ \n]+", " ", "".join(Built(document(facts, {})).said))
    for sentence in (
        "With 90\u00a0% confidence, at least 95\u00a0% of all relevant images are kept or asked about and at "
        "least 80\u00a0% of all kept images are relevant.",
        "Measured on 1,200 images drawn at random, audit 2. Estimated, not promised: recall about 97.9\u00a0%, "
        "precision about 85\u00a0%. Assumption: none, but that the answers are right. With 85\u00a0% confidence this "
        "and the same audit's promise that assumes the tail both hold.",
        "at most 9 relevant images were dropped.",
        "where the chance of being relevant is over 12.5\u00a0% and under 40\u00a0%.",
        "1 image, with scores from 0.100 to 0.100: 1 of them are kept now, 0 dropped.",
        "would save about \u22121.50 EUR more",
        "Conflicts: 52",
        "and 2 more: lakesift filter conflicts --json lists them",
        "ann: yes, ben: no",
    ):
        assert sentence in text, sentence


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
    # were all of them relevant, much would be lost
    assert (every.wrong, every.holds) == (len(noes), False)
    assert (every.rows_then or 0) < every.rows
    assert none.stands == every.stands < len(noes)
    assert checked(1.0, noes).holds  # two people said so: not doubted
    assert checked(None, []).holds is None
