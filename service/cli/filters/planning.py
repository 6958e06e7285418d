"""The action `plan`: what each line would drop and cost, and which way is the cheapest."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from indexer.words import count
from service.cli.codes import DONE
from service.cli.parts import (
    Verbs,
    add_currency,
    add_every,
    add_json,
    add_prices,
    add_scene,
    add_verb,
    lake_and_name,
    print_json,
)

if TYPE_CHECKING:
    from service.relevance import Filters
    from service.relevance.promise.prices import Prices
    from service.relevance.promise.progress import PlanAnswer, PlanCosts, PlanScenes

# Amounts from here on are told without cents.
LARGE = 100
# What needs no audit, as it is said.
WAYS = {"label_everything": "label everything", "annotate_everything": "annotate everything"}


def prices_of(arguments: argparse.Namespace, currency: str | None = None) -> Prices | None:
    """What `add_prices` took; None: no price was said."""
    from service.relevance.promise.prices import Prices

    miss = getattr(arguments, "miss_price", None)
    return Prices.said(arguments.price, miss, arguments.label_price, currency)


def add_plan(actions: Verbs) -> None:
    parser = add_verb(actions, "plan", "show what each line would drop, and about how many audit labels it takes", [
        "lakesift filter plan my.lake hospital",
        "lakesift filter plan my.lake hospital --price 0.8 --label-price 0.02 --miss-price 5 --currency EUR",
    ])  # fmt: skip
    parser.set_defaults(act=_plan)
    lake_and_name(parser)
    add_prices(parser)
    add_currency(parser)
    add_every(parser)
    add_scene(parser)
    add_json(parser)


def _plan(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).plan(
        prices_of(arguments, arguments.currency), arguments.every, arguments.scene
    )
    if arguments.json:
        print_json(found.to_json())
        return DONE
    print(f"{count(found.rows, 'image')}, {_relevant(found)}", file=sys.stderr)
    if found.groups is not None:
        print(
            f"in each of {found.groups:,} groups of {arguments.every}, which takes about as many times the labels; a "
            "group in which hardly anything is relevant is answered as a whole below the line",
            file=sys.stderr,
        )
    if found.scenes is not None:
        print("a promise of images:", file=sys.stderr)
    heading = "" if found.costs is None else f"  {found.costs.prices.currency or 'cost':>11}"
    print(f"{'dropped':>9}  {'kept':>9}  {'recall':>6}  audit labels{heading}")
    for option in found.options:
        labels = "out of reach" if option.labels is None else f"about {option.labels:,}"
        line = f"{option.dropped:9,}  {option.kept:9,}  {option.recall:6.3f}  {labels}"
        cost = "-" if option.cost is None else _money(option.cost)
        print(line if found.costs is None else f"{line:42}  {cost:>11}")
    if found.costs is not None:
        for line in recommended(found, found.costs, arguments):
            print(line)
    if found.scenes is not None:
        _tell_scenes(found.scenes)
    print(
        "a forecast from what the filter was taught; where every number is too large, rank and label the top: "
        f"lakesift filter next {arguments.lake} {arguments.name} --purpose teach",
        file=sys.stderr,
    )
    return DONE


def _tell_scenes(found: PlanScenes) -> None:
    print(
        f"a promise of {found.scenes:,} scenes of {found.column}, each looked at once:",
        file=sys.stderr,
    )
    print(f"{'dropped':>9}  {'kept':>9}  {'scenes':>6}  scenes to look at")
    for option in found.options:
        labels = "out of reach" if option.labels is None else f"about {option.labels:,}"
        print(f"{option.dropped:9,}  {option.kept:9,}  {option.recall:6.3f}  {labels}")


def _relevant(found: PlanAnswer) -> str:
    if found.at_most is None or found.confidence is None:
        known = f"{found.at_least:,} of them known to be relevant"
        return f"{known}; how many are in all is not known before an audit"
    sure = f"{found.confidence:.4g} sure"
    return f"between {found.at_least:,} and {found.at_most:,} of them relevant, {sure}"


def _money(amount: float) -> str:
    return f"{amount:,.0f}" if abs(amount) >= LARGE else f"{amount:,.2f}".removesuffix(".00")


def recommended(
    found: PlanAnswer, costs: PlanCosts, arguments: argparse.Namespace
) -> Iterator[str]:
    """The cheapest way beside the others, and the commands that go it."""
    unit = f" {costs.prices.currency}" if costs.prices.currency else ""
    every = {way: getattr(costs, way) for way in WAYS}
    words, line = dict(WAYS), costs.line
    if line is not None:
        looks = f", look at {line.looks:,} of the kept before they are annotated"
        every["line"] = line.cost
        words["line"] = (
            f"drop {line.dropped:,} after about {count(line.labels, 'audit label')}"
            f"{looks if line.looks else ''}"
        )
    cost = every.pop(costs.cheapest)
    yield f"cheapest: {words.pop(costs.cheapest)}: {_money(cost)}{unit}"
    for way, dearer in sorted(every.items(), key=lambda each: each[1]):
        yield f"  {words[way]}: {_money(dearer - cost)}{unit} more"
    name = f"{arguments.lake} {arguments.name}"
    if costs.cheapest == "line" and line is not None:
        flags = ("price", "label_price", "miss_price")
        groups = [] if arguments.every is None else [f"--every {arguments.every}"]
        said = [
            f"--{flag.replace('_', '-')} {getattr(arguments, flag):g}"
            for flag in flags
            if getattr(arguments, flag) is not None
        ]
        yield f"  lakesift filter next {name} --purpose audit {' '.join([*said, *groups])}"
        yield f"  lakesift filter apply {name}{' --ask' if line.looks else ''}"
    elif costs.cheapest == "label_everything":
        yield f"  lakesift filter next {name} --purpose audit --budget {found.rows}"
