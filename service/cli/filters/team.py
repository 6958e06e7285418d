"""Actions for several people who label one filter: `team`, `conflicts`, `settle`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE, FAILED
from service.cli.filters.labelling import tell_progress
from service.cli.parts import Verbs, add_json, add_verb, lake_and_name, positive, print_json

if TYPE_CHECKING:
    from service.relevance import Filters
    from service.relevance.labels.agreement import Agreement

KINDS = ("given", "teach", "audit", "picked", "settle", "yes", "no", "skip")


def add_team(actions: Verbs) -> None:
    parser = add_verb(actions, "team", "show who did how much, and how far people agree", [
        "lakesift filter team my.lake hospital",
        "lakesift filter team my.lake hospital --json",
    ])  # fmt: skip
    parser.set_defaults(act=_team)
    lake_and_name(parser)
    add_json(parser)


def _team(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).labels.team()
    if arguments.json:
        print_json(found.to_json())
        return DONE
    names = [one_line(each.labeller) for each in found.labels.by]
    wide = max(map(len, ["who", *names]))
    if names:
        print(f"{'who':<{wide}}" + "".join(f"  {kind:>7}" for kind in KINDS))
    for name, each in zip(names, found.labels.by, strict=True):
        counts = "".join(f"  {getattr(each, kind):7,}" for kind in KINDS)
        print(f"{name:<{wide}}{counts}")
    agreement = found.agreement
    _tell_agreement(agreement)
    if agreement.conflicts:
        print(
            f"each in conflict counts as the worst case; see lakesift filter conflicts {arguments.lake} "
            f"{arguments.name}, and decide with settle",
            file=sys.stderr,
        )
    return DONE


def _tell_agreement(agreement: Agreement) -> None:
    if agreement.rows:
        share = agreement.agreed / agreement.rows
        print(
            f"{count(agreement.rows, 'image was', 'images were')} answered by two people or more, who agree on "
            f"{agreement.agreed:,} ({share:.1%})",
            file=sys.stderr,
        )
    for pair in agreement.pairs:
        kappa = "-" if pair.kappa is None else f"{pair.kappa:.2f}"
        print(
            f"{one_line(pair.first)} and {one_line(pair.second)}: kappa {kappa} on {count(pair.rows, 'image')}",
            file=sys.stderr,
        )
    for names in agreement.alike:
        print(
            f"{' and '.join(map(one_line, names))} count as different people; if they are one, their answers "
            "agree with each other alone",
            file=sys.stderr,
        )
    if agreement.unnamed_differ:
        print(
            f"answers without a name say yes and no of {count(agreement.unnamed_differ, 'image')}: the last one "
            "counts, as if one person had thought anew; if they are several people, label with --labeller NAME",
            file=sys.stderr,
        )
    alpha = "-" if agreement.alpha is None else f"{agreement.alpha:.2f}"
    settled = f", {len(agreement.settled):,} settled" if agreement.settled else ""
    print(
        f"{count(len(agreement.conflicts), 'image')} in conflict{settled}; Krippendorff's alpha {alpha}",
        file=sys.stderr,
    )


def add_settle(actions: Verbs) -> None:
    parser = add_verb(actions, "settle", "decide images on which people disagree", [
        "lakesift filter settle my.lake hospital --row 73 --label yes --labeller cem",
        "lakesift filter settle my.lake hospital --row 73 --row 80 --label no --labeller cem",
    ])  # fmt: skip
    parser.set_defaults(act=_settle)
    lake_and_name(parser)
    parser.add_argument(
        "--row",
        type=positive,
        action="append",
        required=True,
        metavar="ROW_ID",
        help="an image that `conflicts` lists; may be repeated",
    )
    parser.add_argument(
        "--label",
        choices=["yes", "no"],
        required=True,
        help="what counts from now on, whatever is answered later, until `undo` takes it back",
    )
    parser.add_argument(
        "--labeller", default="unnamed", help="who decides (default: unnamed); best a third person"
    )
    add_json(parser)


def _settle(filters: Filters, arguments: argparse.Namespace) -> int:
    said = {"label": arguments.label, "labeller": arguments.labeller}
    labels = [{"row_id": row_id, **said} for row_id in dict.fromkeys(arguments.row)]
    answer = filters.open(arguments.name).label(labels, settle=True)
    if arguments.json:
        print_json(answer.to_json())
    for problem in answer.problems:
        print(problem.message, file=sys.stderr)
    print(f"settled {count(answer.saved, 'image')} as {arguments.label}", file=sys.stderr)
    tell_progress(answer.progress)
    return FAILED if answer.problems else DONE


def add_conflicts(actions: Verbs) -> None:
    parser = add_verb(actions, "conflicts", "show who agrees with whom, and where people disagree", [
        "lakesift filter conflicts my.lake hospital",
        "lakesift filter conflicts my.lake hospital --json",
    ])  # fmt: skip
    parser.set_defaults(act=_conflicts)
    lake_and_name(parser)
    add_json(parser)


def _conflicts(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).labels.conflicts()
    if arguments.json:
        print_json(found.to_json())
        return DONE
    agreement = found.agreement
    answers = [
        one_line(", ".join(f"{who}: {what}" for who, what in conflict.labellers.items()))
        for conflict in agreement.conflicts
    ]
    wide = max(map(len, ["answers", *answers]))
    if answers:
        print(f"{'row':>7}  {'answers':<{wide}}  path")
    for conflict, said in zip(agreement.conflicts, answers, strict=True):
        print(f"{conflict.row_id:7d}  {said:<{wide}}  {one_line(conflict.uri or 'gone')}")
    _tell_agreement(agreement)
    return DONE
