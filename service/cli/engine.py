"""A lake's rows in a search engine: the verb `engine`, which pushes, tells and drops."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from indexer.words import count
from service.cli.codes import DONE, FAILED, INTERRUPTED
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_verb, print_json
from service.cli.running import StopOnSignal

if TYPE_CHECKING:
    from indexer.engines.engine import Engine
    from indexer.engines.pushing import PushReport
    from indexer.engines.standing import Standing

_VARIABLE = "LAKESIFT_ENGINE"


def add_engine(verbs: Verbs) -> None:
    parser = add_verb(verbs, "engine", "keep a lake's vectors in Postgres or Milvus, where `serve --engine` searches", [
        "lakesift engine push my.lake postgresql://me@db.example/lakes",
        "lakesift engine status my.lake postgresql://me@db.example/lakes",
    ])  # fmt: skip
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    push = add_verb(actions, "push", "bring the engine to the lake's snapshot: send what is new, remove what is gone", [
        "lakesift engine push my.lake postgresql://me@db.example/lakes",
        "LAKESIFT_ENGINE=postgresql://me@db.example/lakes lakesift engine push my.lake",
    ])  # fmt: skip
    push.set_defaults(run=_push)
    status = add_verb(actions, "status", "what the engine has of the lake, and the recall of searches there", [
        "lakesift engine status my.lake postgresql://me@db.example/lakes",
        "lakesift engine status my.lake postgresql://me@db.example/lakes --json",
    ])  # fmt: skip
    status.set_defaults(run=_status)
    drop = add_verb(actions, "drop", "remove all that the engine has of the lake; the lake itself is not touched", [
        "lakesift engine drop my.lake postgresql://me@db.example/lakes",
        "lakesift engine drop my.lake postgresql://me@db.example/lakes --json",
    ])  # fmt: skip
    drop.set_defaults(run=_drop)
    for each in (push, status, drop):
        add_lake(each)
        each.add_argument(
            "engine",
            nargs="?",
            metavar="ENGINE",
            help="postgresql://USER@HOST:PORT/DATABASE, milvus://HOST:PORT/DATABASE or milvus+lite://FOLDER.db; its "
            "password is better in PGPASSWORD, a token in MILVUS_TOKEN, where no list of processes shows it (default: "
            f"what {_VARIABLE} says)",
        )
        add_json(each)


@contextmanager
def _opened(arguments: argparse.Namespace) -> Iterator[Engine]:
    from indexer.engines.opening import open_engine

    url = arguments.engine or os.environ.get(_VARIABLE)
    if not url:
        raise BadRequest(
            "ENGINE", f"which one? write postgresql://... or milvus://..., or set {_VARIABLE}"
        )
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.close()


def _push(arguments: argparse.Namespace) -> int:
    from indexer.engines.pushing import push_lake
    from service.cli.progress import TerminalProgress

    with (
        _opened(arguments) as engine,
        StopOnSignal("stopping after this segment; what is there is not sent again") as stop,
        TerminalProgress() as progress,
    ):
        report = push_lake(arguments.lake, engine, progress=progress, should_stop=stop.asked)
    if arguments.json:
        print_json(asdict(report))
    _tell_pushed(report)
    return INTERRUPTED if report.interrupted else DONE


def _tell_pushed(report: PushReport) -> None:
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    sent = f"{count(report.new_rows, 'row')} sent, {report.removed_rows:,} removed"
    if report.interrupted:
        print(f"interrupted: {sent}; go on with: the same command", file=sys.stderr)
        return
    print(
        f"{report.engine} has snapshot {report.snapshot:,} of {report.name}, {count(report.rows, 'image')}: {sent}",
        file=sys.stderr,
    )


def _status(arguments: argparse.Namespace) -> int:
    """Exit code 1: the engine cannot search this lake as it is."""
    from indexer.engines.standing import standing

    with _opened(arguments) as engine:
        found = standing(arguments.lake, engine)
    if arguments.json:
        document = asdict(found) | {"is_behind": found.is_behind}
        print_json(document)
    else:
        for line in _lines(found):
            print(line)
    return DONE if found.is_complete and found.is_same_model else FAILED


def _lines(found: Standing) -> Iterator[str]:
    from service.doctor.engine import behind, pushed, unfit

    if why := unfit(found):
        yield why
        return
    yield f"{found.kind} at {found.engine}"
    yield f"{found.name}: {pushed(found)}"
    if found.is_behind:
        yield behind(found)
    yield f"a where is narrowed there on: {', '.join(found.columns) or 'nothing'}"
    if not found.recall:
        yield "recall: not measured yet; a service with --engine measures one in a hundred searches"
    for each in found.recall:
        yield (
            f"recall@{each.nearest}, searches by {each.made_of}: {each.share:.4f} of the nearest rows, in "
            f"{count(each.queries, 'search', 'searches')} done again exactly"
        )


def _drop(arguments: argparse.Namespace) -> int:
    from indexer.engines.pushing import name_of

    name = name_of(arguments.lake)
    with _opened(arguments) as engine:
        was_there, url = engine.drop(name), engine.url
    if arguments.json:
        print_json({"name": name, "engine": url, "dropped": was_there})
    said = f"{url} has nothing of {name} any more" if was_there else f"{url} had nothing of {name}"
    print(said, file=sys.stderr)
    return DONE
