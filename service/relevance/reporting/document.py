"""The report as one HTML file to mail: no script, nothing from elsewhere, pictures inside.

Knows only the facts and the pictures; the same ones give the same bytes. The templates escape
whatever they print, so that a name or a prompt may hold anything.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.sources.names import one_line
from service.relevance.reporting import charts, sums, words
from service.relevance.reporting.examples import TITLES
from service.relevance.reporting.pictures import Picture
from service.relevance.reporting.scores import fewer

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).with_name("templates")
MOST_LISTED = 50  # conflicts, changed labels
Facts = Mapping[str, Any]


def document(facts: Facts, pictures: Mapping[int, Picture]) -> bytes:
    """UTF-8.

    :param facts: a `Report` in JSON.
    :param pictures: by row_id; rows without one are told as not there.
    """
    told = facts["people"]["wrong_answers"]["warning"]
    text = _template().render(
        facts=facts,
        warnings=[*([told] if told else []), *facts["notes"]],
        came_in=sums.came_in(facts["images"]),
        sums=None if facts["saved"] is None else sums.saved_sums(facts),
        range=_range(facts["saved"]),
        scores=charts.scores(facts["scores"], facts["line"]),
        bands=fewer(facts["bands"]),
        examples=_examples(facts["examples"], pictures),
        most_listed=MOST_LISTED,
    )
    return text.encode("utf-8", "replace")


@cache
def _template() -> Template:
    # Not at the top: only who writes a report needs Jinja.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def on_one_line(value: Any) -> Any:
        """The facts' texts, where they are printed; Markup is ours, and printed as it is."""
        return one_line(value) if type(value) is str else value

    def apart(text: object) -> Markup:
        """In its own direction: a name cannot turn round what stands beside it."""
        return Markup("<bdi>{}</bdi>").format(one_line(str(text)))

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=on_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"apart": apart, "name_of": words.name_of, "sentence": words.sentence}
    environment.globals |= {
        name: getattr(words, name)
        for name in ("count", "each_at", "money", "other_promise", "price", "signed")
    }
    # Markup: their space that does not break is ours, and none to be shown as an odd character.
    environment.globals |= {
        "percent": lambda share: Markup(words.percent(share)),
        "share": lambda part, whole: Markup(words.share(part, whole)),
    }
    return environment.get_template("report.html")


def _range(saved: Facts | None) -> charts.Range | None:
    if saved is None:
        return None
    return charts.span(saved["at_least"], saved["estimate"], saved["at_most"])


def _examples(
    chosen: Mapping[str, list[Facts]], pictures: Mapping[int, Picture]
) -> list[tuple[str, list[Facts]]]:
    """Each group's title and its rows, each with its picture as base64, or why there is none."""
    return [
        (title, [{**row, **_picture(pictures.get(row["row_id"]))} for row in chosen[group]])
        for group, title in TITLES.items()
        if chosen.get(group)
    ]


def _picture(picture: Picture | None) -> dict[str, str | None]:
    if isinstance(picture, bytes):
        return {"jpeg": base64.b64encode(picture).decode("ascii"), "missing": None}
    return {"jpeg": None, "missing": picture or "it is not in this report"}
