"""The verb `search`: its arguments, what it does and how hits are printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args, get_origin

from indexer.errors import BadRequest
from indexer.sources.names import one_line
from service.cli.codes import DONE
from service.cli.histogram import print_histogram
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_trust_model, add_verb, positive, tell_minus
from service.cli.saving import add_saved_options, save, saved_query
from service.cli.usage import in_quotes
from service.search.query import DEFAULT_K, OPTIONS, Option, Query
from service.search.typed import TypedQuery

if TYPE_CHECKING:
    from service.lake import Lake
    from service.search.decided import DecidedRows
    from service.search.explained import Share
    from service.search.hits import Hit, Row
    from service.search.remarks import Remarks


def add_search(verbs: Verbs) -> None:
    parser = add_verb(verbs, "search", "find images by text, by example images, by metadata", [
        'lakesift search my.lake "a cat" --paths',
        "lakesift search my.lake --image cat.jpg --not-text drawing --where \"width_px >= 640\" -k 20",
    ])  # fmt: skip
    parser.set_defaults(run=_search)
    parser.tell_words = _tell_words
    add_lake(parser)
    parser.add_argument(
        "text",
        nargs="?",
        metavar="QUERY",
        help="what to look for: 'a hospital room -baby', with a minus before an unwanted word; words in quotes inside "
        "it are a text of their own (default: the rows that pass --where and --filter, by row id or by --sort)",
    )
    parser.add_argument(
        "--text",
        dest="texts",
        action="append",
        default=[],
        metavar="TEXT",
        help="one more wanted text, taken as it is; may be repeated",
    )
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="PATH",
        help="a wanted example image; may be repeated",
    )
    parser.add_argument(
        "--row",
        type=int,
        action="append",
        default=[],
        metavar="ROW_ID",
        help="a wanted example from the lake; may be repeated",
    )
    parser.add_argument(
        "--not-text",
        action="append",
        default=[],
        metavar="TEXT",
        help="an unwanted text, taken as it is; may be repeated",
    )
    parser.add_argument(
        "--not-image",
        action="append",
        default=[],
        metavar="PATH",
        help="an unwanted example image; may be repeated",
    )
    parser.add_argument(
        "--not-row",
        type=int,
        action="append",
        default=[],
        metavar="ROW_ID",
        help="an unwanted example from the lake; may be repeated",
    )
    for option in OPTIONS:
        _add_option(parser, option)
    parser.add_argument(
        "--all",
        action="store_true",
        help="every row, or every row above --min-z, instead of -k hits",
    )
    add_saved_options(parser)
    add_trust_model(parser)
    shape = parser.add_mutually_exclusive_group()
    add_json(shape)  # type: ignore[arg-type]
    parser.add_argument(
        "--histogram",
        action="store_true",
        help="count how strongly all rows match that pass, instead of naming the best; with --min-z also how many "
        "are above it (default: hits)",
    )
    shape.add_argument("--paths", action="store_true", help="print paths alone, one a line")
    shape.add_argument(
        "--print0",
        action="store_true",
        help="print paths alone, each ended by a NUL byte, for odd names and xargs -0",
    )


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    """The flag of a query's option; argparse keeps its value under the option's name."""
    flag: dict[str, Any] = {"dest": option.name, "help": option.help}
    if option.type is bool:
        parser.add_argument(option.flag, action="store_true", **flag)
    elif get_origin(option.type) is list:
        (choices,) = get_args(option.type)
        parser.add_argument(option.flag, action="append", choices=get_args(choices), **flag)
    else:
        kind = positive if option.at_least == 1 else option.type
        if option.parse is not None:
            kind = _from_words(option.parse)
        default = DEFAULT_K if option.name == "k" else None
        parser.add_argument(option.flag, type=kind, default=default, metavar=option.metavar, **flag)


def _from_words(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """The parser of an option, whose mistakes argparse tells: the command was used wrongly."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except BadRequest as error:
            raise argparse.ArgumentTypeError(error.reason) from None

    return parsed


def _tell_words(found: argparse.Namespace, words: list[str]) -> str:
    query = " ".join([*filter(None, [found.text]), *words])
    dashes = "-- " if query.startswith("-") and " " not in query else ""
    return f"put quotes around the query: lakesift search {found.lake} {dashes}{in_quotes(query)}"


def _search(arguments: argparse.Namespace) -> int:
    """Run it; what is wrong with an option is told by its flag."""
    flags = {option.name: option.flag for option in OPTIONS} | {"row_id": "--row"}
    try:
        return _answer(arguments)
    except BadRequest as error:
        if error.field not in flags:
            raise
        raise BadRequest(flags[error.field], error.reason) from None


def _answer(arguments: argparse.Namespace) -> int:
    from service.lake import Lake

    query = _query(arguments)
    if query.explain and (arguments.paths or arguments.print0):
        flag = "--paths" if arguments.paths else "--print0"
        raise BadRequest(
            "explain", f"paths alone have no place for it; leave {flag} out, or say --json"
        )
    if arguments.histogram and not query.has_examples:
        raise BadRequest("query", "a histogram is of a query; say what to look for, too")
    if arguments.histogram and (arguments.paths or arguments.print0):
        raise BadRequest("--histogram", "it names no image; leave --paths and --print0 out")
    tell_minus(arguments.texts, "--not-text")
    with Lake.open(arguments.lake, trust_model=bool(arguments.trust_model)) as lake:
        if arguments.saved is not None:
            query = saved_query(lake, arguments.saved, query)
        if arguments.save is not None:
            save(lake, arguments.save, query)
        for problem in lake.problems:
            print(f"warning: {problem}", file=sys.stderr)
        if not lake.rows:
            empty = f"{arguments.lake} holds no image yet; `lakesift index` and `sync` fill it"
            print(f"note: {empty}", file=sys.stderr)
        if arguments.histogram:
            print_histogram(lake, query, as_json=arguments.json)
        elif query.has_examples:
            _print_found(lake, query, arguments)
        elif query.where or query.decided or query.sort:
            _print_passing(lake, query, arguments)
        else:
            raise BadRequest(
                "query",
                "give at least one text, image or row to look for; or --where, --filter or --sort, to list rows",
            )
    return DONE


def _keeping_first(hits: Iterable[Hit], first: list[Hit]) -> Iterator[Hit]:
    """The hits as they are; the first of them is in the list, too, once it has come."""
    for hit in hits:
        if not first:
            first.append(hit)
        yield hit


def _query(arguments: argparse.Namespace) -> Query:
    if arguments.decision and arguments.filter is None:
        raise BadRequest("--decision", "it is a filter's; name the filter, too: --filter NAME")
    examples = Query.of(
        arguments.texts,
        image=arguments.image,
        not_text=arguments.not_text,
        not_image=arguments.not_image,
        row_id=arguments.row,
        not_row_id=arguments.not_row,
    )
    if arguments.text is not None:
        typed = Query.typed(arguments.text)
        examples = replace(examples, texts=[*typed.texts, *examples.texts])
    said = {option.name: getattr(arguments, option.name) for option in OPTIONS}
    return examples.with_options(said | {"k": None if arguments.all else arguments.k})


def _print_found(lake: Lake, query: Query, arguments: argparse.Namespace) -> None:
    from service.search.search import remarks, stream

    asked = lake.understand(query)
    best: list[Hit] = []
    hits = _keeping_first(stream(asked), best)
    _tell_decided(asked.decided, arguments)
    if arguments.text is not None and (typed := TypedQuery.parse(arguments.text)).is_parted:
        print(one_line(typed.sentence), file=sys.stderr)

    def said() -> dict[str, Any]:
        how = {} if asked.searched is None else {"searched": asked.searched.to_json()}
        return how | remarks(asked, best[0] if best else None).to_json()

    if arguments.json:
        _print_json("hits", hits, asked.snapshot.number, said)
        return
    how = asked.searched
    if how is not None and (how.depth is not None or asked.query.recall is not None):
        print(f"note: {how.sentence}", file=sys.stderr)
    if arguments.paths or arguments.print0:
        _print_paths(hits, arguments)
    else:
        _print_hits(hits)
    _print_remarks(remarks(asked, best[0] if best else None))


def _print_passing(lake: Lake, query: Query, arguments: argparse.Namespace) -> None:
    passing, decided = lake.passing(query)
    _tell_decided(decided, arguments)
    rows = passing.first(query.k)
    if arguments.json:
        _print_json("rows", rows, lake.snapshot.number)
    elif arguments.paths or arguments.print0:
        _print_paths(rows, arguments)
    else:
        _print_rows(rows)
    if query.k is not None and len(passing) > query.k:
        print(
            f"{query.k:,} of {len(passing):,} rows that pass; --all shows every one",
            file=sys.stderr,
        )


def _tell_decided(decided: DecidedRows | None, arguments: argparse.Namespace) -> None:
    note = None if decided is None else decided.note(str(arguments.lake))
    if note is not None:
        print(f"note: {note}", file=sys.stderr)


def _print_json(
    name: str,
    found: Iterable[Hit | Row],
    snapshot: int,
    beside: Callable[[], dict[str, Any]] = dict,
) -> None:
    """One document, a line a hit or row, written as they come; then what is said beside them."""
    print(f'{{"snapshot": {snapshot}, "{name}": [', end="")
    for number, each in enumerate(found):
        line = json.dumps(each.to_json(), ensure_ascii=False, default=str)
        print(",\n" if number else "\n", line, sep="", end="")
    end = {"next_cursor": None} | beside()
    print("\n],", json.dumps(end, ensure_ascii=False, default=str).removeprefix("{"))


def _print_remarks(said: Remarks) -> None:
    if said.nothing is not None:
        why = f": {said.nothing.sentence}" if said.nothing.rows else ""
        print(f"nothing found{why}", file=sys.stderr)
    if said.hint is not None:
        print(f"note: {said.hint}", file=sys.stderr)


def _print_hits(hits: Iterable[Hit]) -> None:
    for number, hit in enumerate(hits):
        if number == 0:
            print(f"{'score':>7}  {'z':>6}  {'row':>7}  {'size':>11}  path")
        z = "-" if hit.z is None else f"{hit.z:.1f}"
        print(
            f"{hit.score:7.3f}  {z:>6}  {hit.row_id:7d}  {_size(hit):>11}  {one_line(hit.place)}{_and_more(hit)}"
        )
        for share in hit.explained or ():
            # not -0.000
            print(f"{round(share.share, 3) + 0.0:+7.3f}  {_part(share)}")


def _part(share: Share) -> str:
    """As `"a cat", cosine 0.31`, with its weight where that is not 1."""
    name = f'"{share.value}"' if share.kind == "text" else f"{share.kind} {share.value}"
    weight = "" if share.weight == 1 else f"weight {share.weight:g}, "
    return f"        {one_line(name)}, {weight}cosine {share.cosine:.3f}"


def _print_rows(rows: Iterable[Row]) -> None:
    number = -1
    for number, row in enumerate(rows):
        if number == 0:
            print(f"{'row':>7}  {'size':>11}  path")
        print(f"{row.row_id:7d}  {_size(row):>11}  {one_line(row.place)}")
    if number < 0:
        print("no row passes", file=sys.stderr)


def _size(found: Hit | Row) -> str:
    width_px, height_px = found.columns["width_px"], found.columns["height_px"]
    return "-" if width_px is None else f"{width_px}x{height_px}"


def _and_more(hit: Hit) -> str:
    moment = "" if hit.moment is None else f"  {hit.moment}"
    return f"{moment}  (and {len(hit.collapsed):,} like it)" if hit.collapsed else moment


def _print_paths(found: Iterable[Hit | Row], arguments: argparse.Namespace) -> None:
    end = b"\0" if arguments.print0 else b"\n"
    for each in found:
        sys.stdout.buffer.write(each.path + end)
    sys.stdout.buffer.flush()
