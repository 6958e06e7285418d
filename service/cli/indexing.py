"""The verbs `index` and `sync`: their arguments, what they do and what they say."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.durations import duration_us
from indexer.errors import BadRequest
from indexer.sources.containers.frames import DEFAULT_PERMILLE, still_permille
from service.cli.codes import DONE, FAILED, INTERRUPTED
from service.cli.committing import add_part, run_part
from service.cli.lakes import InBucket, add_work, bring, check_no_work, lake_anywhere, work_on
from service.cli.mapping import keep_map_in_step
from service.cli.parts import Verbs, add_json, add_trust_model, add_verb, positive, print_json
from service.cli.running import (
    StopOnSignal,
    config_of,
    forget_pictures,
    loader,
    report_json,
    runner_of,
    snapshot_of,
    tell,
)
from service.cli.waiting import tell_waiting

if TYPE_CHECKING:
    from indexer.disk.manifest import Moments

# As `indexer.sources.opening.LAYOUTS` has them; that would load all that reads sources.
_LAYOUTS = (
    "folder",
    "classes",
    "voc",
    "coco",
    "yolo",
    "label-studio",
    "cvat",
    "datumaro",
    "lerobot",
    "nuscenes",
    "tar",
    "tar.gz",
    "zip",
    "parquet",
    "mcap",
    "bag",
    "db3",
    "video",
)


def add_index(verbs: Verbs) -> None:
    parser = add_verb(verbs, "index", "index images where they lie: folders, buckets, archives, tables, videos", [
        "lakesift index ~/photos --into my.lake",
        "lakesift index 's3://bucket/robot/**/*.jpg' --into my.lake --columns frames.csv",
    ])  # fmt: skip
    parser.set_defaults(run=_index)
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="a folder, a glob in quotes, a URL, a list or a table of paths, a shard, zip or Parquet file, "
        "a recording, a video, a Lance, Delta Lake or Iceberg table, a labelled set, or a robot's data set",
    )
    parser.add_argument(
        "--into",
        type=lake_anywhere,
        metavar="LAKE",
        help="the lake's folder, made if it is not there, or a lake in a bucket, as s3://bucket/my.lake (only --plan "
        "goes without)",
    )
    add_work(parser)
    parser.add_argument(
        "--model",
        help="the model of a new lake: builtin@FOLDER for one that `lakesift train` wrote, "
        "else see `lakesift models` (default: builtin)",
    )
    parser.add_argument(
        "--precision",
        choices=["fp32", "bf16", "fp16", "int8"],
        help="of an open_clip model (default: the fastest that keeps its quality; int8 only when asked for)",
    )
    parser.add_argument(
        "--columns",
        metavar="TABLE",
        help="a CSV or Parquet table of your own metadata, joined by path",
    )
    parser.add_argument(
        "--every",
        type=time_us,
        metavar="TIME",
        help="one frame of a video for each TIME, such as 1s, 0.5s, 500ms or 2m (default: 1s, or as this source "
        "was given before); of a recording's images of one topic, those that are at least so far apart (default: all)",
    )
    parser.add_argument(
        "--join",
        action="append",
        default=[],
        metavar="/TOPIC/FIELD",
        help="a field of a recording's other topics as a column, from the message nearest in time, "
        "as /battery/percentage; may be repeated (default: none)",
    )
    parser.add_argument(
        "--within",
        type=time_us,
        metavar="TIME",
        help="how near in time a joined message must be (default: 0.5s)",
    )
    parser.add_argument(
        "--key-frames",
        action="store_true",
        help="of videos the key frames alone, which is fast and misses what lies between them; with --every at "
        "least so far apart (default: all frames count)",
    )
    parser.add_argument(
        "--scenes",
        action="store_true",
        help="of videos the first frame of each shot, after a cut; with --every another one each TIME as long as "
        "the shot goes on (default: one frame for each --every, whatever it shows)",
    )
    parser.add_argument(
        "--skip-still",
        action="store_true",
        help="of videos and recordings: a frame that hardly differs from the last one kept is no row of its own; "
        "the columns still_frames and still_s say for how many, and how long, a row stands (default: each is a row)",
    )
    parser.add_argument(
        "--still-below",
        type=_share,
        metavar="SHARE",
        help="with --skip-still: what hardly differs, as the largest change of red, green or blue in any of 32 x 32 "
        f"cells, in %% of the range (default: {DEFAULT_PERMILLE / 10:g}%%)",
    )
    parser.add_argument(
        "--no-video", action="store_true", help="leave videos out (default: read their frames)"
    )
    parser.add_argument(
        "--sources-of",
        type=Path,
        metavar="OTHER_LAKE",
        help="all sources of another lake, with their tables, as for another model (default: those named)",
    )
    parser.add_argument(
        "--as",
        dest="layout",
        choices=_LAYOUTS,
        help="how the SOURCEs are read: folders whose names are classes, a labelled set, one that a robot or a car "
        "recorded, or what files are whose names do not say it (default: as it looks)",
    )
    parser.add_argument(
        "--crops",
        action="store_true",
        help="each box of a labelled set is a row of its own, beside that of its image (default: no)",
    )
    add_part(parser)
    add_plan(parser)
    add_writing(parser)


def _index(arguments: argparse.Namespace) -> int:
    from indexer.disk.layout import Layout
    from indexer.disk.manifest import SourceEntry, read_manifest

    columns = (
        None if arguments.columns is None else str(Path(arguments.columns).expanduser().resolve())
    )
    layout, crops = arguments.layout, arguments.crops
    moments, frames = _moments(arguments), _frames(arguments)
    add = [
        SourceEntry(source, columns, layout, crops, moments, frames=frames)
        for source in arguments.sources
    ]
    if (moments is not None or frames is not None) and not add:
        raise BadRequest(
            "--every", "it is for the SOURCEs that are named, as all that chooses frames is"
        )
    if columns is not None and not add:
        raise BadRequest(
            "--columns",
            "a table is for the SOURCEs that are named; those of another lake keep their own",
        )
    if (layout is not None or crops) and not add:
        raise BadRequest(
            "--crops" if crops else "--as", "it is for the SOURCEs that are named; name one"
        )
    if arguments.sources_of is not None:
        theirs = read_manifest(Layout(arguments.sources_of))[0].sources
        listed = [entry for entry in theirs if not entry.is_imported]
        if theirs and not listed:
            raise BadRequest(
                "--sources-of",
                f"the rows of {arguments.sources_of} were imported; name the folder of their images",
            )
        add += listed
    if not add:
        raise BadRequest(
            "SOURCE",
            "name what to index: a folder, a glob, a URL or a list; or --sources-of a lake",
        )
    if arguments.into is None and not arguments.plan:
        raise BadRequest(
            "--into", "name the lake's folder: --into my.lake, or --plan to see what there is"
        )
    if arguments.part is not None:
        if arguments.plan or arguments.into is None:
            raise BadRequest("--plan", "it is of the whole run; leave out --part")
        return run_part(arguments, arguments.into, add)
    return sync_anywhere(arguments, arguments.into, add, {})


def _moments(arguments: argparse.Namespace) -> Moments | None:
    """What is taken of recordings; None where nothing is said of it."""
    from indexer.disk.manifest import Moments

    still, every = _still_permille(arguments), arguments.every
    if every is None and arguments.within is None and not arguments.join and not still:
        return None
    for wanted in arguments.join:
        if not re.fullmatch(r"(/[^/]+){2,}", wanted):
            raise BadRequest("--join", f"{wanted!r} is no topic and field, as /battery/percentage")
    columns = [wanted.strip("/").replace("/", "_").lower() for wanted in arguments.join]
    if twice := [column for column in columns if columns.count(column) > 1]:
        raise BadRequest("--join", f"two would be the column {twice[0]}")
    given = {"every_us": every, "within_us": arguments.within}
    known = {name: value for name, value in given.items() if value is not None}
    return Moments(join=tuple(arguments.join), still_permille=still, **known)


def _still_permille(arguments: argparse.Namespace) -> int:
    """0: every frame is a row."""
    if arguments.still_below is not None and not arguments.skip_still:
        raise BadRequest("--still-below", "it says what --skip-still skips; say that, too")
    if not arguments.skip_still:
        return 0
    return DEFAULT_PERMILLE if arguments.still_below is None else int(arguments.still_below)


def _frames(arguments: argparse.Namespace) -> str | None:
    """Which frames of videos are asked for, as a lake remembers it.

    :raises BadRequest: if it cannot be understood.
    """
    from indexer.sources.containers.frames import Frames

    every, still = arguments.every, _still_permille(arguments)
    chosen = arguments.key_frames or arguments.scenes or arguments.skip_still
    if arguments.no_video and (every is not None or chosen):
        raise BadRequest(
            "--no-video", "it leaves videos out; say it without --every or what else chooses frames"
        )
    if arguments.key_frames and arguments.scenes:
        raise BadRequest("--scenes", "shots begin at any frame; say it without --key-frames")
    if arguments.no_video:
        return str(Frames(none=True))
    # 0: every image of recordings; of videos as by default
    text = f"{every // 1_000}ms" if every else None
    for word, is_wanted in (("key", arguments.key_frames), ("scenes", arguments.scenes)):
        if is_wanted:
            text = word if text is None else f"{word}/{text}"
    if still:
        text = f"{text or Frames()}/still={still / 10:g}%"
    try:
        return None if text is None else str(Frames.parse(text))
    except ValueError as error:
        raise BadRequest("--every", str(error)) from error


def _share(text: str) -> int:
    """Thousandths; argparse tells what is wrong with it."""
    try:
        return still_permille(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def time_us(text: str) -> int:
    """Microseconds; argparse tells what is wrong with it."""
    try:
        return duration_us(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def sync_anywhere(
    arguments: argparse.Namespace,
    lake: Path | InBucket | None,
    add: list[Any],
    roots: dict[str, str],
    recompute: Sequence[str] = (),
) -> int:
    """:param lake: None: a plan of what an index would do."""
    if not isinstance(lake, InBucket):
        check_no_work(arguments)
        return _run_sync(arguments, lake, add, roots, recompute)
    if arguments.plan:
        folder = bring(arguments, lake)
        return (
            INTERRUPTED if folder is None else _run_sync(arguments, folder, add, roots, recompute)
        )
    called = str(lake)
    return work_on(
        arguments, lake, lambda folder: _run_sync(arguments, folder, add, roots, recompute, called)
    )


def _run_sync(
    arguments: argparse.Namespace,
    lake: Path | None,
    add: list[Any],
    roots: dict[str, str],
    recompute: Sequence[str],
    called: str | None = None,
) -> int:
    """:param called: what the lake is called where the folder is its working copy."""
    if arguments.plan or lake is None:
        return _run_preview(arguments, lake, add, roots, recompute)
    from indexer.sync import sync
    from service.cli.progress import TerminalProgress

    before = snapshot_of(lake)
    load, runner = runner_of(arguments, loader(arguments, lake), careful=not add)
    with StopOnSignal() as stop, TerminalProgress() as progress:
        report = sync(
            lake,
            load,
            add=add,
            roots=roots,
            config=config_of(arguments),
            progress=progress,
            should_stop=stop.asked,
            exact=arguments.exact,
            recompute=recompute,
            runner=runner,
        )
    report.lake = called or report.lake
    if before is not None and (report.gone or report.changed):
        forget_pictures(lake, before)
    if arguments.json:
        print_json(report_json(report))
    tell(report)
    tell_waiting(lake)
    if report.interrupted:
        return INTERRUPTED
    keep_map_in_step(lake)
    return FAILED if report.problems else DONE


def _run_preview(
    arguments: argparse.Namespace,
    lake: Path | None,
    add: list[Any],
    roots: dict[str, str],
    recompute: Sequence[str],
) -> int:
    from indexer.preview import preview
    from service.cli.planning import preview_json, tell_preview
    from service.cli.progress import TerminalProgress

    with StopOnSignal("what was found so far is told") as stop, TerminalProgress() as progress:
        found = preview(
            lake,
            loader(arguments, lake or Path("the lake")),
            add=add,
            roots=roots,
            config=config_of(arguments),
            progress=progress,
            should_stop=stop.asked,
            exact=arguments.exact,
            recompute=recompute,
        )
    if arguments.json:
        print_json(preview_json(found))
    tell_preview(found, as_text=not arguments.json)
    if found.interrupted:
        return INTERRUPTED
    return FAILED if found.problems else DONE


def add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plan",
        action="store_true",
        help="say what would be read, how much of it is new, and about how long it takes, and write nothing: "
        "sources are listed, and a few images are read to measure (default: do it)",
    )


def add_writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="images an encoder call (default: the model's own choice)",
    )
    parser.add_argument(
        "--decoders",
        type=positive,
        metavar="N",
        help="decoder processes (default: one a core, at most 16)",
    )
    parser.add_argument(
        "--listers",
        type=positive,
        metavar="N",
        help="shards and archives of a remote source, or recordings, looked into at once while it is listed "
        "(default: as many as make it faster, at most 64)",
    )
    parser.add_argument(
        "--readers",
        type=positive,
        metavar="N",
        help="downloads at once from a remote source (default: as many as make it faster, at most 64)",
    )
    parser.add_argument(
        "--commit-rows",
        type=positive,
        metavar="N",
        help="commit after this many images (default: 5000, or 30 s)",
    )
    parser.add_argument(
        "--max-pixels",
        type=positive,
        metavar="N",
        help="skip images of more pixels (default: 180000000)",
    )
    parser.add_argument(
        "--max-bytes", type=positive, metavar="N", help="skip larger files (default: 200000000)"
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="decode JPEGs at full size even where a reduced one is enough (default: off)",
    )
    parser.add_argument(
        "--runner",
        choices=["ray"],
        help="read and embed on the workers of a Ray cluster; pip install 'lakesift[ray]' on all of its machines, "
        "which have to see the sources under the same names (default: this machine does)",
    )
    parser.add_argument(
        "--ray-address",
        metavar="HOST:PORT",
        help="with --runner ray: the cluster's head (default: RAY_ADDRESS, or one that runs on this machine, or one "
        "that is started for this run)",
    )
    parser.add_argument(
        "--ray-workers",
        type=positive,
        metavar="N",
        help="with --runner ray: how many workers at most, each with a model of its own (default: one for each GPU, or "
        "one for every 4 cores)",
    )
    parser.add_argument(
        "--device", help="cuda, mps or cpu, for open_clip models (default: the best there is)"
    )
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="a source that is missing or lists nothing deletes its rows (default: they are kept)",
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="write without a lock, on a file system that has none (default: refuse)",
    )
    parser.add_argument(
        "--retry-skipped",
        action="store_true",
        help="try files again that could not be read, changed or not (default: only changed ones)",
    )
    add_trust_model(parser)
    add_json(parser)
