"""Actions that ask people and take their answers: `next`, `label`, `undo`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE, FAILED, PROBLEMS_SHOWN
from service.cli.filters.planning import prices_of
from service.cli.parts import (
    Verbs,
    add_every,
    add_json,
    add_prices,
    add_scene,
    add_verb,
    lake_and_name,
    positive,
    print_json,
)
from service.formats.format_list import FORMATS, names, taken_back

HALF = 0.5
PAGE = 20  # images that `next` gives where no number is said
LITTLE = 0.1  # of the images: who drops less than that is told so

if TYPE_CHECKING:
    from service.relevance import Filter, Filters
    from service.relevance.answers import LabelExportAnswer, LabelFileAnswer, NextAnswer
    from service.relevance.promise.progress import Progress


def add_next(actions: Verbs) -> None:
    parser = add_verb(actions, "next", "say which images to label next", [
        "lakesift filter next my.lake hospital -n 20",
        "lakesift filter next my.lake hospital -n 100 --purpose audit --json",
    ])  # fmt: skip
    parser.set_defaults(act=_next)
    lake_and_name(parser)
    parser.add_argument(
        "-n", type=positive, default=PAGE, metavar="N", help=f"images wanted (default: {PAGE})"
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
        "--follow",
        action="store_true",
        help="let the audit follow the lake: its answers go on counting, and images that came since are drawn from "
        "alone (default: the images that there were when it was begun)",
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
    add_prices(parser)
    add_every(parser)
    add_scene(parser)
    parser.add_argument(
        "--labeller",
        help="who will answer: what others were handed in the last ten minutes is left out, and these for others "
        "(default: neither)",
    )
    parser.add_argument(
        "--double",
        type=share,
        default=0.0,
        metavar="SHARE",
        help="of what one other person has answered, this share is asked, too, as 10%% or 0.1 (default: 0)",
    )
    add_json(parser)


def share(text: str) -> float:
    percent = text.removesuffix("%")
    return float(percent) / (100 if percent != text else 1)


def _before_a_look(filter: Filter, found: NextAnswer) -> int | None:
    """How many of these lead up to the first look that lies between them; None: there is none, or
    no more than a usual page is drawn too early, which costs next to nothing.
    """
    audit, standing = found.progress.audit, filter.standing()
    if audit is None or standing is None:
        return None
    ahead = (look - audit.answered for look in standing.audit.design.looks)
    return next((few for few in ahead if 0 < few < len(found.rows) - PAGE), None)


def _next(filters: Filters, arguments: argparse.Namespace) -> int:
    filter = filters.open(arguments.name)
    found = filter.next(
        arguments.n,
        arguments.purpose,
        again=arguments.again,
        budget=arguments.budget,
        assume=arguments.assume,
        labeller=arguments.labeller,
        double=arguments.double,
        prices=prices_of(arguments),
        every=arguments.every,
        scene=arguments.scene,
        follow=arguments.follow,
    )
    if arguments.json:
        print_json(found.to_json())
    else:
        of_scene = found.scenes
        if found.rows:
            heading = "" if of_scene is None else f"{'scene':>7}  "
            print(f"{heading}{'row':>7}  {'score':>7}  {'p':>5}  path")
        for number, row in enumerate(found.rows):
            chance = "-" if row.probability is None else f"{row.probability:.2f}"
            score = "-" if row.score is None else f"{row.score:.3f}"
            scene = "" if of_scene is None else f"{of_scene[number]:7d}  "
            print(f"{scene}{row.row_id:7d}  {score:>7}  {chance:>5}  {one_line(row.place)}")
    tell_progress(found.progress)
    ask = f"lakesift filter next {arguments.lake} {arguments.name} --purpose"
    if found.purpose == "audit" and not found.progress.labels:
        print(
            f"warning: nothing was taught yet, so this audit measures what the filter's words and examples find; a few "
            f"dozen answers to {ask} teach first save many here. An audit begun later (--again) counts as another try",
            file=sys.stderr,
        )
    if found.purpose == "audit" and (few := _before_a_look(filter, found)):
        print(
            f"note: these were drawn before the answers to the first {few:,} of them could teach the plan, so the "
            f"promise may take more labels: ask for fewer at a time (-n {few})",
            file=sys.stderr,
        )
    if found.rows and found.scenes is not None:
        print(
            "one yes answers a scene, of whichever image shows it; where none does: lakesift filter label "
            f"{arguments.lake} {arguments.name} --none ROW",
            file=sys.stderr,
        )
    if found.rows:
        return DONE
    if found.with_others:
        others = count(found.with_others, "image is", "images are")
        print(f"the last {others} with others; ask again in ten minutes", file=sys.stderr)
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
        nargs="?",
        metavar="FILE",
        help="the file with the answers, of the kind that --format names (default: only --none)",
    )
    parser.add_argument(
        "--none",
        type=positive,
        action="append",
        default=[],
        metavar="ROW_ID",
        help="where an audit draws scenes: no image of this row's scene shows it, a no for each; may be repeated "
        "(default: none)",
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

    if arguments.none:
        return _none(filters, arguments)
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


def _none(filters: Filters, arguments: argparse.Namespace) -> int:
    if arguments.file is not None:
        raise BadRequest("--none", "it says what was seen itself; leave the file out")
    saved = filters.open(arguments.name).labels.none_of(arguments.none, arguments.labeller)
    if arguments.json:
        print_json(saved.to_json())
    print(f"saved {count(saved.saved, 'answer')}", file=sys.stderr)
    tell_progress(saved.progress)
    return DONE


def _saved(chosen: Filter, arguments: argparse.Namespace) -> LabelFileAnswer | LabelExportAnswer:
    if arguments.file is None:
        raise BadRequest("file", "name a file with answers, or rows of scenes with --none")
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
        "lakesift filter undo my.lake hospital --row 17 --labeller ann",
        "lakesift filter undo my.lake hospital --answer 7",
    ])  # fmt: skip
    parser.set_defaults(act=_undo)
    lake_and_name(parser)
    parser.add_argument(
        "--row", type=positive, metavar="ROW_ID", help="of this row (default: of any)"
    )
    parser.add_argument("--labeller", help="by this person (default: by anybody)")
    parser.add_argument(
        "--answer",
        type=positive,
        metavar="N",
        help="only this one, by its number, as `undo` and HTTP tell it (default: whichever is the last)",
    )
    add_json(parser)


def _undo(filters: Filters, arguments: argparse.Namespace) -> int:
    labels = filters.open(arguments.name).labels
    if arguments.answer is None:
        answer = labels.undo(arguments.row, arguments.labeller)
    elif arguments.row is None:
        answer = labels.undo_answers([arguments.answer], arguments.labeller)
    else:
        raise BadRequest("--answer", "it names the answer; leave --row out")
    if arguments.json:
        print_json(answer.to_json())
    undone = answer.undone
    told = (
        f"took back {undone.label} of row {undone.row_id} (answer {undone.seq}, by {undone.labeller})"
        if undone
        else "there is no answer to take back"
    )
    print(told, file=sys.stderr)
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
                each = (
                    "half an annotation"
                    if audit.label_price == HALF
                    else f"{audit.label_price:.3g} of an annotation"
                )
                label = "more label" if audit.scene is None else "more scene"
                state += f"; {count(more.labels, label)} ({each} each) may drop {more.drop:,} more"
        what = "" if audit.scene is None else f" {words_of(audit.answered, audit.scene)}"
        print(f"audit {audit.number}: {audit.answered:,}{what} answered, {state}", file=sys.stderr)
        if audit.groups:
            holds = sum(group.holds for group in audit.groups)
            groups = count(len(audit.groups), "group")
            print(f"of {groups} of {audit.every}, {holds:,} hold by now", file=sys.stderr)


def words_of(scenes: int, column: str) -> str:
    """As in "scenes of sequence"."""
    return f"{'scene' if scenes == 1 else 'scenes'} of {column}"


def brings(drops: int, rows: int, needs_ask: bool = False) -> str:
    """What applying a promise that holds would do."""
    share = drops / max(rows, 1)
    told = f"{drops:,} of {rows:,} images, {share:.1%}"
    if share < LITTLE:
        return f"but only little would be dropped: {told}"
    how = " with --ask" if needs_ask else ""
    return f"and can be applied{how}: that drops {told}"
