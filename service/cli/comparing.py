"""The verb `curate compare`: what one set of images has more of than another."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from indexer.words import count
from service.cli.codes import DONE
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_verb, print_json, whole
from service.cli.usage import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.curate.comparing.compare import Comparison, Difference

SURE = 0.05  # p up to which sets are said to differ, whatever share `--q` allows of what is listed


def add_compare(verbs: Verbs) -> None:
    parser = add_verb(
        verbs, "compare", "compare two sets of images: do they differ, where, and in which words", [
        "lakesift curate compare my.lake --a \"captured_at < '2026-06-01'\"",
        "lakesift curate compare my.lake --a \"site = 'oslo'\" --b \"site = 'bergen'\" --one-per camera",
    ])  # fmt: skip
    parser.set_defaults(run=_compare)
    add_lake(parser)
    parser.add_argument("--a", metavar="SQL", required=True, help="images that pass are one set")
    parser.add_argument(
        "--b", metavar="SQL", help="images that pass are the other (default: all that are not of A)"
    )
    parser.add_argument(
        "--one-per",
        metavar="COLUMN",
        help="take one image of each value of a column, as of a video: frames that hang together are no evidence "
        "each for itself",
    )
    parser.add_argument(
        "--phrase",
        action="append",
        default=[],
        metavar="TEXT",
        help="name differences by this, too, beside a vocabulary of what photos are often of; may be repeated",
    )
    parser.add_argument(
        "--q",
        type=number,
        default=0.05,
        metavar="SHARE",
        help="of what is told at most this share may be there by chance (default: 0.05)",
    )
    parser.add_argument(
        "--seed", type=whole, default=0, metavar="N", help="of what is drawn at random (default: 0)"
    )
    add_json(parser)


def _compare(arguments: argparse.Namespace) -> int:
    from service.cli.progress import TerminalProgress
    from service.lake import Lake

    with Lake.open(arguments.lake) as lake, TerminalProgress(is_passing=True) as progress:
        found = lake.compare(
            arguments.a,
            arguments.b,
            phrases=arguments.phrase,
            one_per=arguments.one_per,
            q=arguments.q,
            seed=arguments.seed,
            progress=progress,
        )
    if arguments.json:
        print_json(found.to_json())
    else:
        _tell(found, arguments.q)
    _note_succession(found)
    return DONE


def _note_succession(found: Comparison) -> None:
    for name, side in (("A", found.a), ("B", found.b)):
        follow = side.succession
        if follow is not None and follow.hangs_together:
            print(
                f"note: images of {name} hang together, as frames of a film do (the next is {follow.next:.2f} like it, "
                f"the tenth {follow.tenth:.2f}): they are no evidence each for itself, and p and q are too small; take "
                "one of each film, day or group with --one-per COLUMN",
                file=sys.stderr,
            )


def _tell(found: Comparison, q: float) -> None:
    for name, side in (("A", found.a), ("B", found.b)):
        which = "all others" if side.where is None else side.where
        drawn = "" if side.drawn == side.rows else f", {side.drawn:,} compared"
        print(f"{name}: {count(side.rows, 'image')}{drawn}: {which}")
    apart = found.apart
    print(
        f"told apart in {apart.auc:.1%} of pairs, 50 % by chance; p {apart.p:.3f}: "
        + (
            "they differ"
            if apart.p <= SURE
            else "that is what images of one set do, so nothing shows that they differ"
        )
    )
    counted = count(found.clusters_counted, "cluster")
    _list(f"where, of {counted} (q at most {q:g}):", found.clusters, "like")
    counted = count(found.phrases_counted, "phrase")
    _list(f"in words, of {counted} that differed in the first half:", found.phrases, "")


def _list(title: str, differences: Sequence[Difference], before: str) -> None:
    print(title if differences else f"{title} none")
    for each in differences:
        more = "B" if each.counts.share_b > each.counts.share_a else "A"
        words = f"{before} {each.words}".strip()
        rows = ", ".join(f"{row_id}" for row_id in each.examples[:3])
        print(
            f"  {more} has more {words}: {each.counts.share_a:.1%} of A, {each.counts.share_b:.1%} of B; "
            f"q {each.q:.2g}; rows {rows}"
        )
