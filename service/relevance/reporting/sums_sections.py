"""The report's sections that add up: what came in and what became of it, what it saved, and where the scores lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.relevance.reporting import charts
from service.relevance.reporting.scores import fewer
from service.relevance.reporting.words import count, money, percent, plain, share, table

Facts = Mapping[str, Any]


def came_in_section(facts: Facts) -> str:
    images = facts["images"]
    decided = images["keep"] is not None
    reasons = "; ".join(f"{each['files']:,} {plain(each['reason'])}" for each in images["broken_reasons"])
    parts = [
        ("b", "Broken", images["broken"], reasons or "files that cannot be read; they are not in the lake"),
        ("o", "Left out by where", images["left_out"], "not looked at, so nothing is promised of them"),
        ("d", "Irrelevant", images["drop"], "dropped; nothing is deleted"),
        ("a", "To ask about", images["ask"], "left to a person"),
        ("k", "To annotate", images["keep"], "kept"),
        ("d", "Looked at", images["looked_at"] if not decided else None, "not decided yet"),
    ]
    shown = [
        part
        for part in parts
        if part[2] is not None and (part[2] or part[1] in ("Broken", "Irrelevant", "To annotate"))
    ]
    total = images["in"] + images["broken"]
    twins = images["near_duplicates"]
    rows = [
        [
            f'<span class="key {css}"></span>{name}',
            f"{number:,}",
            share(number or 0, total),
            f'<span class="soft">{why}</span>',
        ]
        for css, name, number, why in shown
    ]
    twin_how = "nearly the same picture" if twins["by"] == "perceptual hash" else "the very same bytes"
    rows.append(
        [
            "Near-duplicates",
            f"{twins['rows']:,}",
            "",
            f'<span class="soft">among those {twins["among"]}: {twin_how} as another one</span>',
        ]
    )
    rows.append(["Images that came in", f"{total:,}", "", ""])
    bar = charts.shares([(css, name, number or 0) for css, name, number, _ in shown])
    classes = [""] * (len(rows) - 1) + ["sum"]
    return (
        f"<section><h2>What came in</h2>{bar}{table(['', 'images', '', ''], rows, (1, 2), classes)}</section>"
    )


def money_section(facts: Facts) -> str:
    saved, prices, images, misses = (facts[name] for name in ("saved", "prices", "images", "misses"))
    if saved is None:
        return ""
    looked = saved["looks"] != 0 or images["ask"]
    miss = (
        "no price of a miss was given" if prices["miss"] is None else f"{money(prices['miss'], prices)} each"
    )
    rows = [
        [
            "Not annotated",
            _count_at(images["drop"] + (images["ask"] or 0), prices["annotation"], prices),
            money(saved["not_annotated"], prices),
        ],
        [
            "Labels given",
            _count_at(facts["labels"]["given"], prices["label"], prices),
            money(-saved["labels"], prices),
        ],
    ]
    if looked:
        rows[0][1] = f"{images['drop']:,} dropped, and the irrelevant of {images['ask']:,} to ask about"
        rows.append(
            ["Looks", _count_at(images["ask"], prices["label"], prices), money(-saved["looks"], prices)]
        )
    rows.append(
        ["Relevant, yet dropped", f"about {misses['estimate']:,.1f}; {miss}", money(-saved["misses"], prices)]
    )
    rows.append(["Saved", "estimate", money(saved["estimate"], prices)])
    rows = [[name, f'<span class="soft">{how}</span>', sum_] for name, how, sum_ in rows]
    bound = (
        f"with {percent(facts['promise']['confidence'])} confidence: at most "
        f"{count(misses['at_most'], 'relevant image')} were dropped"
        if misses["promised"]
        else f"whatever the {count(misses['at_most'], 'dropped image')} are: recall was not promised"
    )
    return (
        "<section><h2>What it saved</h2>"
        f'<p class="about">Against annotating all {images["looked_at"]:,} images.</p>'
        f"{table(['', '', ''], rows, (2,), ['', '', *[''] * (len(rows) - 3), 'sum'])}"
        f"{charts.span(saved['at_least'], saved['estimate'], saved['at_most'])}"
        f"<p>At least {money(saved['at_least'], prices)}, {bound}. "
        f"At most {money(saved['at_most'], prices)}, if none was.</p>"
        "</section>"
    )


def _count_at(number: int, price: float, prices: Facts) -> str:
    if prices["currency"] == "annotations":
        return f"{number:,}" if price == 1 else f"{number:,}, each {price:g} of an annotation"
    return f"{number:,} at {money(price, prices)}"


def scores_section(facts: Facts) -> str:
    head = "<section><h2>Scores and the line</h2>"
    head += '<p class="about">The higher the score, the more an image is like what is wanted.</p>'
    bands = fewer(facts["bands"])
    drawn = charts.scores(facts["scores"], facts["line"])
    if not bands:
        return f"{head}{drawn}</section>"
    rows, classes, before = [], [], None
    for band in bands:
        looked = band["yes"] + band["no"] + band["unclear"]
        rows.append(
            [
                f"{band['score_from']:.2f} to {band['score_to']:.2f}",
                *(
                    f"{number:,}"
                    for number in (band["rows"], looked, band["yes"], band["no"], band["unclear"])
                ),
            ]
        )
        classes.append("cut" if before and band["above_line"] is False else "")
        before = band["above_line"]
    heads = ["score", "images", "audited", "yes", "no", "unclear"]
    return f"{head}{drawn}{table(heads, rows, (1, 2, 3, 4, 5), classes)}</section>"
