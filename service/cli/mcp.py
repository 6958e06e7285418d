"""The verb `mcp`: its arguments and what it does."""

from __future__ import annotations

import argparse

from indexer.errors import LakeError
from service.cli.codes import DONE
from service.cli.lakes import lake_folder
from service.cli.parts import Verbs, add_trust_model, add_verb


def add_mcp(verbs: Verbs) -> None:
    parser = add_verb(verbs, "mcp", "answer a program that speaks the Model Context Protocol", [
        "lakesift mcp my.lake",
        "lakesift mcp cats.lake dogs.lake",
    ])  # fmt: skip
    parser.set_defaults(run=_mcp)
    parser.add_argument(
        "lakes",
        nargs="+",
        type=lake_folder,
        metavar="LAKE",
        help="a lake's folder. The program starts this command and speaks to it by standard input and output; "
        "it can search, look and read what filters did, and changes nothing",
    )
    add_trust_model(parser)


def _mcp(arguments: argparse.Namespace) -> int:
    try:
        from service.mcp.server import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise LakeError(
            "the protocol's SDK is not installed; install it with: pip install 'lakesift[mcp]'"
        ) from None
    serve(arguments.lakes, trust_model=arguments.trust_model)
    return DONE
