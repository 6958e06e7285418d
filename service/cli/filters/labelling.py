"""Actions that ask people and take their answers: `next`, `label`, `undo`, `plan`, `conflicts`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE, FAILED, PROBLEMS_SHOWN
from service.cli.parts import Verbs, add_json, add_verb, lake_and_name, positive, print_json
from service.formats.format_list import FORMATS, names, taken_back

LITTLE = 0.1  # of the images: who drops less than that is told so

if TYPE_CHECKING:
    from service.relevance import Filter, Filters
    from service.relevance.answers import LabelExportAnswer, LabelFileAnswer
    from service.relevance.promise.progress import Progress


def add_next(actions: Verbs) -> None:
    parser = add_verb(actions, "next", "say which images to label next", [
        "lakesift filter next my.lake hospital -n 20",
        "lakesift filter next my.lake hospital -n 100 --purpose audit --json",
    ])  # fmt: skip
    parser.set_defaults(act=_next)
    lake_and_name(parser)
    parser.add_argument(
        "-n", type=positive, default=20, metavar="N", help="images wanted (default: 20)"
    )
    parser.add_argument(
        "--purpose",
        choices=["teach", "audit"],
        help="teach: the most useful; audit: drawn at random, to measure (default: audit once one was begun)",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="begin a new audit, with what was learnt since the last one; that one is over (default: go on with it)",
    )
    parser.add_argument(
        "--budget",
        type=positive,
        metavar="N",
        help="labels that an audit begun now may take: it aims to drop as much as they settle; of one under way: that "
        "it may take instead, as to go on (default: the least work in all, where a label counts half an annotation)",
    )
    parser.add_argument(
        "--assume",
        choices=["tail"],
        help="share out an audit begun now for apply --assume tail (default: for a promise that assumes nothing)",
    )
    add_json(parser)


def _next(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).next(
        arguments.n,
        arguments.purpose,
        again=arguments.again,
        budget=arguments.budget,
        assume=arguments.assume,
    )
    if arguments.json:
        print_json(found.to_json())
    else:
        if found.rows:
            print(f"{'row':>7}  {'score':>7}  {'p':>5}  path")
        for row in found.rows:
            chance = "-" if row.probability is None else f"{row.probability:.2f}"
            score = "-" if row.score is None else f"{row.score:.3f}"
            print(f"{row.row_id:7d}  {score:>7}  {chance:>5}  {one_line(row.place)}")
    tell_progress(found.progress)
    ask = f"lakesift filter next {arguments.lake} {arguments.name} --purpose"
    if found.purpose == "audit" and not found.progress.labels:
        print(
            f"warning: nothing was taught yet, so this audit measures what the filter's words and examples find; a few "
            f"dozen answers to {ask} teach first save many here. An audit begun later (--again) counts as another try",
            file=sys.stderr,
        )
    if found.rows:
        return DONE
    audit = found.progress.audit
    if found.purpose == "audit" and audit is not None and audit.is_spent:
        more = audit.still_needed
        way_out = (
            "teach the filter more, or ask for less"
            if more is None
            else f"about {more:,} more may do: {ask} audit --budget {audit.answered + more}"
        )
        print(f"its budget of {audit.budget:,} labels is spent; {way_out}", file=sys.stderr)
    else:
        print("nothing is left to ask", file=sys.stderr)
    return DONE


def add_label(actions: Verbs) -> None:
    parser = add_verb(actions, "label", "save answers from a file: CSV, or of an annotation tool", [
        "lakesift filter label my.lake hospital labels.csv --labeller ann",
        "lakesift filter label my.lake hospital project-1.json --format label_studio",
    ])  # fmt: skip
    parser.set_defaults(act=_label)
    lake_and_name(parser)
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="the file with the answers, of the kind that --format names",
    )
    parser.add_argument(
        "--format",
        choices=names(taken_back()),
        default="csv",
        help="; ".join(f"{format.name}: {format.reads}" for format in taken_back())
        + " (default: csv)",
    )
    parser.add_argument(
        "--labeller",
        default="unnamed",
        help="who answered where the file does not say (default: unnamed)",
    )
    parser.add_argument(
        "--yes",
        action="append",
        default=[],
        metavar="CATEGORY",
        help="a category that makes an image relevant, in a tool's file; may be repeated (default: people chose keep, "
        "drop or ask)",
    )
    parser.add_argument(
        "--empty-is-no",
        action="store_true",
        help="every image of a tool's file was looked at: one without any category is a no (default: it has no answer)",
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER_OR_URL",
        help="what paths in the file are below, as it was given to the export (default: none)",
    )
    add_json(parser)


def _label(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.answers import LabelFileAnswer

    saved = _saved(filters.open(arguments.name), arguments)
    if arguments.json:
        print_json(saved.to_json())
    for problem in saved.problems[:PROBLEMS_SHOWN]:
        print(f"{one_line(problem.about)}: {problem.message}", file=sys.stderr)
    more = len(saved.problems) - PROBLEMS_SHOWN
    if more > 0:
        print(f"and {more:,} more", file=sys.stderr)
    unanswered = 0 if isinstance(saved, LabelFileAnswer) else saved.unanswered
    without = (
        f"; {count(unanswered, 'image has', 'images have')} no answer in it" if unanswered else ""
    )
    print(f"saved {count(saved.saved, 'answer')}{without}", file=sys.stderr)
    tell_progress(saved.progress)
    return FAILED if saved.problems else DONE


def _saved(chosen: Filter, arguments: argparse.Namespace) -> LabelFileAnswer | LabelExportAnswer:
    if not FORMATS[arguments.format].by_hand:
        return chosen.labels.save_export(
            arguments.file,
            arguments.format,
            arguments.labeller,
            yes=arguments.yes,
            empty_is_no=arguments.empty_is_no,
            root=arguments.root,
        )
    if arguments.yes or arguments.empty_is_no:
        raise BadRequest(
            "format", "--yes and --empty-is-no are for a tool's file; say which with --format"
        )
    return chosen.labels.save_file(
        arguments.file, arguments.labeller, arguments.format, arguments.root
    )


def add_undo(actions: Verbs) -> None:
    parser = add_verb(actions, "undo", "take back the last answer", [
        "lakesift filter undo my.lake hospital",
        "lakesift filter undo my.lake hospital --row 17 --labeller ann",
    ])  # fmt: skip
    parser.set_defaults(act=_undo)
    lake_and_name(parser)
    parser.add_argument(
        "--row", type=positive, metavar="ROW_ID", help="of this row (default: of any)"
    )
    parser.add_argument("--labeller", help="by this person (default: by anybody)")
    add_json(parser)


def _undo(filters: Filters, arguments: argparse.Namespace) -> int:
    answer = filters.open(arguments.name).labels.undo(arguments.row, arguments.labeller)
    if arguments.json:
        print_json(answer.to_json())
    undone = answer.undone
    told = (
        f"took back {undone.label} of row {undone.row_id}"
        if undone
        else "there is no answer to take back"
    )
    print(told, file=sys.stderr)
    return DONE


def add_plan(actions: Verbs) -> None:
    parser = add_verb(actions, "plan", "show what each line would drop, and about how many audit labels it takes", [
        "lakesift filter plan my.lake hospital",
        "lakesift filter plan my.lake hospital --json",
    ])  # fmt: skip
    parser.set_defaults(act=_plan)
    lake_and_name(parser)
    add_json(parser)


def _plan(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).plan()
    if arguments.json:
        print_json(found.to_json())
        return DONE
    print(
        f"{count(found.rows, 'image')}, about {found.relevant:,} of them relevant", file=sys.stderr
    )
    print(f"{'dropped':>9}  {'kept':>9}  {'recall':>6}  audit labels")
    for option in found.options:
        labels = "out of reach" if option.labels is None else f"about {option.labels:,}"
        print(f"{option.dropped:9,}  {option.kept:9,}  {option.recall:6.3f}  {labels}")
    print(
        "a forecast from what the filter was taught; where every number is too large, rank and label the top: "
        f"lakesift filter next {arguments.lake} {arguments.name} --purpose teach",
        file=sys.stderr,
    )
    return DONE


def tell_progress(progress: Progress) -> None:
    counts = {"skipped": progress.skipped, "conflicts": progress.conflicts}
    said = f"{count(progress.labels, 'label')}: {progress.yes:,} yes, {progress.no:,} no"
    rest = [f"{count:,} {name}" for name, count in counts.items() if count]
    print(", ".join([said, *rest]), file=sys.stderr)
    audit = progress.audit
    if audit is not None:
        needed = audit.still_needed
        state = (
            "the promise is out of sight"
            if needed is None
            else f"about {needed:,} more until the promise holds"
        )
        if audit.drops is not None:
            state = f"the promise holds, {brings(audit.drops, audit.rows, audit.needs_ask)}"
            if more := audit.more:
                state += f"; {count(more.labels, 'more label')} (half an annotation each) may drop {more.drop:,} more"
        print(f"audit {audit.number}: {audit.answered:,} answered, {state}", file=sys.stderr)


def brings(drops: int, rows: int, needs_ask: bool = False) -> str:
    """What applying a promise that holds would do."""
    share = drops / max(rows, 1)
    told = f"{drops:,} of {rows:,} images, {share:.1%}"
    if share < LITTLE:
        return f"but only little would be dropped: {told}"
    how = " with --ask" if needs_ask else ""
    return f"and can be applied{how}: that drops {told}"


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
    for pair in agreement.pairs:
        kappa = "-" if pair.kappa is None else f"{pair.kappa:.2f}"
        print(
            f"{one_line(pair.first)} and {one_line(pair.second)}: kappa {kappa} on {count(pair.rows, 'image')}",
            file=sys.stderr,
        )
    alpha = "-" if agreement.alpha is None else f"{agreement.alpha:.2f}"
    print(
        f"{count(len(agreement.conflicts), 'image')} in conflict; Krippendorff's alpha {alpha}",
        file=sys.stderr,
    )
    return DONE
