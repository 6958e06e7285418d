"""The report in a few lines of plain text, for a terminal."""

from __future__ import annotations

from indexer.words import count
from service.relevance.decisions.answers import scenes_kept
from service.relevance.labels.spent import LabelsSpent
from service.relevance.promise.groups import NO_VALUE
from service.relevance.reporting.report import Images, Report
from service.relevance.reporting.words import money, other_promise


def summary(report: Report) -> list[str]:
    """One line for each thing that is told."""
    wrong = report.people.wrong_answers
    return [
        f"{report.filter}, version {report.version}, of {report.lake}, snapshot {report.snapshot}",
        _images(report.images),
        _promise(report),
        *_groups(report),
        *_scenes(report),
        *_money(report),
        _labels(report.labels),
        wrong.seen,
        *(f"warning: {note}" for note in (wrong.warning, *report.notes) if note),
    ]


def _images(images: Images) -> str:
    told = [
        count(images.came_in, "image"),
        f"{images.broken:,} broken",
        f"{images.left_out:,} left out by where",
    ]
    if images.keep is not None:
        told += [
            f"{images.keep:,} to annotate",
            f"{images.ask:,} to ask about",
            f"{images.drop:,} irrelevant",
        ]
    twins = images.near_duplicates
    near = count(twins.rows, "near-duplicate")
    return ", ".join([*told, f"{near} among those {twins.among}"])


def _promise(report: Report) -> str:
    promise = report.promise
    if promise is None:
        return f"nothing is promised: {report.refusal.reason if report.refusal else ''}"
    said = [
        f"{kind} at least {share['at_least']:g}"
        for kind, share in (("recall", promise.recall), ("precision", promise.precision))
        if share and share["at_least"] is not None
    ]
    if promise.scenes is not None:
        said.append(scenes_kept(promise.scenes["at_least"], promise.scenes["column"]))
    if promise.every is not None:
        said[0] += f" in every {promise.every['column']}"
    assumption = f"; {promise.assumption}" if promise.assumption else ""
    both = ""
    if promise.both is not None:
        both = f"; {promise.both:g} that this and {other_promise(promise.assumption)} both hold"
    return (
        f"promised: {' and '.join(said)}, with confidence {promise.confidence:g}{assumption}{both}"
    )


def _groups(report: Report) -> list[str]:
    if report.promise is None or report.promise.every is None:
        return []
    return [
        f"  {group['name'] or NO_VALUE}: {count(group['rows'], 'image')}, {count(group['labels'], 'audit label')}; "
        f"relevant, yet dropped: about {group['missed_estimate']:,.1f}, at most {group['missed_at_most']:,}"
        for group in report.promise.every["groups"]
    ]


def _scenes(report: Report) -> list[str]:
    scenes = None if report.promise is None else report.promise.scenes
    if scenes is None:
        return []
    return [
        f"  {count(scenes['scenes'], 'scene')}, about {scenes['relevant_estimate']:,.1f} relevant; lost: about "
        f"{scenes['missed_estimate']:,.1f}, at most {scenes['missed_at_most']:,}"
    ]


def _money(report: Report) -> list[str]:
    saved, misses = report.saved, report.misses
    if saved is None or misses is None:
        return []
    prices = {"currency": report.prices.currency}
    estimate, *ends = (
        money(amount, prices).replace("\N{MINUS SIGN}", "-")
        for amount in (saved.estimate, saved.at_least, saved.at_most)
    )
    least, most = (end.removesuffix(f" {report.prices.currency}") for end in ends)
    return [
        f"saved about {estimate} (from {least} to {most})",
        f"relevant, yet dropped: about {misses.estimate:,.1f}, at most {misses.at_most:,}",
    ]


def _labels(labels: LabelsSpent) -> str:
    by = ", ".join(f"{each.labeller} {each.given:,}" for each in labels.by)
    return (
        f"{count(labels.given, 'label')} given: {labels.teach:,} to teach, {labels.audit:,} audit"
        + (f" ({by})" if by else "")
    )
