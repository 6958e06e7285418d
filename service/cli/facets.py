"""The verb `facets`: what the columns of a lake hold, counted."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_verb, positive, print_json
from service.search.decided import WANTED

if TYPE_CHECKING:
    from service.search.facets import Facet

_BAR = 24  # characters of the longest bar
_VALUE = 40  # characters of a value before it is cut for people


def add_facets(verbs: Verbs) -> None:
    parser = add_verb(verbs, "facets", "count what the columns of a lake hold", [
        "lakesift facets my.lake",
        "lakesift facets my.lake --column camera --where \"width_px >= 1024\" --values 50",
    ])  # fmt: skip
    parser.set_defaults(run=_facets)
    add_lake(parser)
    parser.add_argument(
        "--column",
        dest="columns",
        action="append",
        metavar="NAME",
        help="a column, e.g. place.latitude; may be repeated (default: those with a range or few values)",
    )
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="only rows that pass; a column is counted without the conditions that ask for it alone",
    )
    parser.add_argument(
        "--filter", metavar="NAME", help="only rows that this filter decided as --decision says"
    )
    parser.add_argument(
        "--decision",
        action="append",
        choices=WANTED,
        help="with --filter: which rows; undecided: those without a decision; may be repeated "
        "(default: keep)",
    )
    parser.add_argument(
        "--values",
        type=positive,
        metavar="N",
        help="values of a column at most, those that most rows have (default: 12)",
    )
    add_json(parser)


def _facets(arguments: argparse.Namespace) -> int:
    from service.lake import Lake
    from service.search.facets import VALUES

    with Lake.open(arguments.lake) as lake:
        found = lake.facets(
            arguments.where,
            arguments.columns,
            values=arguments.values or VALUES,
            filter=arguments.filter,
            decision=arguments.decision,
        )
    if arguments.json:
        facets = [facet.to_json() for facet in found.facets]
        print_json({"rows": found.rows, "facets": facets})
        return DONE
    print(f"{count(found.rows, 'image')}{'' if arguments.where is None else ' that pass'}")
    for facet in found.facets:
        print()
        _tell(facet)
    return DONE


def _tell(facet: Facet) -> None:
    without = f", {facet.nulls:,} without" if facet.nulls else ""
    print(f"{one_line(facet.name)}: {facet.rows:,} with a value{without}")
    lines = [(_plain(each.value), each.rows) for each in facet.values]
    lines += [
        (f"{_edge(each.low)} to {_edge(each.high)}", each.rows) for each in facet.bins if each.rows
    ]
    most = max((rows for _, rows in lines), default=0)
    width = max((len(text) for text, _ in lines), default=0)
    for text, rows in lines:
        bar = "#" * round(_BAR * rows / most) if most else ""
        print(f"  {text:<{width}}  {rows:>10,}  {bar}".rstrip())
    if facet.more_values:
        print(f"  and {facet.more_values:,} more; --values N shows more of them")


def _plain(value: str | bool) -> str:
    """As a `where` compares it, unless it is cut: a text that is written as a time is a text."""
    if isinstance(value, bool):
        return str(value).lower()
    text = one_line(value)
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 3]}..."


def _edge(value: float | str) -> str:
    """Of a bin: a number, or a time."""
    if isinstance(value, str):
        return value[: len("2024-05-01T12:00:00")].replace("T", " ")
    return f"{value:.12g}"
