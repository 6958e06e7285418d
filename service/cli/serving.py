"""The verbs `serve` and `key`: their arguments, what they do and what they say."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from indexer.sources.names import one_line
from indexer.trust import state_folder
from indexer.words import moment
from service.cli.codes import DONE
from service.cli.indexing import time_us
from service.cli.lakes import lake_folder
from service.cli.parts import Verbs, add_json, add_trust_model, add_verb, print_json

if TYPE_CHECKING:
    from service.api.serving.keys import KeyStore


def add_serve(verbs: Verbs) -> None:
    parser = add_verb(verbs, "serve", "answer searches over HTTP, with a page for people", [
        "lakesift serve my.lake",
        "lakesift serve cats.lake dogs.lake --port 9000 --workers 2",
    ])  # fmt: skip
    parser.set_defaults(run=_serve)
    parser.add_argument(
        "lakes",
        nargs="+",
        type=lake_folder,
        metavar="LAKE",
        help="a lake's folder; several are served together",
    )
    parser.add_argument(
        "--host",
        help="the address to listen on; any but this machine's own needs keys (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=_port, metavar="N", help="the port; 0 takes a free one (default: 8377)"
    )
    parser.add_argument(
        "--allow-host",
        dest="allow_hosts",
        action="append",
        metavar="NAME",
        help="a further name that callers know this service by, as behind a proxy; may be repeated (default: none)",
    )
    parser.add_argument(
        "--allow-origin",
        dest="allow_origins",
        action="append",
        metavar="ORIGIN",
        help="an origin whose pages may read from this service in a browser, as http://localhost:3005; they change "
        "nothing; may be repeated (default: none)",
    )
    parser.add_argument(
        "--recall",
        type=float,
        metavar="SHARE",
        help="what share of the nearest a search is to find that asks for none, on lakes with groups, e.g. 0.99; 1: "
        "all of them (default: as each lake is set, which is all unless somebody chose otherwise)",
    )
    parser.add_argument(
        "--engine",
        metavar="URL",
        help="take the candidates of searches from here, where `lakesift engine push` has brought the lakes: "
        "postgresql://USER@HOST:PORT/DATABASE, with the password in PGPASSWORD, or milvus://HOST:PORT/DATABASE "
        "(default: the lakes' own indexes)",
    )
    parser.add_argument(
        "--engine-candidates",
        type=_whole,
        metavar="N",
        help="so many rows are asked of the engine at first; more of them hold more of the nearest, and take longer, "
        "1 to 10,000 (default: 400)",
    )
    parser.add_argument(
        "--engine-outage",
        choices=["own", "503"],
        help="while the engine cannot answer: own searches the lakes' own indexes, 503 refuses (default: own)",
    )
    parser.add_argument(
        "--require-key",
        action="store_true",
        default=None,
        help="ask for a key on this machine's own address too (default: only on others)",
    )
    parser.add_argument(
        "--trust-proxy",
        dest="trust_proxies",
        action="append",
        metavar="ADDRESS",
        help="believe what this proxy, an address or network, says of its callers in X-Forwarded-For and "
        "X-Forwarded-Proto; may be repeated (default: nobody is believed)",
    )
    parser.add_argument(
        "--workers",
        type=_whole,
        metavar="N",
        help="processes that answer together, 1 to 64; each has a model of its own in memory, the lakes they share "
        "(default: 1)",
    )
    parser.add_argument(
        "--access-log",
        metavar="FORM",
        help="json: a line of JSON on stdout for each request, without what was searched for (default: none)",
    )
    parser.add_argument(
        "--drain",
        dest="drain_us",
        type=time_us,
        metavar="TIME",
        help="at SIGTERM, say so at /readyz and go on answering for so long, as 10s, so that whoever deals out "
        "requests asks others (default: end at once; what is under way has 5 s)",
    )
    parser.add_argument(
        "--traces",
        action="store_true",
        default=None,
        help="send a span for each request to OTEL_EXPORTER_OTLP_ENDPOINT, by OpenTelemetry (default: none)",
    )
    add_trust_model(parser)


def _serve(arguments: argparse.Namespace) -> int:
    import logging
    from dataclasses import replace

    from service.api.config import ServeConfig
    from service.api.door.guard import check_start
    from service.api.server import listen, run, url_of
    from service.api.serving.keys import KeyStore
    from service.api.signing import secret_of
    from service.api.workers.supervisor import check_workers, supervise

    flags = (
        "host",
        "port",
        "allow_hosts",
        "allow_origins",
        "require_key",
        "trust_proxies",
        "trust_model",
        "workers",
        "recall",
        "engine",
        "engine_candidates",
        "engine_outage",
        "access_log",
        "traces",
    )
    given = {name: getattr(arguments, name) for name in flags}
    changes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    if arguments.drain_us is not None:
        changes["drain_s"] = arguments.drain_us / 1e6
    config = replace(ServeConfig.from_env(), **changes)
    if config.workers == 1:  # each of several loads it itself
        # before anything is logged: libraries have much to say while they load
        from service.api.app import create_app
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    keys = KeyStore(state_folder())
    check_start(config, keys)
    check_workers(config)
    # One for all workers, also where it cannot be kept.
    config = replace(config, cursor_secret=secret_of(config.cursor_secret, keys.folder))
    sock = listen(config)
    with sock:
        url = url_of(config, sock)
        serving = f"serving at {url} (Ctrl-C stops)\nfilters are made and taught at {url}/label\n"
        if config.workers > 1:
            supervise(
                arguments.lakes, config, sock, opened=_introduce, serving=lambda: _tell(serving)
            )
        else:
            app = create_app(arguments.lakes, config, keys=keys)
            _introduce(app.state.hub.introduction())
            with suppress(KeyboardInterrupt):  # how a service is meant to end
                run(app, sock, started=lambda: _tell(serving))
    print("stopped", file=sys.stderr)
    return DONE


def _introduce(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        _tell(f"{sentence}\n")


def _tell(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def add_key(verbs: Verbs) -> None:
    parser = add_verb(verbs, "key", "make, list and revoke the keys of the HTTP service", [
        "lakesift key add laptop",
        "lakesift key revoke laptop",
    ])  # fmt: skip
    parser.set_defaults(run=_key)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    add = add_verb(actions, "add", "make a key and print it, this once; only its hash is kept", [
        "lakesift key add laptop",
        "lakesift key add labeller --scope label --json",
    ])  # fmt: skip
    add.add_argument(
        "name", metavar="NAME", help="what to call it, as in `key list` and `key revoke`"
    )
    add.add_argument(
        "--scope",
        choices=["read", "label", "write"],
        default="read",
        help="read searches, label also answers a filter's questions, write also changes filters (default: read)",
    )
    add_json(add)
    listing = add_verb(actions, "list", "list the keys, without their secrets", [
        "lakesift key list",
        "lakesift key list --json",
    ])  # fmt: skip
    add_json(listing)
    revoke = add_verb(actions, "revoke", "forget a key; running services refuse it from now on", [
        "lakesift key revoke laptop",
        "lakesift key revoke 3f9a1c20",
    ])  # fmt: skip
    revoke.add_argument(
        "key", metavar="NAME_OR_ID", help="the key's name, or its id from `lakesift key list`"
    )


def _key(arguments: argparse.Namespace) -> int:
    from service.api.serving.keys import KeyStore

    keys = KeyStore(state_folder())
    {"add": _add_key, "list": _list_keys, "revoke": _revoke_key}[arguments.action](keys, arguments)
    for warning in keys.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    return DONE


def _add_key(keys: KeyStore, arguments: argparse.Namespace) -> None:
    key, secret = keys.add(arguments.name, arguments.scope)
    if arguments.json:
        print_json({**key.to_json(), "secret": secret})
    else:
        print(secret)
    print(
        f"key {key.name} may {', '.join(key.scopes)}; it is not shown again. Paste it into the page, or send it as "
        "`Authorization: Bearer KEY`",
        file=sys.stderr,
    )


def _list_keys(keys: KeyStore, arguments: argparse.Namespace) -> None:
    known = keys.list()
    if arguments.json:
        print_json({"keys": [key.to_json() for key in known]})
    elif not known:
        print("there are no keys; make one with: lakesift key add NAME", file=sys.stderr)
    else:
        print(f"{'id':<8}  {'begins with':<11}  {'scope':<5}  {'made':<23}  name")
        for key in known:
            made = moment(key.created_at)
            print(
                f"{key.id:<8}  {key.prefix:<11}  {key.scope:<5}  {made:<23}  {one_line(key.name)}"
            )


def _revoke_key(keys: KeyStore, arguments: argparse.Namespace) -> None:
    gone = keys.revoke(arguments.key)
    print(f"revoked key {one_line(gone.name)} ({gone.id}, {gone.prefix}...)", file=sys.stderr)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a port; those are numbers from 0 to 65535"
        )
    return int(text)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
