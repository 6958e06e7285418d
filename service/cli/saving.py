"""Searches saved by name: the verb `saved`, and how `search` saves one or takes one up."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from indexer.sources.names import one_line
from service.cli.codes import DONE
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_verb, print_json
from service.search.query import Query

if TYPE_CHECKING:
    from service.lake import Lake

_SHOWN_CHARS = 100  # of a query as JSON, for people


def add_saved(verbs: Verbs) -> None:
    parser = add_verb(verbs, "saved", "list the searches that were saved by name", [
        "lakesift saved my.lake",
        "lakesift saved my.lake --delete \"night trams\"",
    ])  # fmt: skip
    parser.set_defaults(run=_saved)
    add_lake(parser)
    parser.add_argument(
        "--delete", metavar="NAME", help="delete this one (default: list them, delete none)"
    )
    add_json(parser)


def add_saved_options(parser: argparse.ArgumentParser) -> None:
    """Those of `search`."""
    parser.add_argument(
        "--saved",
        metavar="NAME",
        help="the search that was saved under this name; beside it -k, --all and how to print alone",
    )
    parser.add_argument(
        "--save",
        metavar="NAME",
        help="save the search beside the lake, in place of the one of this name (default: it is not saved)",
    )


def saved_query(lake: Lake, name: str, said: Query) -> Query:
    """The saved query, with the k that was said.

    :param said: by the rest of the command.
    :raises BadRequest: if that asks for something, too.
    """
    if said.has_examples or said.to_json() != Query(k=said.k).to_json():
        raise BadRequest(
            "--saved", "it brings its own texts, examples and conditions; leave the others out"
        )
    return replace(lake.searches.get(name).asked, k=said.k)


def save(lake: Lake, name: str, query: Query) -> None:
    if query.images:
        raise BadRequest(
            "--save", "an image from outside the lake cannot be saved; name rows: --row"
        )
    saved = lake.searches.save(name, query)
    print(f"saved as {one_line(saved.name)}", file=sys.stderr)


def _saved(arguments: argparse.Namespace) -> int:
    from service.lake import Lake

    with Lake.open(arguments.lake) as lake:
        if arguments.delete is not None:
            gone = lake.searches.delete(arguments.delete)
            print_json(gone.to_json()) if arguments.json else print(f"deleted {gone.name}")
            return DONE
        every = lake.searches.all()
    if arguments.json:
        print_json({"searches": [each.to_json() for each in every]})
        return DONE
    width = max((len(each.name) for each in every), default=0)
    for each in every:
        query = json.dumps(each.query, ensure_ascii=False)
        cut = f"{query[: _SHOWN_CHARS - 3]}..." if len(query) > _SHOWN_CHARS else query
        print(f"{each.name:<{width}}  {one_line(cut)}")
    if not every:
        print("no search was saved", file=sys.stderr)
    return DONE
