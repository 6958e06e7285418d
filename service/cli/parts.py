"""What the arguments of several verbs have in common."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from service.cli.lakes import add_lake
from service.cli.usage import Parser, in_quotes, number, whole_number
from service.search.typed import TypedQuery

Verbs = Any  # argparse's sub-parsers action has no public type


def add_verb(verbs: Verbs, name: str, help: str, examples: Sequence[str]) -> Parser:
    parser: Parser = verbs.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document (default: text for people)"
    )


def add_prices(parser: argparse.ArgumentParser, *, misses: bool = True) -> None:
    """:param misses: a price of a miss is of use, too."""
    flags = {
        "--price": "of annotating one image (default: 1, and all is counted in annotations)",
        "--label-price": "of one yes or no (default: half of --price)",
        "--miss-price": "of a relevant image that is dropped (default: misses are counted, and cost nothing)",
    }
    for flag, what in flags.items():
        if misses or flag != "--miss-price":
            parser.add_argument(flag, type=float, metavar="PRICE", help=f"the price {what}")


def add_every(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--every",
        metavar="COLUMN",
        help="promise the recall in every group of this column's values, as every camera, which takes about as many "
        "times the labels as there are groups (default: of all images together)",
    )


def add_scene(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scene",
        metavar="COLUMN",
        help="promise that of all scenes (the images of one value of this column, as sequence; group: of "
        "near-identical images) in which something relevant is to be seen so many keep a relevant image; each is "
        "looked at once (default: of images)",
    )


def add_currency(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--currency", metavar="TEXT", help="what stands behind prices, as EUR (default: none)"
    )


def add_raw_cells(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--raw-cells",
        action="store_true",
        help="in a CSV for programs, leave texts that a spreadsheet would run as formulas (= + - @) as they are "
        "(default: such a text gets a ' before it, which our readers take off)",
    )


def add_trust_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-model",
        action="store_true",
        default=None,
        help="load the model that the lake names, whoever made the lake; said once, it is remembered "
        "(default: builtin, and models that were named on this machine)",
    )


def positive(text: str) -> int:
    value = whole_number(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def whole(text: str) -> int:
    value = whole_number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def hours(text: str) -> float:
    value = number(text)
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to a million hours")
    return value


def print_json(document: object) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=1, default=str))


def tell_minus(texts: Sequence[str], flag: str) -> None:
    """Where a text that is taken as it is has a minus, as in a typed query: what makes it unwanted.

    :param flag: of the texts that are unwanted.
    """
    for text in texts:
        if unwanted := TypedQuery.parse(text).unwanted:
            instead = f"{flag} {in_quotes(unwanted[0])}"
            print(
                f"note: {text!r} is taken as it is; what you do not want: {instead}",
                file=sys.stderr,
            )


def lake_and_name(parser: argparse.ArgumentParser) -> None:
    add_lake(parser)
    parser.add_argument("name", metavar="NAME", help="the filter's name")
