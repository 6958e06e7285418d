"""The report as one HTML file to mail: no script, nothing from elsewhere, pictures inside.

Knows only the facts and the pictures; the same ones give the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.relevance.reporting.examples import TITLES
from service.relevance.reporting.people_sections import ask_section, people_section
from service.relevance.reporting.pictures import Picture
from service.relevance.reporting.sums_sections import came_in_section, money_section, scores_section
from service.relevance.reporting.words import count, money, name_of, percent, plain, safe, share

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
Facts = Mapping[str, Any]


def document(facts: Facts, pictures: Mapping[int, Picture]) -> bytes:
    """UTF-8.

    :param pictures: by row_id; rows without one are told as not there.
    """
    title = f"{facts['filter']}, version {facts['version']}"
    parts = [
        _head(facts),
        _answer(facts),
        *(f'<div class="card warning"><p>{plain(note)}</p></div>' for note in _warnings(facts)),
        _figures(facts),
        came_in_section(facts),
        money_section(facts),
        scores_section(facts),
        _examples(facts, pictures),
        ask_section(facts),
        people_section(facts),
        _method(facts),
    ]
    text = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{plain(title)} - lakesift report</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{chr(10).join(part for part in parts if part)}\n</main></body></html>\n"
    )
    return text.encode("utf-8", "replace")


def _warnings(facts: Facts) -> list[str]:
    warning = facts["people"]["wrong_answers"]["warning"]
    return [*([warning] if warning else []), *facts["notes"]]


def _head(facts: Facts) -> str:
    said = []
    for word, side in (("Keep", facts["keep"]), ("Drop", facts["drop"])):
        shown = [safe(text) for text in side["texts"]]
        if side["examples"]:
            shown.append(count(side["examples"], "example image"))
        if shown:
            said.append(f"<p>{word}: {', '.join(shown)}</p>")
    if facts["where"]:
        said.append(f"<p>Only where: {safe(facts['where'])}</p>")
    made = plain(facts["made_at"][:16].replace("T", " "))
    return (
        f'<header><h1>{safe(facts["filter"])}</h1><p class="soft">Filter of {safe(facts["lake"])}, version '
        f"{facts['version']}, {made}, snapshot {facts['snapshot']}</p>{''.join(said)}</header>"
    )


def _answer(facts: Facts) -> str:
    """The promise, or why there is none."""
    promise, refusal = facts["promise"], facts["refusal"]
    if refusal is not None:
        can = refusal["can_promise"]
        more = ""
        if can:
            sure = percent(can["confidence"])
            kind = "recall" if "recall" in can else "precision"
            more = (
                f"<p>What can be promised now: {kind} of at least {percent(can[kind])}, with {sure} confidence, "
                f"at a line with {count(can['dropped'], 'image')} below it.</p>"
            )
        head = "The promise holds." if refusal["holds"] else "Nothing is promised, and nothing was dropped."
        css = "card answer" if refusal["holds"] else "card answer refused"
        return f'<section class="{css}"><p>{head}</p><p>{_sentence(refusal["reason"])}</p>{more}</section>'
    said = []
    for kind, words in (
        ("recall", "of all relevant images are kept" + (" or asked about" if facts["images"]["ask"] else "")),
        ("precision", "of all kept images are relevant"),
    ):
        if promise[kind] and promise[kind]["at_least"] is not None:
            said.append(f"at least {percent(promise[kind]['at_least'])} {words}")
    guesses = [
        f"{kind} about {percent(promise[kind]['estimate'])}"
        for kind in ("recall", "precision")
        if promise[kind] and promise[kind]["estimate"] is not None
    ]
    assumption = promise["assumption"] or "none, but that the answers are right"
    return (
        f'<section class="card answer"><p>With {percent(promise["confidence"])} confidence, {" and ".join(said)}.</p>'
        f'<p class="soft">Measured on {count(promise["audit_labels"], "image")} drawn at random, audit '
        f"{promise['audit']}. "
        f"Estimated, not promised: {', '.join(guesses)}. Assumption: {plain(assumption)}.</p></section>"
    )


def _sentence(text: str) -> str:
    return plain(text[:1].upper() + text[1:].rstrip(".") + ".")


def _figures(facts: Facts) -> str:
    images, saved, misses, prices = (facts[name] for name in ("images", "saved", "misses", "prices"))
    found = [("Images looked at", f"{images['looked_at']:,}", "")]
    if images["keep"] is not None:
        found.append(("To annotate", f"{images['keep']:,}", share(images["keep"], images["looked_at"])))
        found.append(("Dropped", f"{images['drop']:,}", share(images["drop"], images["looked_at"])))
        if images["ask"]:
            found.append(("To ask about", f"{images['ask']:,}", share(images["ask"], images["looked_at"])))
    if misses is not None:
        found.append(("Relevant, yet dropped", f"about {misses['estimate']:,.0f}", _at_most(misses, facts)))
    if saved is not None:
        low = money(saved["at_least"], prices)
        found.append(("Saved", money(saved["estimate"], prices), f"at least {low}"))
    else:
        found.append(("Labels given", f"{facts['labels']['given']:,}", ""))
    cells = "".join(
        f'<div><dt>{name}</dt><dd class="big">{big}</dd><dd class="quiet">{small}</dd></div>'
        for name, big, small in found
    )
    return f'<dl class="figures">{cells}</dl>'


def _at_most(misses: Facts, facts: Facts) -> str:
    if not misses["promised"]:
        return "no bound: recall was not promised"
    return f"at most {misses['at_most']:,}, with {percent(facts['target']['confidence'])} confidence"


def _examples(facts: Facts, pictures: Mapping[int, Picture]) -> str:
    if not facts["examples"]:
        return ""
    groups = []
    for group, title in TITLES.items():
        rows = facts["examples"].get(group)
        if rows:
            tiles = "".join(
                _tile(row, pictures.get(row["row_id"], "it is not in this report")) for row in rows
            )
            groups.append(f'<h3>{title}</h3><ul class="pictures">{tiles}</ul>')
    return (
        "<section><h2>Examples from each side</h2>"
        '<p class="about">With the score, the chance of being relevant, and what a person said.</p>'
        f"{''.join(groups)}</section>"
    )


def _tile(row: Facts, picture: Picture) -> str:
    name = name_of(row["uri"])
    if isinstance(picture, bytes):
        data = base64.b64encode(picture).decode("ascii")
        shown = f'<img alt="{plain(name)}" src="data:image/jpeg;base64,{data}">'
    else:
        shown = f'<div class="empty" role="img" aria-label="{plain(name)}: {plain(picture)}">{plain(picture)}</div>'
    said = f'<span class="said {row["label"]}">{row["label"]}</span>' if row["label"] else ""
    return (
        f'<li>{shown}<div class="caption"><span class="name" title="{plain(row["uri"])}">{safe(name)}</span>'
        f"{said}</div>"
        f'<div class="quiet">{_score(row)}</div></li>'
    )


def _score(row: Facts) -> str:
    score = f"score {row['score']:.2f}".replace("-", "\N{MINUS SIGN}")
    return score if row["probability"] is None else f"{score}, {percent(row['probability'])}"


def _method(facts: Facts) -> str:
    recall = facts["target"]["recall"]
    bound = (
        ""
        if recall is None
        else "Recall of at least R means that at most (1 - R) / R relevant images are dropped for each one kept; "
        "kept ones are at most the images above the line that nobody answered with no. "
    )
    return (
        '<footer class="quiet"><p>'
        f"{bound}Saved is the price of the images not annotated, less labels, looks and misses. "
        "Shares of wrong answers come from how often two people disagree on an image. "
        'What the promise rests on: the README of lakesift, "Filter with a promise".</p>'
        f"<p>lakesift, filter {safe(facts['filter'])}, version {facts['version']}, {plain(facts['made_at'])}</p>"
        "</footer>"
    )
