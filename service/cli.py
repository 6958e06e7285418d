"""The `lakesift` command: arguments, messages, exit codes. The only place that prints.

Results go to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 used wrongly, 130 interrupted (what was done is
committed). Heavy modules are imported by the verb that needs them, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from indexer.errors import BadRequest, LakeError, WhereError

if TYPE_CHECKING:
    from indexer.config import IndexConfig
    from indexer.embed import Embedder
    from indexer.manifest import Manifest
    from indexer.sync import SyncReport
    from service.search import Hit

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
SHOWN_SKIPPED = 10  # skipped files named at the end of a run; `info --skipped` lists them all


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except (BadRequest, WhereError) as error:
        return _complain(error, USAGE)
    except LakeError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        print("lakesift: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:  # a full or failing disk under `compact` or `vacuum`; `sync` says it itself
        return _complain(LakeError(f"{error.filename or 'lake'}: {error.strerror or error}"), FAILED)


def _complain(error: LakeError, code: int) -> int:
    print(f"lakesift: {error}", file=sys.stderr)
    return code


# -- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lakesift",
        description="Find images in a data lake and decide which are worth annotating.",
        epilog="examples:\n"
        "  lakesift index ~/photos --into my.lake\n"
        '  lakesift search my.lake "a cat" --paths\n\n'
        "Results go to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 used wrongly, 130 interrupted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    from indexer import __version__

    parser.add_argument("--version", action="version", version=f"lakesift {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_index(verbs)
    _add_sync(verbs)
    _add_search(verbs)
    _add_info(verbs)
    _add_doctor(verbs)
    _add_models(verbs)
    _add_vacuum(verbs)
    _add_compact(verbs)
    return parser


Verbs = Any  # argparse's sub-parsers action has no public type


def _verb(
    verbs: Verbs, name: str, run: Callable[[argparse.Namespace], int], help: str, examples: Sequence[str]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document (default: text for people)"
    )


def _add_writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch-size",
        type=_positive,
        metavar="N",
        help="images an encoder call (default: the model's own choice)",
    )
    parser.add_argument(
        "--decoders", type=_positive, metavar="N", help="decoder processes (default: one a core, at most 16)"
    )
    parser.add_argument(
        "--readers", type=_positive, metavar="N", help="downloads at once from a remote source (default: 16)"
    )
    parser.add_argument(
        "--commit-rows",
        type=_positive,
        metavar="N",
        help="commit after this many images (default: 5000, or 30 s)",
    )
    parser.add_argument(
        "--max-pixels", type=_positive, metavar="N", help="skip images of more pixels (default: 180000000)"
    )
    parser.add_argument(
        "--max-bytes", type=_positive, metavar="N", help="skip larger files (default: 200000000)"
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="decode JPEGs at full size even where a reduced one is enough (default: off)",
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
    _add_json(parser)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _add_index(verbs: Verbs) -> None:
    parser = _verb(verbs, "index", _index, "index folders, globs, URLs or lists of images into a lake", [
        "lakesift index ~/photos --into my.lake",
        "lakesift index 's3://bucket/robot/**/*.jpg' --into my.lake --columns frames.csv",
    ])  # fmt: skip
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a folder, a glob in quotes, a URL, or a text file with one path a line",
    )
    parser.add_argument(
        "--into", required=True, type=Path, metavar="LAKE", help="the lake's folder; made if it is not there"
    )
    parser.add_argument("--model", help="the model of a new lake, see `lakesift models` (default: builtin)")
    parser.add_argument(
        "--precision",
        choices=["fp32", "bf16", "fp16", "int8"],
        help="of an open_clip model (default: the fastest that keeps its quality; int8 only when asked for)",
    )
    parser.add_argument(
        "--columns", metavar="TABLE", help="a CSV or Parquet table of your own metadata, joined by path"
    )
    _add_writing(parser)


def _add_sync(verbs: Verbs) -> None:
    parser = _verb(verbs, "sync", _sync, "make a lake equal its sources: new, changed, moved and deleted images", [
        "lakesift sync my.lake",
        "lakesift sync my.lake --root /old/disk=/new/disk",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
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
    _add_writing(parser)


def _add_search(verbs: Verbs) -> None:
    parser = _verb(verbs, "search", _search, "find images by text, by example images, by metadata", [
        'lakesift search my.lake "a cat" --paths',
        "lakesift search my.lake --image cat.jpg --not-text drawing --where \"width_px >= 640\" -k 20",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument("text", nargs="?", help="what to look for")
    parser.add_argument(
        "--text",
        dest="texts",
        action="append",
        default=[],
        metavar="TEXT",
        help="one more wanted text; may be repeated",
    )
    parser.add_argument(
        "--image", action="append", default=[], metavar="PATH", help="a wanted example image; may be repeated"
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
        "--not-text", action="append", default=[], metavar="TEXT", help="an unwanted text; may be repeated"
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
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="only rows for which this holds, e.g. \"width_px >= 640 AND camera LIKE 'Canon%%'\"",
    )
    parser.add_argument("-k", type=_positive, default=10, metavar="N", help="hits wanted (default: 10)")
    parser.add_argument(
        "--all", action="store_true", help="every row, or every row above --min-z, instead of -k hits"
    )
    parser.add_argument(
        "--min-z",
        type=float,
        metavar="Z",
        help="only hits that stand out by this many robust standard deviations",
    )
    shape = parser.add_mutually_exclusive_group()
    _add_json(shape)  # type: ignore[arg-type]
    shape.add_argument("--paths", action="store_true", help="print paths alone, one a line")
    shape.add_argument(
        "--print0",
        action="store_true",
        help="print paths alone, each ended by a NUL byte, for odd names and xargs -0",
    )


def _add_info(verbs: Verbs) -> None:
    parser = _verb(verbs, "info", _info, "say what a lake holds", [
        "lakesift info my.lake",
        "lakesift info my.lake --skipped --json",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument(
        "--skipped",
        action="store_true",
        help="list the files that could not be read, and why (default: count them)",
    )
    _add_json(parser)


def _add_doctor(verbs: Verbs) -> None:
    parser = _verb(verbs, "doctor", _doctor, "check a lake, its model and this machine", [
        "lakesift doctor my.lake",
        "lakesift doctor my.lake --deep",
    ])  # fmt: skip
    parser.add_argument(
        "lake",
        type=Path,
        nargs="?",
        metavar="LAKE",
        help="the lake's folder (default: check the machine alone)",
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="read every byte of the lake (default: lengths and headers of a large lake)",
    )
    parser.add_argument(
        "--precision",
        choices=["int8", "bf16", "fp16"],
        help="measure on this lake's own photos what this precision would cost (default: do not)",
    )
    _add_json(parser)


def _add_models(verbs: Verbs) -> None:
    parser = _verb(verbs, "models", _models, "list the models that a lake can be built with", [
        "lakesift models",
        "lakesift models --json",
    ])  # fmt: skip
    _add_json(parser)


def _add_vacuum(verbs: Verbs) -> None:
    parser = _verb(verbs, "vacuum", _vacuum, "delete old snapshots and the files only they need", [
        "lakesift vacuum my.lake",
        "lakesift vacuum my.lake --keep-hours 24",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument(
        "--keep-hours",
        type=float,
        default=1.0,
        metavar="H",
        help="keep every snapshot that was current in the last H hours (default: 1)",
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="write without a lock, on a file system that has none (default: refuse)",
    )
    _add_json(parser)


def _add_compact(verbs: Verbs) -> None:
    parser = _verb(verbs, "compact", _compact, "merge small segments, leaving deleted rows behind", [
        "lakesift compact my.lake",
        "lakesift compact my.lake --max-segments 4",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument(
        "--max-segments",
        type=_positive,
        default=1,
        metavar="N",
        help="merge until at most so many are left (default: 1; none grows past 512 MiB of vectors)",
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="write without a lock, on a file system that has none (default: refuse)",
    )
    _add_json(parser)


# -- verbs


def _index(arguments: argparse.Namespace) -> int:
    from indexer.manifest import SourceEntry

    columns = None if arguments.columns is None else str(Path(arguments.columns).expanduser().resolve())
    add = [SourceEntry(source, columns) for source in arguments.sources]
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

    stop = _StopOnSignal()
    with TerminalProgress() as progress:
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
        _print_json(_report_json(report))
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
    """Turns the first Ctrl-C or SIGTERM into a request to stop after a last commit; a second one stops at once."""

    def __init__(self) -> None:
        self._asked = False
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self._ask)

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
        print(f"skipped {_one_line(uri)}: {reason}", file=sys.stderr)
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
        print(f"go on with: lakesift sync {report.lake}", file=sys.stderr)


def _search(arguments: argparse.Namespace) -> int:
    from service.lake import Lake

    with Lake.open(arguments.lake) as lake:
        for problem in lake.problems:
            print(f"warning: {problem}", file=sys.stderr)
        hits = lake.search(
            [*([] if arguments.text is None else [arguments.text]), *arguments.texts],
            image=arguments.image,
            not_text=arguments.not_text,
            not_image=arguments.not_image,
            row_id=arguments.row,
            not_row_id=arguments.not_row,
            where=arguments.where,
            k=None if arguments.all else arguments.k,
            min_z=arguments.min_z,
        )
        if arguments.json:
            _print_json(
                {
                    "snapshot": lake.snapshot.number,
                    "hits": [hit.to_json() for hit in hits],
                    "next_cursor": None,
                }
            )
        elif arguments.paths or arguments.print0:
            _print_paths(hits, b"\0" if arguments.print0 else b"\n")
        else:
            _print_hits(hits)
    return DONE


def _print_hits(hits: Sequence[Hit]) -> None:
    if not hits:
        print("nothing found", file=sys.stderr)
        return
    print(f"{'score':>7}  {'z':>6}  {'row':>7}  {'size':>11}  path", file=sys.stderr)
    for hit in hits:
        size = f"{hit.columns['width_px']}x{hit.columns['height_px']}"
        z = "-" if hit.z is None else f"{hit.z:.1f}"
        print(f"{hit.score:7.3f}  {z:>6}  {hit.row_id:7d}  {size:>11}  {_one_line(hit.uri)}")


def _print_paths(hits: Sequence[Hit], end: bytes) -> None:
    for hit in hits:
        path = hit.columns.get("path_bytes") or os.fsencode(hit.uri)
        sys.stdout.buffer.write(path + end)
    sys.stdout.buffer.flush()


def _one_line(text: str) -> str:
    """Names may hold newlines and terminal codes: shown escaped, so that a line stays a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _info(arguments: argparse.Namespace) -> int:
    from service.describe import describe

    facts = describe(arguments.lake, with_skipped=arguments.skipped)
    if arguments.json:
        _print_json(facts)
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
        print(f"skipped       {_one_line(file['uri'])}: {file['reason']}")
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
        _print_json({"ok": well, "findings": [finding.to_json() for finding in findings]})
    return DONE if well else FAILED


def _models(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict
    from importlib.util import find_spec

    from indexer.embed.catalog import INSTALL, list_models

    models = list(list_models())
    if arguments.json:
        _print_json({"models": [asdict(model) for model in models]})
        return DONE
    for model in models:
        print(model.name if model.on_disk else f"{model.name}  (weights not on this machine)")
    if find_spec("open_clip") is None:
        print(f"more models: {INSTALL}", file=sys.stderr)
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
        _print_json(asdict(report))
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
        after = compact(layout, before, max_segments=arguments.max_segments, damaged=opened.out_of_service)
    for problem in opened.problems:
        print(f"warning: {problem}", file=sys.stderr)
    facts = {
        "segments_before": len(before.segments),
        "segments": len(after.segments),
        "rows": after.live_rows,
        "snapshot": after.snapshot,
    }
    if arguments.json:
        _print_json(facts)
    print(
        f"{len(before.segments):,} segments -> {len(after.segments):,}, {after.live_rows:,} images "
        f"in {time.monotonic() - started:.1f} s -> {arguments.lake}",
        file=sys.stderr,
    )
    return FAILED if opened.problems else DONE


def _print_json(document: object) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=1, default=str))


if __name__ == "__main__":
    sys.exit(main())
