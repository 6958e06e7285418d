"""The `lakesift` command: its verbs, messages and exit codes. It, `filter_verbs` and `printing` alone print.

Results go to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 used wrongly, 3 a filter refused its promise, 130
interrupted (what was done is committed). Heavy modules are imported by the verb that needs them, so that `--help`
answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from indexer.errors import BadRequest, LakeError, WhereError
from service.arguments import parser
from service.printing import one_line, print_json

if TYPE_CHECKING:
    from indexer.config import IndexConfig
    from indexer.embed import Embedder
    from indexer.manifest import Manifest
    from indexer.report import SyncReport
    from service.keys import KeyStore
    from service.query import Query
    from service.search import Hit
    from service.train import Fit, Training

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
SHOWN_SKIPPED = 10  # skipped files named at the end of a run; `info --skipped` lists them all


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    arguments = parser().parse_args(argv)
    with _seeing_interrupts() as interrupted:
        try:
            return _run(arguments)
        except Exception:
            # Compiled modules turn a Ctrl-C that meets them while they load into errors of their own.
            if not interrupted():
                raise
            return _told_interrupted()


@contextmanager
def _seeing_interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, whatever became of the KeyboardInterrupt."""
    seen: list[int] = []

    def see(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    plain = signal.getsignal(signal.SIGINT)
    if plain is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signal.signal(signal.SIGINT, see)
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, plain)


def _told_interrupted() -> int:
    print("lakesift: interrupted", file=sys.stderr)
    return INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    try:
        code = VERBS[arguments.verb](arguments)
        sys.stdout.flush()
        return code
    except (BadRequest, WhereError) as error:
        return _complain(error, USAGE)
    except LakeError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return _told_interrupted()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:  # a full or failing disk under `compact` or `vacuum`; `sync` says it itself
        return _complain(
            LakeError(f"{error.filename or 'standard output, or the lake'}: {error.strerror or error}"),
            FAILED,
        )


def _complain(error: LakeError, code: int) -> int:
    print(f"lakesift: {error}", file=sys.stderr)
    return code


# -- verbs


def _index(arguments: argparse.Namespace) -> int:
    from indexer.layout import Layout
    from indexer.manifest import SourceEntry, read_manifest

    columns = None if arguments.columns is None else str(Path(arguments.columns).expanduser().resolve())
    add = [SourceEntry(source, columns) for source in arguments.sources]
    if columns is not None and not add:
        raise BadRequest(
            "--columns", "a table is for the SOURCEs that are named; those of another lake keep their own"
        )
    if arguments.sources_of is not None:
        add += read_manifest(Layout(arguments.sources_of))[0].sources
    if not add:
        raise BadRequest(
            "SOURCE", "name what to index: a folder, a glob, a URL or a list; or --sources-of a lake"
        )
    return _run_sync(arguments, arguments.into, add, {})


def _sync(arguments: argparse.Namespace) -> int:
    roots = {}
    for root in arguments.root:
        old, equals, new = root.partition("=")
        if not (old and equals and new):
            raise BadRequest("--root", f"{root!r} is not of the form OLD=NEW")
        roots[old.rstrip("/") + "/"] = new.rstrip("/") + "/"
    return _run_sync(arguments, arguments.lake, [], roots)


def _run_sync(arguments: argparse.Namespace, lake: Path, add: list[Any], roots: dict[str, str]) -> int:
    from indexer.sync import sync
    from service.progress import TerminalProgress

    with _StopOnSignal() as stop, TerminalProgress() as progress:
        report = sync(
            lake,
            _loader(arguments, lake),
            add=add,
            roots=roots,
            config=_config(arguments),
            progress=progress,
            should_stop=stop.asked,
            exact=arguments.exact,
        )
    if arguments.json:
        print_json(_report_json(report))
    _tell(report)
    if report.interrupted:
        return INTERRUPTED
    return FAILED if report.problems else DONE


def _loader(arguments: argparse.Namespace, lake: Path) -> Callable[[Manifest | None], Embedder]:
    wanted = getattr(arguments, "model", None)
    precision = getattr(arguments, "precision", None)

    def load(manifest: Manifest | None) -> Embedder:
        from indexer.embed.catalog import ModelName, load_embedder
        from indexer.errors import WrongModel
        from indexer.models import load_model_of

        if manifest is None:
            return load_embedder(wanted or "builtin", precision=precision, device=arguments.device)
        if wanted is not None and str(ModelName.parse(wanted)) != manifest.model_id:
            raise WrongModel(
                str(lake), manifest.model_id, wanted, "leave out --model, or index into a new lake"
            )
        return load_model_of(manifest, precision=precision, device=arguments.device)

    return load


def _config(arguments: argparse.Namespace) -> IndexConfig:
    from dataclasses import replace

    from indexer.config import IndexConfig

    config = IndexConfig.from_env()
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    limits = replace(
        config.limits, **{name: given[name] for name in ("max_pixels", "max_bytes") if name in given}
    )
    names = (
        "batch_size",
        "decoders",
        "readers",
        "commit_rows",
        "allow_empty",
        "drop_damaged",
        "retry_skipped",
    )
    changes = {name: given[name] for name in names if name in given}
    return replace(config, limits=limits, use_lock=not arguments.no_lock, **changes)


class _StopOnSignal:
    """Turns the first Ctrl-C or SIGTERM into a request to stop after a last commit; a second one stops at once.

    A context manager: afterwards signals do what they did before.
    """

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for name in (signal.SIGINT, signal.SIGTERM):
            self._before[name] = signal.signal(name, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self._before.items():
            if handler is not None:  # one that was not set from Python, which cannot be set again
                signal.signal(name, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        print("\nlakesift: stopping after what is under way; once more to stop at once", file=sys.stderr)

    def asked(self) -> bool:
        return self._asked


def _report_json(report: SyncReport) -> dict[str, Any]:
    from dataclasses import asdict

    skipped = [{"uri": uri, "reason": reason} for uri, reason in report.newly_skipped]
    return {**asdict(report), "newly_skipped": skipped, "seconds": round(report.seconds, 3)}


def _tell(report: SyncReport) -> None:
    for uri, reason in report.newly_skipped[:SHOWN_SKIPPED]:
        print(f"skipped {one_line(uri)}: {reason}", file=sys.stderr)
    more = len(report.newly_skipped) - SHOWN_SKIPPED
    if more > 0:
        print(f"skipped {more:,} more: lakesift info {report.lake} --skipped", file=sys.stderr)
    for problem in report.problems:
        print(f"warning: {problem}", file=sys.stderr)
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    parts = [
        f"{count:,} {name}"
        for name, count in (
            ("new", report.new),
            ("changed", report.changed),
            ("moved", report.moved),
            ("gone", report.gone),
            ("unchanged", report.unchanged),
            ("skipped", report.skipped),
        )
        if count
    ]
    verb = "interrupted; committed so far" if report.interrupted else "indexed"
    what = ", ".join(parts) or "nothing to do"
    print(
        f"{verb}: {report.rows:,} images ({what}) in {report.seconds:.1f} s -> {report.lake}", file=sys.stderr
    )
    if report.interrupted:
        go_on = (
            f"lakesift sync {report.lake}"
            if report.snapshot
            else "the same command; nothing was committed yet"
        )
        print(f"go on with: {go_on}", file=sys.stderr)


def _search(arguments: argparse.Namespace) -> int:
    from service.lake import Lake

    with Lake.open(arguments.lake) as lake:
        for problem in lake.problems:
            print(f"warning: {problem}", file=sys.stderr)
        query = _query(arguments)
        hits = lake.stream(query)
        if query.decided is not None:
            note = lake.rows_decided(lake.snapshot, query.decided).note(str(arguments.lake))
            if note is not None:
                print(f"note: {note}", file=sys.stderr)
        if arguments.json:
            _print_hits_json(hits, lake.snapshot.number)
        elif arguments.paths or arguments.print0:
            _print_paths(hits, b"\0" if arguments.print0 else b"\n")
        else:
            _print_hits(hits)
    return DONE


def _query(arguments: argparse.Namespace) -> Query:
    from dataclasses import replace

    from service.decided import DecidedBy
    from service.query import Query

    if arguments.decision and arguments.filter is None:
        raise BadRequest("--decision", "it is a filter's; name the filter, too: --filter NAME")
    decided = None if arguments.filter is None else DecidedBy.parse(arguments.filter, arguments.decision)
    examples = Query.of(
        [*([] if arguments.text is None else [arguments.text]), *arguments.texts],
        image=arguments.image,
        not_text=arguments.not_text,
        not_image=arguments.not_image,
        row_id=arguments.row,
        not_row_id=arguments.not_row,
    )
    return replace(
        examples,
        where=arguments.where,
        decided=decided,
        k=None if arguments.all else arguments.k,
        min_z=arguments.min_z,
        collapse=arguments.collapse,
    )


def _print_hits_json(hits: Iterable[Hit], snapshot: int) -> None:
    """One document, a line a hit, written as the hits come."""
    print(f'{{"snapshot": {snapshot}, "hits": [', end="")
    for number, hit in enumerate(hits):
        line = json.dumps(hit.to_json(), ensure_ascii=False, default=str)
        print(",\n" if number else "\n", line, sep="", end="")
    print('\n], "next_cursor": null}')


def _print_hits(hits: Iterable[Hit]) -> None:
    number = -1
    for number, hit in enumerate(hits):
        if number == 0:
            print(f"{'score':>7}  {'z':>6}  {'row':>7}  {'size':>11}  path", file=sys.stderr)
        size = f"{hit.columns['width_px']}x{hit.columns['height_px']}"
        z = "-" if hit.z is None else f"{hit.z:.1f}"
        print(f"{hit.score:7.3f}  {z:>6}  {hit.row_id:7d}  {size:>11}  {one_line(hit.uri)}{_and_more(hit)}")
    if number < 0:
        print("nothing found", file=sys.stderr)


def _and_more(hit: Hit) -> str:
    return f"  (and {len(hit.collapsed):,} like it)" if hit.collapsed else ""


def _print_paths(hits: Iterable[Hit], end: bytes) -> None:
    for hit in hits:
        path = hit.columns.get("path_bytes") or os.fsencode(hit.uri)
        sys.stdout.buffer.write(path + end)
    sys.stdout.buffer.flush()


def _serve(arguments: argparse.Namespace) -> int:
    import logging
    from dataclasses import replace

    from service.api.app import create_app
    from service.api.config import ServeConfig
    from service.api.guard import check_start
    from service.api.server import listen, run, url_of
    from service.keys import KeyStore, state_folder

    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    given = {name: getattr(arguments, name) for name in ("host", "port", "allow_hosts", "require_key")}
    changes = {name: value for name, value in given.items() if value is not None}
    if "allow_hosts" in changes:
        changes["allow_hosts"] = tuple(changes["allow_hosts"])
    config = replace(ServeConfig.from_env(), **changes)
    keys = KeyStore(state_folder())
    check_start(config, keys)
    sock = listen(config)
    with sock:
        app = create_app(arguments.lakes, config, keys=keys)
        for served in app.state.hub.lakes:
            print(
                f"{served.name}: {served.lake.rows:,} images, snapshot {served.lake.snapshot.number}",
                file=sys.stderr,
            )
            for problem in served.problems:
                print(f"warning: {problem}", file=sys.stderr)
        url = url_of(config, sock)
        told = f"serving at {url} (Ctrl-C stops)\n"
        with suppress(KeyboardInterrupt):  # how a service is meant to end
            run(app, sock, started=lambda: print(told, end="", file=sys.stderr, flush=True))
    print("stopped", file=sys.stderr)
    return DONE


def _filter(arguments: argparse.Namespace) -> int:
    from service.filter_verbs import run

    return run(arguments)


def _info(arguments: argparse.Namespace) -> int:
    from service.describe import describe

    facts = describe(arguments.lake, with_skipped=arguments.skipped)
    if arguments.json:
        print_json(facts)
        return DONE
    skipped = facts.pop("skipped_files", [])
    for name, value in facts.items():
        if isinstance(value, list | dict):
            items = (
                [f"{k}: {v}" for k, v in value.items()]
                if isinstance(value, dict)
                else [str(v) for v in value]
            )
            value = ("\n" + " " * 14).join(items) or "-"
        print(f"{name:<12}  {value:,}" if isinstance(value, int) else f"{name:<12}  {value}")
    for file in skipped:
        print(f"skipped       {one_line(file['uri'])}: {file['reason']}")
    return DONE


def _doctor(arguments: argparse.Namespace) -> int:
    from service.doctor import examine

    findings = []
    for finding in examine(arguments.lake, deep=arguments.deep, precision=arguments.precision):
        findings.append(finding)
        if not arguments.json:
            print(f"{'ok  ' if finding.ok else 'BAD '} {finding.what}: {finding.detail}")
    well = all(finding.ok for finding in findings)
    if arguments.json:
        print_json({"ok": well, "findings": [finding.to_json() for finding in findings]})
    return DONE if well else FAILED


def _models(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict
    from importlib.util import find_spec

    from indexer.embed.catalog import INSTALL, list_models

    models = list(list_models())
    if arguments.json:
        print_json({"models": [asdict(model) for model in models]})
        return DONE
    for model in models:
        print(model.name if model.on_disk else f"{model.name}  (weights not on this machine)")
    if find_spec("open_clip") is None:
        print(f"more models: {INSTALL}", file=sys.stderr)
    return DONE


def _train(arguments: argparse.Namespace) -> int:
    from service.train import Training, check_packages, load_fit

    check_packages()
    training = Training.check(
        arguments.data, arguments.out, base=arguments.base, name=arguments.name, seed=arguments.seed
    )
    return run_training(training, load_fit(), arguments.steps, arguments.fine_tune)


def run_training(training: Training, fit: Fit, steps: int | None, fine_tune: int) -> int:
    """Fit, showing how far it is; then the report, and what to do with the model. Returns the exit code."""
    from service.progress import StageProgress

    for note in training.notes:
        print(f"note: {note}", file=sys.stderr)
    with StageProgress() as progress:
        report = training.run(fit, steps, fine_tune, progress)
    for line in report.lines:
        print(line)
    model = shlex.quote(f"builtin@{training.out}")
    print(f"next: lakesift index PHOTOS --into my.lake --model {model}", file=sys.stderr)
    return DONE


def _vacuum(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from indexer.compact import vacuum
    from indexer.layout import Layout
    from indexer.locks import writer
    from indexer.manifest import read_manifest

    layout = Layout(arguments.lake)
    read_manifest(layout)
    with writer(layout, use_lock=not arguments.no_lock):
        manifest, problems = read_manifest(layout)
        if problems:  # it is not sure which snapshot is current, so not either what may go
            raise LakeError(f"nothing deleted: {problems[0]}")
        report = vacuum(layout, manifest, keep_s=arguments.keep_hours * 3600)
    if arguments.json:
        print_json(asdict(report))
    if report.held:
        print(
            "nothing deleted: a reader is just opening the lake, or a snapshot cannot be read; try again",
            file=sys.stderr,
        )
        return FAILED
    print(
        f"deleted {report.snapshots:,} snapshots and {report.files:,} files ({report.size_bytes / 1e6:.1f} MB); "
        f"{report.kept_snapshots:,} snapshots kept -> {arguments.lake}",
        file=sys.stderr,
    )
    return DONE


def _compact(arguments: argparse.Namespace) -> int:
    from indexer.commits import clear_staging, prepare_folder
    from indexer.compact import compact
    from indexer.layout import Layout
    from indexer.locks import writer
    from indexer.manifest import check_files, read_manifest

    layout = Layout(arguments.lake)
    read_manifest(layout)
    prepare_folder(layout)
    started = time.monotonic()
    with writer(layout, use_lock=not arguments.no_lock):
        clear_staging(layout)
        before, _ = read_manifest(layout)
        opened = check_files(layout, before)
        after = compact(
            layout, before, max_segments=arguments.max_segments, damaged=opened.out_of_service, purge=True
        )
    for problem in opened.problems:
        print(f"warning: {problem}", file=sys.stderr)
    facts = {
        "segments_before": len(before.segments),
        "segments": len(after.segments),
        "rows": after.live_rows,
        "snapshot": after.snapshot,
    }
    if arguments.json:
        print_json(facts)
    print(
        f"{len(before.segments):,} segments -> {len(after.segments):,}, {after.live_rows:,} images "
        f"in {time.monotonic() - started:.1f} s -> {arguments.lake}",
        file=sys.stderr,
    )
    return FAILED if opened.problems else DONE


def _key(arguments: argparse.Namespace) -> int:
    from service.keys import KeyStore, state_folder

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
        print(f"{'id':<8}  {'begins with':<11}  {'scope':<5}  {'made':<25}  name", file=sys.stderr)
        for key in known:
            print(
                f"{key.id:<8}  {key.prefix:<11}  {key.scope:<5}  {key.created_at:<25}  {one_line(key.name)}"
            )


def _revoke_key(keys: KeyStore, arguments: argparse.Namespace) -> None:
    gone = keys.revoke(arguments.key)
    print(f"revoked key {one_line(gone.name)} ({gone.id}, {gone.prefix}...)", file=sys.stderr)


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "index": _index,
    "sync": _sync,
    "search": _search,
    "serve": _serve,
    "filter": _filter,
    "info": _info,
    "doctor": _doctor,
    "models": _models,
    "train": _train,
    "vacuum": _vacuum,
    "compact": _compact,
    "key": _key,
}


if __name__ == "__main__":
    sys.exit(main())
