"""The verb sync: once, or with --watch until told to stop."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from indexer.words import count
from service.cli.codes import DONE
from service.cli.indexing import add_plan, add_writing, sync_anywhere, time_us
from service.cli.lakes import InBucket, add_lake_anywhere, check_no_work
from service.cli.mapping import keep_map_in_step
from service.cli.parts import Verbs, add_verb, hours
from service.cli.running import (
    StopOnSignal,
    config_of,
    forget_pictures,
    loader,
    report_json,
    snapshot_of,
    tell,
)

if TYPE_CHECKING:
    from indexer.report import SyncReport
    from indexer.watching.watch import Pass


def add_sync(verbs: Verbs) -> None:
    parser = add_verb(verbs, "sync", "make a lake equal its sources: new, changed, moved and deleted images", [
        "lakesift sync my.lake",
        "lakesift sync my.lake --watch",
    ])  # fmt: skip
    parser.set_defaults(run=_sync)
    add_lake_anywhere(parser)
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="the photos moved house: paths that began with OLD begin with NEW now (default: none)",
    )
    parser.add_argument(
        "--drop-damaged",
        action="store_true",
        help="give up damaged segments and index their images again, under new row ids (default: refuse)",
    )
    parser.add_argument(
        "--recompute",
        action="append",
        default=[],
        metavar="NAME",
        help="compute this column again from every image, as after an update that knows more: phash, width_px, "
        "height_px, format, captured_at, camera, place, or quality for the quality_... columns (default: none)",
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help="go on until Ctrl-C or SIGTERM: sync again whenever something changed on disk, and every --interval; "
        "one line for a pass that changed something (default: sync once)",
    )
    parser.add_argument(
        "--interval",
        type=time_us,
        metavar="TIME",
        help="with --watch: look at all sources at least so often, as 30s or 10m; never for more than a tenth of the "
        "time (default: 30s)",
    )
    parser.add_argument(
        "--keep-hours",
        type=hours,
        metavar="H",
        help="with --watch: delete snapshots that were current longer ago, as `vacuum` does, once an hour "
        "(default: 24)",
    )
    parser.add_argument(
        "--no-vacuum",
        action="store_true",
        help="with --watch: keep all old snapshots; the disk fills (default: see --keep-hours)",
    )
    add_plan(parser)
    add_writing(parser)


def _sync(arguments: argparse.Namespace) -> int:
    roots = {}
    for root in arguments.root:
        old, equals, new = root.partition("=")
        if not (old and equals and new):
            raise BadRequest("--root", f"{root!r} is not of the form OLD=NEW")
        roots[old.rstrip("/") + "/"] = new.rstrip("/") + "/"
    if arguments.watch:
        return _watch(arguments, roots)
    given = {
        "--interval": arguments.interval is not None,
        "--keep-hours": arguments.keep_hours is not None,
        "--no-vacuum": arguments.no_vacuum,
    }
    for flag in (flag for flag, is_given in given.items() if is_given):
        raise BadRequest(flag, "it says how to --watch; add that")
    return sync_anywhere(arguments, arguments.lake, [], roots, arguments.recompute)


def _watch(arguments: argparse.Namespace, roots: dict[str, str]) -> int:
    """Ctrl-C and SIGTERM are how it ends, so they are no failure: exit code 0."""
    from indexer.watching.watch import INTERVAL_S, KEEP_S, watch
    from service.cli.progress import TerminalProgress

    if isinstance(arguments.lake, InBucket):
        raise BadRequest(
            "--watch",
            "it follows the sources of a folder; sync a lake in a bucket once, as often as you like",
        )
    check_no_work(arguments)
    if arguments.runner is not None:
        raise BadRequest(
            "--runner", "it is for one sync; leave out --watch, and run sync as often as you like"
        )
    if arguments.plan:
        raise BadRequest("--plan", "it says what one sync would do; leave out --watch")
    if arguments.no_vacuum and arguments.keep_hours is not None:
        raise BadRequest("--no-vacuum", "nothing is deleted then; leave out --keep-hours")
    interval_s = INTERVAL_S if arguments.interval is None else arguments.interval / 1e6
    if interval_s < 1:
        raise BadRequest("--interval", "it is at least one second")
    keep_s = KEEP_S if arguments.keep_hours is None else arguments.keep_hours * 3600
    lake = arguments.lake
    before, has_begun = snapshot_of(lake), False
    with StopOnSignal() as stop, TerminalProgress(is_passing=True) as progress:
        passes = watch(
            lake,
            loader(arguments, lake),
            interval_s=interval_s,
            keep_s=None if arguments.no_vacuum else keep_s,
            roots=roots,
            config=config_of(arguments),
            progress=progress,
            should_stop=stop.asked,
            exact=arguments.exact,
            recompute=arguments.recompute,
        )
        for done in passes:
            progress.clear()
            if before is not None and done.report and (done.report.gone or done.report.changed):
                forget_pictures(lake, before)
            if done.report is not None:
                before = done.report.snapshot
                keep_map_in_step(lake)
            if done.is_news:
                _tell_pass(done, as_json=arguments.json)
            if done.report is not None and not has_begun:
                has_begun = True
                print(_begun(done.report, interval_s), file=sys.stderr, flush=True)
    return DONE


def _begun(report: SyncReport, interval_s: float) -> str:
    every = f"every {interval_s:g} s, and when something changes on disk"
    return f"following the sources of {report.lake} {every}: {count(report.rows, 'image')}"


def _tell_pass(done: Pass, *, as_json: bool) -> None:
    if as_json:
        document = report_json(done.report) if done.report else {"failure": done.failure}
        print(json.dumps(document, ensure_ascii=False, default=str), flush=True)
    if done.report is None:
        print(f"warning: {done.failure}; trying again", file=sys.stderr, flush=True)
        return
    if done.is_mended:
        print("note: all can be read again", file=sys.stderr)
    tell(done.report)
