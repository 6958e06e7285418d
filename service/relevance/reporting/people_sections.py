"""The report's sections on people: which images are worth a look, who labelled, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.relevance.reporting.words import count, money, name_of, percent, plain, price, safe, table

MOST_LISTED = 50  # conflicts, changed labels
Facts = Mapping[str, Any]


def ask_section(facts: Facts) -> str:
    band, prices = facts["ask_band"], facts["prices"]
    if band is None:
        return ""
    low = "" if band["probability_above"] is None else f"over {percent(band['probability_above'])} and "
    rule = (
        f"A look costs {price(prices['label'], prices)}, an annotation {price(prices['annotation'], prices)}"
        + ("" if prices["miss"] is None else f", a miss {price(prices['miss'], prices)}")
        + f". So a look is the cheapest where the chance of being relevant is {low}under "
        f"{percent(band['probability_below'])}. "
        "An image that the promise does not let go is never dropped for its price."
    )
    if not band["rows"]:
        found = "No image is worth a look at these prices."
    else:
        found = (
            f"{count(band['rows'], 'image')}, with scores from {band['score_from']:.3f} to {band['score_to']:.3f}: "
            f"{band['kept_now']:,} of them are kept now, {band['dropped_now']:,} dropped. To ask about them would "
            f"save about {money(band['saves'], prices)} more, if the chances are right: "
            "a forecast, not promised."
        )
    return f'<section><h2>Worth a look</h2><p class="about">{rule}</p><p>{found}</p></section>'


def people_section(facts: Facts) -> str:
    labels, people = facts["labels"], facts["people"]
    rows = [
        [
            safe(each["labeller"]),
            *(f"{each[kind]:,}" for kind in ("given", "teach", "audit", "picked", "yes", "no", "skip")),
        ]
        for each in labels["by"]
    ]
    heads = ["", "answers", "teach", "audit", "picked", "yes", "no", "skip"]
    parts = [
        "<section><h2>Labels and people</h2>",
        f'<p class="about">{count(labels["given"], "answer")} given, {labels["undone"]:,} taken back.</p>',
        table(heads, rows, range(1, 8)) if rows else "",
        f"<h3>Do they agree?</h3><p>{plain(people['wrong_answers']['seen'])}</p>",
    ]
    parts += [f"<p>{line}</p>" for line in map(_stands, people["wrong_answers"]["checks"])]
    if people["pairs"]:
        pairs = [
            [
                f"{safe(p['first'])} and {safe(p['second'])}",
                f"{p['rows']:,}",
                f"{p['agreed']:,}",
                _measure(p["kappa"]),
            ]
            for p in people["pairs"]
        ]
        parts.append(table(["", "images", "agreed", "Cohen's kappa"], pairs, (1, 2, 3)))
        parts.append(
            f'<p class="quiet">Krippendorff\'s alpha of all: {_measure(people["alpha"])}. 1: all agree; 0: '
            "as often as by chance.</p>"
        )
    conflicts = [
        [_image(c), ", ".join(f"{safe(who)}: {plain(said)}" for who, said in c["labellers"].items())]
        for c in people["conflicts"]
    ]
    parts.append(
        _listed("Conflicts", "images on which people disagree; each counts as the worst case", conflicts)
    )
    changed = [
        [_image(c), f"{safe(c['labeller'])}: {plain(c['said'])}, then {plain(c['now'] or 'taken back')}"]
        for c in people["changed"]
    ]
    parts.append(_listed("Audit answers changed", "taken back, or given otherwise later", changed))
    return "".join(parts) + "</section>"


def _stands(check: Facts) -> str:
    if not check["answers"]:
        return ""
    side = "no below" if check["kind"] == "recall" else "yes above"
    return (
        f"{check['answers']:,} audit answers {side} the line rest on one person alone. The promise of "
        f"{check['kind']} stands {check['stands']:,} wrong ones among them; "
        "a line is drawn as tight as the answers allow."
    )


def _measure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def _image(row: Facts) -> str:
    name = f'<span class="name" title="{plain(row["uri"] or "")}">{safe(name_of(row["uri"]))}</span>'
    return f'{name} <span class="quiet">row {row["row_id"]}</span>'


def _listed(title: str, about: str, rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    more = len(rows) - MOST_LISTED
    rest = (
        f'<p class="quiet">and {more:,} more: lakesift filter conflicts --json lists them</p>'
        if more > 0
        else ""
    )
    return (
        f'<h3>{title}: {len(rows):,}</h3><p class="quiet">{about}</p>'
        f"{table(['image', 'said'], rows[:MOST_LISTED], ())}{rest}"
    )
