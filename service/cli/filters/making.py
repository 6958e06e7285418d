"""Actions that make, show, copy, delete and mend filters:
`new`, `list`, `show`, `diff`, `copy`, `delete`, `mend`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE, FAILED, PROBLEMS_SHOWN
from service.cli.filters.labelling import tell_progress
from service.cli.lakes import add_lake
from service.cli.parts import (
    Verbs,
    add_json,
    add_verb,
    lake_and_name,
    positive,
    print_json,
    tell_minus,
)

if TYPE_CHECKING:
    from service.relevance import Filter, Filters
    from service.relevance.answers import FiltersAnswer


def add_new(actions: Verbs) -> None:
    parser = add_verb(actions, "new", "make a filter from texts and examples; it promises nothing yet", [
        'lakesift filter new my.lake hospital --keep "a hospital room" --keep "a hospital corridor"',
        "lakesift filter new my.lake cats --keep-image cat.jpg --where \"width_px >= 640\" --recall 0.98",
    ])  # fmt: skip
    parser.set_defaults(act=_new)
    lake_and_name(parser)
    repeated = {
        "--keep": ("TEXT", "a text that what you want fits; may be repeated"),
        "--keep-image": ("PATH", "an image like those you want; may be repeated"),
        "--drop": ("TEXT", "a text that what you do not want fits; may be repeated"),
        "--drop-image": ("PATH", "an image like those you do not want; may be repeated"),
    }
    for flag, (metavar, help_) in repeated.items():
        parser.add_argument(
            flag, action="append", default=[], metavar=metavar, help=f"{help_} (default: none)"
        )
    for flag, word in (("--keep-row", "want"), ("--drop-row", "do not want")):
        parser.add_argument(
            flag,
            type=positive,
            action="append",
            default=[],
            metavar="ROW_ID",
            help=f"a row of the lake like those you {word}; may be repeated (default: none)",
        )
    parser.add_argument(
        "--where", metavar="SQL", help="only rows for which this holds are looked at (default: all)"
    )
    parser.add_argument(
        "--recall",
        type=float,
        metavar="R",
        help="of all relevant images, at least this share is kept (default: 0.95, unless --precision is given)",
    )
    parser.add_argument(
        "--precision",
        type=float,
        metavar="P",
        help="of all kept images, at least this share is relevant (default: not promised)",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="C",
        help="how sure the promise is (default: 0.95)",
    )
    add_json(parser)


def _new(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.definition import Target

    tell_minus(arguments.keep, "--drop")
    recall = arguments.recall
    if recall is None and arguments.precision is None:
        recall = 0.95
    made = filters.create(
        arguments.name,
        keep_texts=arguments.keep,
        keep_images=arguments.keep_image,
        keep_rows=arguments.keep_row,
        drop_texts=arguments.drop,
        drop_images=arguments.drop_image,
        drop_rows=arguments.drop_row,
        where=arguments.where,
        target=Target(recall, arguments.precision, arguments.confidence),
    )
    if arguments.json:
        print_json(made.summary().to_json())
    print(
        f"made filter {made.name}, a draft that promises nothing yet; teach it with what this asks for: "
        f"lakesift filter next {arguments.lake} {made.name}; or on the page /label of: "
        f"lakesift serve {arguments.lake}",
        file=sys.stderr,
    )
    if begun := filters.store.audits_begun(made.name):
        audits = "1 audit" if begun == 1 else f"{begun:,} audits"
        print(
            f"note: a filter of this name was deleted after {audits}, so the next one counts as number {begun + 1} "
            "and takes more labels; for another wish choose another name",
            file=sys.stderr,
        )
    return DONE


def add_list(actions: Verbs) -> None:
    parser = add_verb(actions, "list", "list a lake's filters", [
        "lakesift filter list my.lake",
        "lakesift filter list my.lake --json",
    ])  # fmt: skip
    parser.set_defaults(act=_list)
    add_lake(parser)
    add_json(parser)


def _list(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.listing()
    if arguments.json:
        print_json(found.to_json())
        return _tell_damaged(found)
    if not found.filters and not found.problems:
        print(
            f"no filters yet; make one with: lakesift filter new {arguments.lake} NAME --keep TEXT",
            file=sys.stderr,
        )
    for each in found.filters:
        shares = {"recall": each.target.recall, "precision": each.target.precision}
        wanted = " ".join(f"{kind} {share:g}" for kind, share in shares.items() if share)
        line = (
            f"{each.name}  {each.stage}  version {each.version}  {wanted}  {each.labels:,} labels"
        )
        if each.applied and each.applied.smaller:
            line += f"  promised: {each.applied.promise.sentence}"
        if each.applied and each.applied.undecided:
            line += f"  {each.applied.undecided:,} undecided since"
        print(line)
    return _tell_damaged(found)


def _tell_damaged(found: FiltersAnswer) -> int:
    for problem in found.problems:
        print(f"warning: filter {problem.name} cannot be used: {problem.message}", file=sys.stderr)
    return FAILED if found.problems else DONE


def add_show(actions: Verbs) -> None:
    parser = add_verb(actions, "show", "show a filter: what it wants, its labels, its audit", [
        "lakesift filter show my.lake hospital",
        "lakesift filter show my.lake hospital --version 1 --json",
    ])  # fmt: skip
    parser.set_defaults(act=_show)
    lake_and_name(parser)
    parser.add_argument(
        "--version", type=positive, metavar="N", help="of this version (default: the latest)"
    )
    add_json(parser)


def _show(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.decisions.answers import Promise

    chosen = filters.open(arguments.name)
    definition = chosen.versions.at(arguments.version)
    applied = chosen.decisions.in_force()
    # Of what is taught now, which an older version was not.
    ranking = chosen.ranking() if arguments.version is None else None
    if arguments.json:
        told = {
            "progress": chosen.progress().to_json(),
            "applied": None if applied is None else applied.to_json(),
            "ranking": None if ranking is None else ranking.to_json(),
        }
        print_json({**definition.to_document(), **told})
        return DONE
    print(f"{definition.name}, version {definition.version}: {definition.reason}")
    for side, examples in (("keep", definition.keep), ("drop", definition.drop)):
        shown = [
            *examples.texts,
            *(f"row {row}" for row in examples.row_ids),
            *(i.name for i in examples.images),
        ]
        if shown:
            print(f"{side}: {'; '.join(one_line(text) for text in shown)}")
    if definition.where:
        print(f"where: {one_line(definition.where)}")
    print(f"wanted: {Promise.wanted(definition.target).sentence}")
    if applied is not None:
        print(f"promised by version {applied.version}: {applied.promise.sentence}")
        notes = (applied.smaller, applied.note(str(arguments.lake), chosen.name))
        for note in filter(None, notes):
            print(f"note: {note}")
    for name, value in (definition.measured or {}).items():
        if isinstance(value, dict):
            known = [f"{part} {number}" for part, number in value.items() if number is not None]
            if known:
                print(f"{name}: {', '.join(known)}")
        else:
            print(f"{name}: {value}")
    if ranking is not None and chosen.answers():
        print(f"ranking: {ranking.sentence}")
    tell_progress(chosen.progress())
    return DONE


def add_diff(actions: Verbs) -> None:
    parser = add_verb(actions, "diff", "show what changed between two versions", [
        "lakesift filter diff my.lake hospital 1 2",
        "lakesift filter diff my.lake hospital 1 2 --json",
    ])  # fmt: skip
    parser.set_defaults(act=_diff)
    lake_and_name(parser)
    parser.add_argument("before", type=positive, metavar="N", help="the older version")
    parser.add_argument("after", type=positive, metavar="M", help="the newer version")
    add_json(parser)


def _diff(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).versions.diff(arguments.before, arguments.after)
    if arguments.json:
        print_json(found.to_json())
        return DONE
    for change in found.changes:
        print(f"{change.field}: {change.before} -> {change.after}")
    return DONE


def add_copy(actions: Verbs) -> None:
    parser = add_verb(actions, "copy", "make a filter like another, here or in another lake, without its promise", [
        "lakesift filter copy my.lake hospital clinic",
        "lakesift filter copy my.lake hospital hospital --labels --into new.lake",
    ])  # fmt: skip
    parser.set_defaults(act=_copy)
    lake_and_name(parser)
    parser.add_argument(
        "new_name", metavar="NEW_NAME", help="the copy's name; in another lake it may be the same"
    )
    parser.add_argument(
        "--labels", action="store_true", help="copy the labels too (default: begin without any)"
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="NEW_LAKE",
        help="another lake, as of another model: examples and labels are found again there by their images' bytes "
        "(default: the filter's own lake)",
    )
    add_json(parser)


def _copy(filters: Filters, arguments: argparse.Namespace) -> int:
    if arguments.into is not None:
        return _copy_into(filters, arguments)
    made = filters.copy(arguments.name, arguments.new_name, labels=arguments.labels)
    if arguments.json:
        print_json(made.summary().to_json())
    print(
        f"made filter {made.name}, like {arguments.name}{_audits_before(filters, made)}",
        file=sys.stderr,
    )
    return DONE


def _copy_into(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.lake import Lake
    from service.relevance import Filters

    with Lake.open(arguments.into, trust_model=bool(arguments.trust_model)) as lake:
        there = Filters(lake)
        carried = filters.carry(arguments.name, there, arguments.new_name, labels=arguments.labels)
        if arguments.json:
            print_json(carried.to_json())
        print(
            f"made filter {carried.filter.name} in {arguments.into}, like {arguments.name} in {arguments.lake}"
            f"{_audits_before(there, carried.filter)}",
            file=sys.stderr,
        )
        print(_part_taken(filters, arguments.name), file=sys.stderr)
        here, now = carried.average_precision_here, carried.average_precision_there
        if arguments.labels:
            ranks = (
                ""
                if here is None or now is None
                else (
                    f"; cross-validated on them, its best scorer has an average precision of {now:.2f}, in "
                    f"{arguments.lake} {here:.2f}"
                )
            )
            print(f"{count(carried.labels, 'label')} taken along{ranks}", file=sys.stderr)
        for sentence in carried.left_out:
            print(f"warning: {sentence}", file=sys.stderr)
    return FAILED if carried.left_out else DONE


def _audits_before(filters: Filters, made: Filter) -> str:
    begun = filters.store.audits_begun(made.name)
    return f"; its next audit counts as number {begun + 1} of both" if begun else ""


def _part_taken(filters: Filters, name: str) -> str:
    """:param filters: of the lake that the copy was made from."""
    given = filters.store.copied_from(name).part.given
    return (
        f"note: it took 1/{given + 1} of the chance of error along that {name} had left to promise with; audits of "
        "both take more labels for it"
    )


def add_delete(actions: Verbs) -> None:
    parser = add_verb(actions, "delete", "take a filter out of service; its files are kept, and you are told where", [
        "lakesift filter delete my.lake hospital",
        "lakesift filter delete my.lake hospital-old",
    ])  # fmt: skip
    parser.set_defaults(act=_delete)
    lake_and_name(parser)


def _delete(filters: Filters, arguments: argparse.Namespace) -> int:
    place = filters.delete(arguments.name)
    print(f"filter {arguments.name} is out of service; its files lie in {place}", file=sys.stderr)
    return DONE


def add_mend(actions: Verbs) -> None:
    parser = add_verb(actions, "mend", "go on with the labels that can be read, where they are damaged", [
        "lakesift filter mend my.lake hospital",
        "lakesift filter mend my.lake hospital --json",
    ])  # fmt: skip
    parser.set_defaults(act=_mend)
    lake_and_name(parser)
    add_json(parser)


def _mend(filters: Filters, arguments: argparse.Namespace) -> int:
    mended = filters.mend(arguments.name)
    if arguments.json:
        print_json(mended.to_json())
    if mended.damaged is None and not mended.missing:
        print(f"nothing to mend: {mended.lines:,} lines, all as written", file=sys.stderr)
        return DONE
    lost = ""
    if mended.lost:
        lost = f", lost line {', '.join(map(str, mended.lost[:PROBLEMS_SHOWN]))}"
        more = len(mended.lost) - PROBLEMS_SHOWN
        lost += f" and {more:,} more" if more > 0 else ""
    gone = f", {mended.missing:,} more were gone" if mended.missing else ""
    kept = f"; the damaged file is kept: {mended.damaged}" if mended.damaged else ""
    print(
        f"version {mended.version}: kept {mended.lines:,} lines{lost}{gone}{kept}; go on with: "
        f"lakesift filter next {arguments.lake} {arguments.name}",
        file=sys.stderr,
    )
    return DONE
