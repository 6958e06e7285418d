"""The verb `curate`: what is worked out over all images of a lake, to choose among them by."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.words import count
from service.cli.codes import DONE
from service.cli.comparing import add_compare
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_verb, print_json, whole
from service.cli.picking import add_pick
from service.cli.straying import add_strange
from service.cli.usage import number

if TYPE_CHECKING:
    from service.curate.groups import GroupsMade
    from service.search.tagging import Tagged


def add_curate(verbs: Verbs) -> None:
    parser = add_verb(verbs, "curate", "find near-identical and strange images, pick which to label, compare sets", [
        "lakesift curate groups my.lake --tag copy",
        "lakesift curate pick my.lake -n 200 --tag label",
        "lakesift curate strange my.lake",
        "lakesift curate compare my.lake --a \"captured_at < '2026-06-01'\"",
    ])  # fmt: skip
    inner = parser.add_subparsers(title="verbs", metavar="VERB", required=True, dest="curate_verb")
    _add_groups(inner)
    add_pick(inner)
    add_strange(inner)
    add_compare(inner)


def _add_groups(verbs: Verbs) -> None:
    parser = add_verb(
        verbs, "groups", "group images that are nearly the same: `where` then has group, group_size and is_best", [
        "lakesift curate groups my.lake",
        "lakesift search my.lake \"a tram\" --where is_best",
    ])  # fmt: skip
    parser.set_defaults(run=_groups)
    add_lake(parser)
    parser.add_argument(
        "--bits",
        type=whole,
        default=8,
        metavar="N",
        help="of the 64 bits of two images' perceptual hashes so many may differ, 0 to 8 (default: 8)",
    )
    parser.add_argument(
        "--threshold",
        type=number,
        metavar="COSINE",
        help="least cosine of their vectors, -1 to 1 (default: 0.5)",
    )
    parser.add_argument(
        "--tag",
        metavar="NAME",
        help="give this tag to all but the best of each group (default: nothing is tagged)",
    )
    add_json(parser)


def _groups(arguments: argparse.Namespace) -> int:
    from service.cli.progress import TerminalProgress
    from service.lake import Lake
    from service.tags.names import tag_name

    if arguments.tag is not None:
        tag_name(arguments.tag, "--tag")
    with Lake.open(arguments.lake) as lake, TerminalProgress(is_passing=True) as progress:
        made = lake.make_groups(
            bits=arguments.bits, threshold=arguments.threshold, progress=progress
        )
        others = lake.where_copies
        tagged = None if arguments.tag is None else lake.tag(arguments.tag, where=others)
    if arguments.json:
        print_json(made.to_json() | ({} if tagged is None else {"tagged": tagged.to_json()}))
    else:
        _tell(made, tagged, arguments.lake, others.removeprefix("NOT "))
    return DONE


def _tell(made: GroupsMade, tagged: Tagged | None, lake: Path, best: str) -> None:
    """:param best: how a `where` asks for the best of each group."""
    if made.groups:
        print(
            f"{made.copies:,} of {count(made.rows, 'image')} "
            f"{'is' if made.copies == 1 else 'are'} nearly another one: "
            f"{count(made.groups, 'group')}, the largest of {made.largest:,}"
        )
        print(f"the best of each, and all that are like no other: --where {best}")
    else:
        print(f"none of {count(made.rows, 'image')} is nearly another one")
    if made.unread:
        print(
            f"{count(made.unread, 'image was', 'images were')} not compared, for want of a perceptual hash: "
            f"`lakesift sync {lake} --recompute phash` reads them"
        )
    if tagged is not None and tagged.seq is not None:
        print(
            f"tagged {count(tagged.rows, 'image')} {tagged.name}; "
            f"`lakesift tag {lake} --undo --act {tagged.seq}` takes it back"
        )
