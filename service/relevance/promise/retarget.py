"""Another promise than the audit was planned for, where its procedure is valid for that one, too.

*A lower recall.* The claims of an audit and their order are fixed (`promise.py`). The first false
one of them is believed with at most the chance delta. All that is said of a lower recall R' follows
from a claim of that order: recall R at some cut, or a rung of the ladder that is R' or more at the
most generous cut. Recall R' at a stricter cut than R reached is another order's claim; to pick the
order after the answers is what no bound here covers, so it isn't offered.

*Any confidence.* Let T be the largest capital that the first false claim ever has. A promise at the
confidence C that is false needs T >= 1 / delta(C), and delta(C) falls with C. So, for every C, T <
1 / delta(C) excludes all false promises of confidence C and more at once: P(a false promise of
stated confidence >= C) <= 1 - C, even if the confidence is chosen last, with all answers on the
table. (Said otherwise: the adjusted p-value of a claim is the largest of those before it and its
own, P(a false claim's is <= delta) <= delta for every delta.) The audits of a filter share delta(C)
in the same proportions at every C, so it holds for all of them together.

A higher recall, and recall or precision that the audit makes no claim of, would need claims that
were not fixed before.

Sources: Wright, "Adjusted p-values for simultaneous inference", Biometrics 48 (1992); Maurer,
Hothorn and Lehmacher (1995), fixed sequences; Shafer, Shen, Vereshchagin and Vovk, "Test
martingales, Bayes factors and p-values", Statistical Science 26 (2011): 1 / the largest capital is
a p-value at every look.
"""

from __future__ import annotations

from dataclasses import replace

from indexer.errors import BadRequest
from service.relevance.definition import Target


def retargeted(
    target: Target, recall: float | None = None, confidence: float | None = None
) -> Target:
    """The target with another recall or confidence; None leaves it.

    :raises BadRequest: if it is no share in (0, 1), or the audit's procedure is not valid for it.
    """
    for name, share in (("recall", recall), ("confidence", confidence)):
        if share is not None and not 0 < share < 1:
            raise BadRequest(name, f"{share:g} is not between 0 and 1; 0.95 means 95 %")
    if recall is not None and target.recall is None:
        raise BadRequest(
            "recall",
            "an audit of this filter measures precision alone; make a filter with --recall and audit that",
        )
    if recall is not None and target.recall is not None and recall > target.recall:
        raise BadRequest(
            "recall",
            f"an audit of this filter is planned for recall {target.recall:g} and shows nothing above it; for "
            f"{recall:g} make a filter with --recall {recall:g} and audit that",
        )
    return replace(
        target, recall=recall or target.recall, confidence=confidence or target.confidence
    )
