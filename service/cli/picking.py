"""The verb `curate pick`: which images of a lake to label."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_verb, positive, print_json, whole
from service.cli.usage import number, whole_number

if TYPE_CHECKING:
    from service.curate.picking.pick import Picks
    from service.curate.picking.reach import Reach
    from service.lake import Lake


def add_pick(verbs: Verbs) -> None:
    parser = add_verb(
        verbs, "pick", "pick images to label, and tell how much of the lake they stand for", [
        "lakesift curate pick my.lake -n 200 --tag label",
        "lakesift curate pick my.lake -n 200 --at-most 1 group --at-least 20% \"camera = 'night'\"",
        "lakesift curate pick my.lake -n 200 --labelled \"tag = 'done'\" > more.tsv",
    ])  # fmt: skip
    parser.set_defaults(run=_pick)
    add_lake(parser)
    parser.add_argument(
        "-n", type=positive, required=True, metavar="N", help="how many, at most 20,000"
    )
    parser.add_argument(
        "--by",
        choices=("coverage", "diversity"),
        default="coverage",
        help="coverage: each image of the lake is as near as can be to a pick; diversity: picks lie far apart, "
        "the odd ones first (default: coverage)",
    )
    parser.add_argument(
        "--where", metavar="SQL", help="pick of the images that pass, to stand for these alone"
    )
    parser.add_argument(
        "--labelled", metavar="SQL", help="images that pass have labels, and count as picked before"
    )
    parser.add_argument(
        "--unsure-of",
        metavar="FILTER",
        help="stand for what this filter is unsure of, instead of for all images alike; what people answered for it "
        "counts as labelled",
    )
    parser.add_argument(
        "--at-most",
        nargs=2,
        action="append",
        default=[],
        metavar=("N", "COLUMN"),
        help="at most so many picks of each value of a column, as 1 group; may be repeated",
    )
    parser.add_argument(
        "--at-least",
        nargs=2,
        action="append",
        default=[],
        metavar=("N", "SQL"),
        help="at least so many picks that pass, as 100 or 20%%; may be repeated",
    )
    parser.add_argument(
        "--within",
        type=number,
        metavar="COSINE",
        help="tell which share of the images have a pick this near, too",
    )
    parser.add_argument(
        "--seed", type=whole, default=0, metavar="N", help="of what is drawn at random (default: 0)"
    )
    parser.add_argument(
        "--tag",
        metavar="NAME",
        help="give the picks this tag (default: print their row_ids and addresses, in the order they were picked)",
    )
    add_json(parser)


def _pick(arguments: argparse.Namespace) -> int:
    from service.cli.progress import TerminalProgress
    from service.lake import Lake
    from service.tags.names import tag_name

    if arguments.tag is not None:
        tag_name(arguments.tag, "--tag")
    at_most = {column: _whole(text) for text, column in _each_once(arguments.at_most, "--at-most")}
    at_least = {
        where: _number_or_share(text)
        for text, where in _each_once(arguments.at_least, "--at-least")
    }
    with Lake.open(arguments.lake) as lake:
        with TerminalProgress(is_passing=True) as progress:
            picks = _picker(lake, arguments.unsure_of)(
                arguments.n,
                by=arguments.by,
                where=arguments.where,
                labelled=arguments.labelled,
                at_most=at_most,
                at_least=at_least,
                within=arguments.within,
                seed=arguments.seed,
                progress=progress,
            )
        tagged = None
        if arguments.tag is not None and picks.row_ids:
            tagged = lake.tag(arguments.tag, picks.row_ids)
        if arguments.json:
            print_json(picks.to_json() | ({} if tagged is None else {"tagged": tagged.to_json()}))
            return DONE
        if arguments.tag is None:
            _list(lake, picks)
    _tell(picks, arguments.n)
    if arguments.labelled is not None and not picks.labelled:
        _say(f"no image passes --labelled {arguments.labelled}, so none counted as picked before")
    if tagged is not None:
        _say(
            f"tagged {count(tagged.rows, 'image')} {tagged.name}; "
            f"`lakesift tag {arguments.lake} --undo --act {tagged.seq}` takes it back"
        )
    return DONE


def _picker(lake: Lake, unsure_of: str | None) -> Callable[..., Picks]:
    """:raises UnknownFilter: if there is no such filter."""
    if unsure_of is None:
        return lake.pick
    from service.relevance import Filters

    return Filters(lake).open(unsure_of).pick


def _each_once(pairs: list[list[str]], flag: str) -> list[list[str]]:
    """:raises BadRequest: if two say something of the same: which one is meant nobody knows."""
    for place, (number_of, what) in enumerate(pairs):
        if any(what == other for _, other in pairs[:place]):
            raise BadRequest(flag, f"it says {number_of} of {what}, and another number, too")
    return pairs


def _whole(text: str) -> int:
    try:
        return whole_number(text)
    except argparse.ArgumentTypeError as error:
        raise BadRequest("--at-most", f"{error}; give a number and a column, as 1 group") from None


def _number_or_share(text: str) -> int | float:
    """100, or 20% as 0.2."""
    try:
        return number(text.removesuffix("%")) / 100 if text.endswith("%") else whole_number(text)
    except argparse.ArgumentTypeError as error:
        raise BadRequest(
            "--at-least", f"{error}; give a number or a share, and a where, as 20% is_best"
        ) from None


def _list(lake: Lake, picks: Picks) -> None:
    """The picks alone on stdout, so that a file holds nothing else."""
    import numpy as np

    snapshot = lake.snapshot
    places = snapshot.places_of(np.array(picks.row_ids, np.int64))[1:]
    addresses = snapshot.rows(*places, ["uri"])["uri"].to_pylist()
    for row_id, uri in zip(picks.row_ids, addresses, strict=True):
        print(f"{row_id}\t{one_line(uri)}")


def _tell(picks: Picks, asked: int) -> None:
    picked = len(picks.row_ids)
    of = f"{picked:,} of {count(picks.rows, 'image')} picked by {picks.by}"
    if picks.compared < picks.rows:
        of += (
            f"; {picks.compared:,} that were drawn at random stood for all"
            if picks.unsure_of is None
            else f"; {picks.compared:,} stood for what filter {picks.unsure_of} is unsure of"
        )
    _say(of)
    if picked < asked:
        _say(f"{asked:,} were asked for: no more keep to what was asked")
    for each in picks.wanted:
        if each.picked < each.count:
            _say(
                f"at least {each.count:,} were to pass {each.where}; {each.picked:,} do, and no more could be had"
            )
    if picks.reach is not None:
        _tell_reach(picks.reach, picked, picks)


def _tell_reach(reach: Reach, picked: int, picks: Picks) -> None:
    half = (reach.high - reach.low) / 2
    surely = f" (-+ {half:.4f}, 95 % sure)" if half else ""
    nearest = "pick or labelled image" if picks.labelled else "pick"
    of = "an image" if picks.unsure_of is None else "what it is unsure of"
    _say(
        f"mean cosine of {of} to its nearest {nearest}: {reach.mean:.4f}{surely}; "
        f"with as many picked at random {reach.random_mean:.4f}"
    )
    if reach.random_needed is None:
        _say(f"even {count(reach.random_tried, 'random pick')} do not come as near")
    elif reach.random_needed > picked:
        _say(f"{reach.random_needed:,} random picks come as near")
    if within := reach.within:
        surely = (
            ""
            if within.low == within.high
            else f" ({within.low:.1%} to {within.high:.1%}, 95 % sure)"
        )
        _say(
            f"{within.share:.1%} of the images{surely} have one within cosine {within.cosine:g}; "
            f"with as many picked at random {within.random_share:.1%}"
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr)
