"""The command's arguments, put together from those of its verbs,
each of which stands beside what it does.
"""

from __future__ import annotations

import argparse

from indexer import __version__
from service.cli.buckets import add_publish, add_pull
from service.cli.committing import add_commit
from service.cli.curating import add_curate
from service.cli.engine import add_engine
from service.cli.facets import add_facets
from service.cli.filters.verb import add_filter
from service.cli.indexing import add_index
from service.cli.mapping import add_map
from service.cli.mcp import add_mcp
from service.cli.saving import add_saved
from service.cli.searching import add_search
from service.cli.serving import add_key, add_serve
from service.cli.syncing import add_sync
from service.cli.tagging import add_tag
from service.cli.upkeep import add_compact, add_doctor, add_info, add_models, add_train, add_vacuum
from service.cli.usage import Parser
from service.cli.vector_files import add_export_vectors, add_import


def parser() -> Parser:
    """The whole command's; a parsed namespace holds what runs it in `run`."""
    root = Parser(
        prog="lakesift",
        description="Find images in a data lake and decide which are worth annotating.",
        epilog="examples:\n"
        "  lakesift index ~/photos --into my.lake\n"
        '  lakesift search my.lake "a cat" --paths\n'
        "  lakesift serve my.lake\n\n"
        "Results go to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 used wrongly, "
        "3 a filter refused its promise, 130 interrupted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"lakesift {__version__}")
    verbs = root.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    add_index(verbs)
    add_commit(verbs)
    add_publish(verbs)
    add_pull(verbs)
    add_engine(verbs)
    add_sync(verbs)
    add_import(verbs)
    add_export_vectors(verbs)
    add_search(verbs)
    add_facets(verbs)
    add_saved(verbs)
    add_tag(verbs)
    add_curate(verbs)
    add_map(verbs)
    add_serve(verbs)
    add_mcp(verbs)
    add_filter(verbs)
    add_key(verbs)
    add_info(verbs)
    add_doctor(verbs)
    add_models(verbs)
    add_train(verbs)
    add_vacuum(verbs)
    add_compact(verbs)
    return root
