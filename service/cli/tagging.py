"""The verb `tag`: what people call images, stored beside the lake."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE, PROBLEMS_SHOWN
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_trust_model, add_verb, positive, print_json
from service.search.decided import WANTED

if TYPE_CHECKING:
    from service.lake import Lake
    from service.search.query import Query
    from service.search.tagging import Tagged


def add_tag(verbs: Verbs) -> None:
    parser = add_verb(verbs, "tag", "give images a tag, or list the tags of a lake", [
        "lakesift tag my.lake night --where \"captured_at >= '2024-05-01'\"",
        "lakesift tag my.lake",
    ])  # fmt: skip
    parser.set_defaults(run=_tag)
    add_lake(parser)
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="the tag: 1 to 64 letters, digits, '-', '_', '.' and single spaces (default: list the tags)",
    )
    parser.add_argument(
        "--row",
        dest="rows",
        type=int,
        action="append",
        metavar="ROW_ID",
        help="an image; may be repeated",
    )
    parser.add_argument("--where", metavar="SQL", help="all images that pass")
    parser.add_argument(
        "--query",
        metavar="QUERY",
        help="the images that a search finds, among those that pass --where and --filter",
    )
    parser.add_argument(
        "-k", type=positive, metavar="N", help="with --query: the best so many (default: 10)"
    )
    parser.add_argument(
        "--min-z",
        type=float,
        metavar="Z",
        help="with --query: only hits whose z is at least this, and without -k all of them",
    )
    parser.add_argument(
        "--filter", metavar="NAME", help="all images that this filter decided as --decision says"
    )
    parser.add_argument(
        "--decision",
        action="append",
        choices=WANTED,
        help="with --filter: which images; undecided: those without a decision; may be repeated "
        "(default: keep)",
    )
    parser.add_argument(
        "--remove",
        action="store_true",
        help="take the tag from these images; from all, where none are chosen",
    )
    parser.add_argument(
        "--by", metavar="NAME", help="who says so; with --undo: whose act (default: nobody's name)"
    )
    parser.add_argument(
        "--undo", action="store_true", help="take back the last command or request that tagged"
    )
    parser.add_argument(
        "--act",
        type=positive,
        metavar="N",
        help="with --undo: only if this act is the last one, as --json numbers them (default: whichever is)",
    )
    parser.add_argument(
        "--mend",
        action="store_true",
        help="put aside what is damaged in the log of tags; acts that are whole stay in force",
    )
    add_trust_model(parser)
    add_json(parser)


def _tag(arguments: argparse.Namespace) -> int:
    _check(arguments)
    if arguments.mend:
        return _mend(arguments)
    from service.lake import Lake

    with Lake.open(arguments.lake, trust_model=bool(arguments.trust_model)) as lake:
        if arguments.undo:
            return _undo(lake, arguments)
        if arguments.name is None:
            return _list(lake, arguments)
        return _change(lake, arguments)


def _check(arguments: argparse.Namespace) -> None:
    """:raises BadRequest: if arguments do not go together."""
    chosen = ("rows", "where", "query", "filter")
    is_choosing = any(getattr(arguments, name) is not None for name in chosen)
    if arguments.name is None and (is_choosing or arguments.remove):
        raise BadRequest("NAME", "name the tag, before --where or --row")
    if (arguments.undo or arguments.mend) and (arguments.name or is_choosing):
        raise BadRequest("--undo", "--undo and --mend stand alone; leave the tag and images out")
    if arguments.act is not None and not arguments.undo:
        raise BadRequest("--act", "it says which act to take back; say --undo, too")
    if arguments.rows is not None and any(getattr(arguments, name) for name in chosen[1:]):
        raise BadRequest("--row", "say --row alone, or choose by --where, --query and --filter")
    if arguments.query is None and (arguments.k is not None or arguments.min_z is not None):
        raise BadRequest("-k", "-k and --min-z are of a search; say --query, too")
    if arguments.decision and arguments.filter is None:
        raise BadRequest("--decision", "it is a filter's; name the filter, too: --filter NAME")
    if arguments.name is not None and not is_choosing and not arguments.remove:
        raise BadRequest("NAME", "say which images get it: --where, --row, --query or --filter")


def _change(lake: Lake, arguments: argparse.Namespace) -> int:
    from service.tags.names import UNNAMED

    change = lake.untag if arguments.remove else lake.tag
    by = arguments.by or UNNAMED
    done = change(arguments.name, arguments.rows, query=_query(arguments), by=by)
    if arguments.json:
        print_json(done.to_json())
    else:
        _tell(done, arguments)
    if done.missing:
        shown = ", ".join(map(str, done.missing[:PROBLEMS_SHOWN]))
        more = ", ..." if len(done.missing) > PROBLEMS_SHOWN else ""
        print(f"note: the lake has no row {shown}{more}; the others were done", file=sys.stderr)
    return DONE


def _query(arguments: argparse.Namespace) -> Query | None:
    from service.search.query import DEFAULT_K, Query

    if arguments.query is None and arguments.where is None and arguments.filter is None:
        return None
    has_cut = arguments.min_z is not None
    options = {
        "where": arguments.where,
        "filter": arguments.filter,
        "decision": arguments.decision,
        "k": arguments.k or (None if has_cut else DEFAULT_K),
        "min_z": arguments.min_z,
    }
    examples = Query() if arguments.query is None else Query.typed(arguments.query)
    return examples.with_options(options)


def _tell(done: Tagged, arguments: argparse.Namespace) -> None:
    images, name = count(done.rows, "image"), one_line(done.name)
    if done.seq is None:
        print(f"no image is meant, so nothing was {'untagged' if arguments.remove else 'tagged'}")
    elif arguments.remove:
        print(f"took the tag {name} from {images}; `{_undoing(arguments, done.seq)}` gives it back")
    else:
        print(f"tagged {images} {name}; `{_undoing(arguments, done.seq)}` takes it back")


def _undoing(arguments: argparse.Namespace, seq: int) -> str:
    """It names the act: who tags meanwhile does not lose theirs."""
    return f"lakesift tag {arguments.lake} --undo --act {seq}"


def _undo(lake: Lake, arguments: argparse.Namespace) -> int:
    act = lake.undo_tag(arguments.by, arguments.act)
    if arguments.json:
        print_json({"undone": None if act is None else act.to_json()})
    elif act is None:
        print("there is nothing to take back")
    else:
        assert act.rows is not None, "what takes an act back is not taken back itself"
        what = "tagged" if act.is_add else "lost the tag"
        print(
            f"took back act {act.seq}, of {act.at}: {count(act.rows.rows, 'image')} {what} {act.tag}"
        )
    return DONE


def _list(lake: Lake, arguments: argparse.Namespace) -> int:
    counts = lake.tags()
    if arguments.json:
        print_json({"tags": [{"name": name, "rows": rows} for name, rows in counts.items()]})
        return DONE
    width = max(map(len, counts), default=0)
    for name, rows in counts.items():
        print(f"{name:<{width}}  {rows:>10,}")
    if not counts:
        print("no image has a tag", file=sys.stderr)
    return DONE


def _mend(arguments: argparse.Namespace) -> int:
    from indexer.disk.entries import check_lake
    from indexer.disk.layout import Layout
    from indexer.errors import LakeNotFound
    from service.tags.book import TagBook
    from service.tags.mending import mend

    layout = Layout(arguments.lake)
    if not layout.manifest.exists():
        raise LakeNotFound(str(arguments.lake))
    check_lake(layout)
    done = mend(TagBook(layout.tags))
    aside = None if done.aside is None else str(done.aside)
    if arguments.json:
        print_json({"kept": done.kept, "lost": done.lost, "aside": aside})
    elif aside is None:
        print(f"nothing is damaged in the log of tags: {count(done.kept, 'act')}")
    else:
        print(
            f"kept {count(done.kept, 'act')}, put {count(done.lost, 'line')} aside; the log as it was: {aside}"
        )
    return DONE
