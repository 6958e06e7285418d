"""What a random check still takes: time at a person's pace; what a tighter guarantee costs."""

from __future__ import annotations

from typing import Any

from tests.service.page.conftest import Served, Visit

LEFT = """async ([times, answers]) => {
  const { Pace } = await import("/page/label/pace.js");
  const pace = new Pace();
  for (const at of times) pace.answered(at);
  return pace.left(answers);
}"""
COSTS = """async (tighter) => {
  const { offersOf } = await import("/page/label/offers.js");
  return offersOf({ offers: [], tighter, scene: null }, null, null)
    .map((each) => [...each.childNodes].map((part) => part.textContent));
}"""
TWO_S = [2000 * number for number in range(6)]  # five answers after the first, 2 s each


def test_the_time_that_is_left_at_the_pace_of_the_last_answers(visit: Visit, reds: Served) -> None:
    page = visit(reds).open().page

    def left(times: list[int], answers: int | None) -> str:
        return str(page.evaluate(LEFT, [times, answers]))

    assert left(TWO_S, 30) == "About 1 minute left at this pace."  # 30 answers of 2 s
    assert left(TWO_S, 29) == "Less than a minute left at this pace."
    assert left(TWO_S, 60) == "About 2 minutes left at this pace."
    assert left(TWO_S, 2_670) == "About 89 minutes left at this pace."
    assert left(TWO_S, 3_600) == "About 2 hours left at this pace."
    # Four answers make no pace, and where it is not known how many are left there is no time.
    assert left(TWO_S[:5], 30) == ""
    assert left(TWO_S, None) == ""
    assert left(TWO_S, 0) == ""
    # A coffee of two minutes is no pace, and one answer in five that took 30 s slows it little.
    assert left([*TWO_S[:3], 124_000, 126_000, 128_000, 158_000], 30) == (
        "About 1 minute left at this pace."
    )
    # Of twenty answers that are remembered the old slow ones are none.
    slow = [10_000 * number for number in range(30)]
    fast = [slow[-1] + 1000 * (number + 1) for number in range(20)]
    assert left([*slow, *fast], 120) == "About 2 minutes left at this pace."


def test_what_a_tighter_guarantee_costs_in_words(visit: Visit, reds: Served) -> None:
    page = visit(reds).open().page

    def costs(*tighter: dict[str, Any]) -> list[list[str]]:
        common = {"precision": None, "confidence": 0.95, "own_audit": False, "dropped": None}
        told: list[list[str]] = page.evaluate(COSTS, [{**common, **each} for each in tighter])
        return told

    assert costs(
        {"recall": 0.9, "labels": 1, "dropped": 1200},
        {"recall": 0.95, "labels": 1240},
        {"recall": 0.99, "labels": 240, "own_audit": True},
        {"recall": 0.999, "labels": None},
    ) == [
        ["What a tighter one would cost"],
        [
            "Recall 90\u00a0%, 95\u00a0% confidence: about 1 more answer, which would drop 1,200.",
            "Recall 95\u00a0%, 95\u00a0% confidence: about 1,240 more answers.",
            "Recall 99\u00a0%, 95\u00a0% confidence: about 240 answers in a filter of its own, "
            "taught with these.",
        ],
    ]
    # Of none is it known what it takes: nothing is said.
    assert costs({"recall": 0.999, "labels": None}) == []
