"""The verb `curate strange`: which images of a lake stand alone."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_verb, positive, print_json, whole
from service.cli.usage import number

if TYPE_CHECKING:
    from service.curate.strange.strange import StrangeImages
    from service.lake import Lake

SHOWN_ROWS = 5  # of a group
SHOWN_GROUPS = 20


def add_strange(verbs: Verbs) -> None:
    parser = add_verb(
        verbs, "strange", "find images that stand alone: corner cases, faults, what got in by mistake", [
        "lakesift curate strange my.lake",
        "lakesift curate strange my.lake --where \"site = 'oslo'\" --tag look-at",
        "lakesift curate strange my.lake --labelled \"tag = 'done'\" > unlike-all-labelled.tsv",
    ])  # fmt: skip
    parser.set_defaults(run=_strange)
    add_lake(parser)
    parser.add_argument(
        "-n",
        type=positive,
        default=100,
        metavar="N",
        help="tell so many at most, the strangest first (default: 100)",
    )
    parser.add_argument(
        "--where", metavar="SQL", help="look at the images that pass, and at these alone"
    )
    parser.add_argument(
        "--labelled",
        metavar="SQL",
        help="images that pass have labels: find what is far from all of them (default: what is far from all others)",
    )
    parser.add_argument(
        "--q",
        type=number,
        default=0.05,
        metavar="SHARE",
        help="of what is found at most this share may be there by chance (default: 0.05)",
    )
    parser.add_argument(
        "--seed",
        type=whole,
        default=0,
        metavar="N",
        help="of what is drawn at random of a large lake (default: 0)",
    )
    parser.add_argument(
        "--tag",
        metavar="NAME",
        help="give them this tag (default: print their row_ids, groups and addresses, the strangest first)",
    )
    add_json(parser)


def _strange(arguments: argparse.Namespace) -> int:
    from service.cli.progress import TerminalProgress
    from service.lake import Lake
    from service.tags.names import tag_name

    if arguments.tag is not None:
        tag_name(arguments.tag, "--tag")
    with Lake.open(arguments.lake) as lake:
        with TerminalProgress(is_passing=True) as progress:
            found = lake.strange(
                arguments.n,
                where=arguments.where,
                labelled=arguments.labelled,
                q=arguments.q,
                seed=arguments.seed,
                progress=progress,
            )
        tagged = None
        if arguments.tag is not None and found.images:
            tagged = lake.tag(arguments.tag, [each.row_id for each in found.images])
        if arguments.json:
            print_json(found.to_json() | ({} if tagged is None else {"tagged": tagged.to_json()}))
            return DONE
        if arguments.tag is None:
            _list(lake, found)
    _tell(found, arguments.q)
    if tagged is not None:
        _say(
            f"tagged {count(tagged.rows, 'image')} {tagged.name}; "
            f"`lakesift tag {arguments.lake} --undo --act {tagged.seq}` takes it back"
        )
    return DONE


def _list(lake: Lake, found: StrangeImages) -> None:
    """The images alone on stdout, so that a file holds nothing else."""
    import numpy as np

    snapshot = lake.snapshot
    places = snapshot.places_of(np.array([each.row_id for each in found.images], np.int64))[1:]
    addresses = snapshot.rows(*places, ["uri"])["uri"].to_pylist()
    for each, uri in zip(found.images, addresses, strict=True):
        print(f"{each.row_id}\t{each.group}\t{one_line(uri)}")


def _tell(found: StrangeImages, q: float) -> None:
    far = "the others" if found.labelled is None else f"{count(found.labelled, 'labelled image')}"
    of = f"of {count(found.rows, 'image')}"
    if not found.found:
        tail = "all" if found.labelled is None else "theirs"
        _say(
            f"none {of} is strange (q at most {q:g}): none is farther from {far} than the tail of {tail} explains"
        )
        return
    told = len(found.images)
    first = "" if told == found.found else f"; the strangest {told:,} are told"
    _say(
        f"{found.found:,} {of} are far from {far} (q at most {q:g}, if the tail falls off as it does below){first}"
    )
    nearest = "tenth nearest" if found.labelled is None else "nearest other one"
    who = "a usual" if found.labelled is None else "a labelled"
    _say(f"cosine of {who} image to its {nearest}: {found.usual:.2f}")
    cosines = {each.row_id: each.cosine for each in found.images}
    for number_of, group in enumerate(found.groups[:SHOWN_GROUPS], 1):
        rows = ", ".join(str(row) for row in group.row_ids[:SHOWN_ROWS])
        more = ", ..." if len(group.row_ids) > SHOWN_ROWS else ""
        best = cosines[group.row_ids[0]]
        _say(
            f"  {number_of}. like {group.words}: {count(len(group.row_ids), 'image')}, cosine {best:.2f}; "
            f"rows {rows}{more}"
        )
    if len(found.groups) > SHOWN_GROUPS:
        _say(f"  and {len(found.groups) - SHOWN_GROUPS:,} groups more")


def _say(line: str) -> None:
    print(line, file=sys.stderr)
