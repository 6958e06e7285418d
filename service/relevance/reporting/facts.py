"""Works out a report: what came in, what became of it,
what is promised, what it cost, and how sure people are.

The same version and the same labels give the same facts, whenever and wherever they are asked for.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from indexer.disk.layout import Layout
from indexer.disk.tables import read_skipped
from service.relevance.definition import Examples
from service.relevance.labels.book import labels_used
from service.relevance.labels.spent import labels_spent
from service.relevance.promise.applying import ASK, Refusal, apply
from service.relevance.promise.prices import Prices
from service.relevance.promise.promise import most_missed
from service.relevance.reporting import examples, noise, people, scores
from service.relevance.reporting.costs import Misses, Saved, ask_band, saved
from service.relevance.reporting.duplicates import near_duplicates
from service.relevance.reporting.material import Material
from service.relevance.reporting.report import (
    BrokenReason,
    Images,
    Looks,
    NotDecided,
    People,
    Promised,
    Report,
    Side,
    WrongAnswers,
)

REASONS = 5
MOST_ASKED = 1_000  # row_ids that are listed


def facts(material: Material, prices: Prices) -> Report:
    """Everything that the HTML report shows, but for the pictures."""
    definition = material.definition
    return Report(
        filter=definition.name,
        version=definition.version,
        stage=material.stage,
        made_at=definition.created_at,
        lake=material.folder.name,
        snapshot=material.snapshot.number,
        keep=_side(definition.keep),
        drop=_side(definition.drop),
        where=definition.where,
        target=definition.target,
        images=_images(material),
        promise=_promise(material),
        refusal=_refusal(material),
        labels=labels_spent(material.records),
        misses=misses(material),
        prices=prices,
        saved=_saved(material, prices),
        ask_band=_ask_band(material, prices),
        line=None if material.decisions is None else definition.thresholds,
        scores=scores.histogram(material),
        bands=scores.bands(material),
        people=_people(material),
        examples=examples.choose(material),
        notes=_notes(material),
    )


def _side(side: Examples) -> Side:
    return Side(side.texts, len(side.row_ids) + len(side.images))


def _images(material: Material) -> Images:
    """What came in, and what became of it."""
    manifest = material.snapshot.manifest
    decided = material.decisions is not None
    population = len(material.scored)
    counts = [int(material.decided(code).sum()) if decided else None for code in range(3)]
    among = material.scored.row_ids[material.kept] if decided else material.scored.row_ids
    skipped = read_skipped(Layout(material.folder), manifest)
    reasons = Counter(skipped["reason"].to_pylist())
    return Images(
        came_in=material.snapshot.live_rows,
        broken=sum(entry.rows for entry in manifest.skipped),
        broken_reasons=tuple(
            BrokenReason(reason, files)
            for reason, files in sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))[
                :REASONS
            ]
        ),
        left_out=material.snapshot.live_rows - population,
        looked_at=population,
        keep=counts[0],
        ask=counts[1],
        drop=counts[2],
        near_duplicates=near_duplicates(
            material.snapshot, among, "kept" if decided else "looked at"
        ),
    )


def _promise(material: Material) -> Promised | None:
    """What is promised of the decisions, and what is only estimated."""
    if material.decisions is None:
        return None
    measured, assumption = material.definition.measured or {}, material.assumption
    return Promised(
        recall=measured.get("recall"),
        precision=measured.get("precision"),
        confidence=material.wanted.confidence,
        assumption=None if assumption is None else assumption["says"],
        audit=measured.get("audit"),
        audit_labels=measured.get("audit_labels"),
        relevant_estimate=measured.get("relevant_estimate"),
        counted=bool(measured.get("counted")),
        both=measured.get("both"),
        every=measured.get("every"),
        scenes=measured.get("scenes"),
    )


def _refusal(material: Material) -> NotDecided | None:
    """Why nothing is decided; None where something is."""
    if material.decisions is not None:
        return None
    if material.audit is None:
        reason = "nothing was audited yet, so nothing is promised, and nothing decided"
        return NotDecided(reason, None, None, holds=False)
    found = apply(material.audit, material.said, material.definition.calibration)
    if isinstance(found, Refusal):
        return NotDecided(found.reason, found.can_promise, found.labels_missing, holds=False)
    standing = material.standing
    drops = standing.drops(material.said) if standing is not None else None
    reason = (
        "the promise holds, and was not applied yet: lakesift filter apply decides every image, and would drop "
        f"{drops or 0:,} of {len(material.scored):,}"
    )
    return NotDecided(reason, None, 0, holds=True)


def misses(material: Material) -> Misses | None:
    """How many relevant images may be among the dropped; None: nothing was dropped."""
    if material.decisions is None or material.audit is None:
        return None
    unseen = int((material.dropped & material.open_rows).sum())
    estimate = float((material.definition.measured or {}).get("missed_estimate", 0.0))
    recall = material.wanted.recall
    if material.is_of_scenes:
        expected = _expected(material, material.dropped & material.open_rows)
        return Misses(round(min(expected, unseen), 1), unseen, promised=False)
    if recall is None:
        return Misses(min(estimate, unseen), unseen, promised=False)
    cut, strata = material.cuts["recall"], material.audit.strata
    no = np.array([label == "no" for label in material.labels], bool)
    yes = np.array([label == "yes" for label in material.labels], bool)
    above = int(((strata >= 0) & (strata < cut) & ~no).sum() + ((strata < 0) & yes).sum())
    bound = most_missed(recall, above, int((yes & (strata >= cut)).sum()), unseen)
    return Misses(min(estimate, bound), bound, promised=True)


def _saved(material: Material, prices: Prices) -> Saved | None:
    found = misses(material)
    if found is None:
        return None
    asked = material.decided(ASK)
    return saved(
        prices,
        dropped=int(material.dropped.sum()),
        asked=int(asked.sum()),
        asked_relevant=_expected(material, asked),
        labels=labels_spent(material.records).given,
        misses=found,
    )


def _expected(material: Material, rows: NDArray[np.bool_]) -> float:
    """How many of some rows are relevant, by their probabilities;
    half of them where there are none.
    """
    calibration = material.definition.calibration
    if calibration is None:
        return float(rows.sum()) / 2
    return float(calibration.probability(material.scored.scores[rows]).sum(dtype=np.float64))


def _ask_band(material: Material, prices: Prices) -> Looks | None:
    """Which images a look is the cheapest for; None without decisions or without probabilities."""
    calibration = material.definition.calibration
    if material.decisions is None or calibration is None or not calibration.slope:
        return None
    fixed = material.definition.target.precision is not None
    chances = calibration.probability(material.scored.scores).astype(np.float64)
    band = ask_band(prices, chances, material.decisions, material.open_rows, keeps_are_fixed=fixed)
    inside = material.scored.scores[band.rows]
    return Looks(
        probability_above=None if band.above is None else round(band.above, 4),
        probability_below=round(band.below, 4),
        rows=int(band.rows.sum()),
        kept_now=int((band.rows & material.kept).sum()),
        dropped_now=int((band.rows & material.dropped).sum()),
        score_from=None if not len(inside) else float(inside.min()),
        score_to=None if not len(inside) else float(inside.max()),
        saves=round(band.saves, 2),
        row_ids=tuple(material.scored.row_ids[band.rows][:MOST_ASKED].tolist()),
    )


def _people(material: Material) -> People:
    found = people.agreement(material.answers, material.snapshot)
    doubles = noise.Doubles.of(material.answers)
    checks = _checks(material, doubles.share_wrong)
    return People(
        labellers=found.labellers,
        rows=found.rows,
        alpha=found.alpha,
        pairs=found.pairs,
        conflicts=found.conflicts,
        settled=found.settled,
        changed=people.changed_audit_labels(material.records, material.snapshot),
        wrong_answers=WrongAnswers(
            rows=doubles.rows,
            pairs=doubles.pairs,
            disagreeing=doubles.disagreeing,
            share=None if doubles.share_wrong is None else round(doubles.share_wrong, 4),
            checks=tuple(checks),
            seen=noise.seen(doubles, found.labellers),
            warning=noise.warning(doubles, checks),
        ),
    )


def _checks(material: Material, share: float | None) -> list[noise.Check]:
    # what is assumed would change with each answer; what is counted is as right as each answer
    if (
        material.standing is None
        or material.assumption is not None
        or material.standing.counted is not None
        # of groups, each has draws of its own
        or material.standing.groups
        # one answer may be about many images
        or material.is_of_scenes
        or material.standing.ahead
    ):
        return []
    agreed = noise.agreed_rows(material.answers)
    calibration = material.definition.calibration
    return noise.check(material.standing, material.said, material.cuts, share, calibration, agreed)


def _notes(material: Material) -> tuple[str, ...]:
    """What a reader has to know beside the facts."""
    notes = []
    used, version = material.definition.labels, material.definition.version
    if material.decisions is not None and used is not None:
        now = labels_used(material.answers)
        if now.sha256 != used.sha256:
            notes.append(
                f"Labels have changed since version {version} was applied: {used.count:,} images were answered then, "
                f"{now.count:,} are now. The decisions here are those of then; apply again to use the labels of now."
            )
    if material.newer is not None:
        notes.append(
            f"Version {material.newer} of this filter is newer, and decided nothing yet. "
            "This is the report of the last version that did."
        )
    return tuple(notes)
