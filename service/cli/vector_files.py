"""The verbs `import` and `export-vectors`: vectors that were made elsewhere, and the way out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE, FAILED, INTERRUPTED
from service.cli.lakes import add_lake, lake_folder
from service.cli.parts import Verbs, add_json, add_verb, print_json

if TYPE_CHECKING:
    from indexer.embed import Embedder
    from indexer.report import SyncReport

SHOWN_SKIPPED = 10  # skipped rows named at the end; `info --skipped` lists them all


def add_import(verbs: Verbs) -> None:
    parser = add_verb(verbs, "import", "make a lake of vectors that another tool made", [
        "lakesift import embeddings/ --into my.lake --model open_clip:ViT-B-32/openai",
        "lakesift import vectors.parquet --into my.lake --vector embedding --uri url",
    ])  # fmt: skip
    parser.set_defaults(run=_import)
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="a folder as clip-retrieval writes it (img_emb/*.npy, metadata/*.parquet), a Parquet file with a column "
        "of vectors, or a folder of such",
    )
    parser.add_argument(
        "--into",
        required=True,
        type=lake_folder,
        metavar="LAKE",
        help="the lake's folder; made if it is not there",
    )
    parser.add_argument(
        "--model",
        help="what made the vectors, so that texts and images can be asked; tried on some of the images "
        "(default: unknown, and the lake answers by row and by vector)",
    )
    parser.add_argument(
        "--vector",
        metavar="COLUMN",
        help="the column of vectors in a Parquet file (default: the only list of decimals)",
    )
    parser.add_argument(
        "--uri",
        metavar="COLUMN",
        help="the column of the images' paths or URLs (default: the first of uri, url, image_url, path, file, "
        "filename, file_name, image_path, image)",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="where relative paths start (default: at SOURCE, or at the folder it is in)",
    )
    parser.add_argument(
        "--device", help="cuda, mps or cpu, for open_clip models (default: the best there is)"
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="write without a lock, on a file system that has none (default: refuse)",
    )
    add_json(parser)


def _import(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from indexer.config import IndexConfig
    from indexer.vector_files.importing import import_vectors
    from service.cli.progress import TerminalProgress
    from service.cli.running import StopOnSignal

    def load() -> Embedder:
        from indexer.embed.models import load_embedder

        return load_embedder(arguments.model, device=arguments.device)

    with StopOnSignal() as stop, TerminalProgress() as progress:
        report = import_vectors(
            arguments.into,
            arguments.source,
            load if arguments.model is not None else None,
            vector=arguments.vector,
            uri=arguments.uri,
            images=arguments.images,
            config=replace(IndexConfig.from_env(), use_lock=not arguments.no_lock),
            progress=progress,
            should_stop=stop.asked,
        )
    if arguments.json:
        print_json(_report_json(report))
    _tell(report)
    return INTERRUPTED if report.interrupted else DONE


def _report_json(report: SyncReport) -> dict[str, object]:
    names = ("lake", "snapshot", "rows", "new", "notes", "problems", "interrupted")
    skipped = [{"uri": uri, "reason": reason} for uri, reason in report.newly_skipped]
    return {**{name: getattr(report, name) for name in names}, "newly_skipped": skipped}


def _tell(report: SyncReport) -> None:
    for uri, reason in report.newly_skipped[:SHOWN_SKIPPED]:
        print(f"skipped {one_line(uri)}: {one_line(reason)}", file=sys.stderr)
    more = len(report.newly_skipped) - SHOWN_SKIPPED
    if more > 0:
        print(f"skipped {more:,} more: lakesift info {report.lake} --skipped", file=sys.stderr)
    for note in report.notes:
        print(f"note: {one_line(note)}", file=sys.stderr)
    if report.interrupted:
        print("interrupted: nothing was imported; the same command begins anew", file=sys.stderr)
        return
    skipped = f", {len(report.newly_skipped):,} skipped" if report.newly_skipped else ""
    print(
        f"imported: {count(report.new, 'row')}{skipped} in {report.seconds:.1f} s -> {report.lake}\n"
        f"to show the images and know their size: lakesift sync {report.lake} --recompute width_px",
        file=sys.stderr,
    )


def add_export_vectors(verbs: Verbs) -> None:
    parser = add_verb(verbs, "export-vectors", "write a lake's vectors and rows for other tools", [
        "lakesift export-vectors my.lake --out embeddings",
        "lakesift export-vectors my.lake --out tables --format parquet --precision float32",
    ])  # fmt: skip
    parser.set_defaults(run=_export)
    add_lake(parser)
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="a folder, new or empty"
    )
    parser.add_argument(
        "--format",
        choices=["npy", "parquet"],
        default="npy",
        help="npy: img_emb/*.npy and metadata/*.parquet, as clip-retrieval has them; parquet: one table with a column "
        "`vector` (default: npy)",
    )
    parser.add_argument(
        "--precision",
        choices=["float16", "float32"],
        default="float16",
        help="of the vectors; float16 is what a lake keeps (default: float16)",
    )
    add_json(parser)


def _export(arguments: argparse.Namespace) -> int:
    from service.cli.progress import TerminalProgress
    from service.lake import Lake
    from service.snapshot.vector_files import export_vectors

    with Lake.open(arguments.lake) as lake, TerminalProgress() as progress:
        written = export_vectors(
            lake.snapshot,
            arguments.out,
            format=arguments.format,
            precision=arguments.precision,
            progress=progress,
        )
        problems = lake.problems
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    if arguments.json:
        print_json({"out": str(written.out), "rows": written.rows, "files": written.files})
    rows, files = count(written.rows, "row"), count(written.files, "file")
    print(f"exported {rows} with their vectors in {files} -> {written.out}", file=sys.stderr)
    return FAILED if problems else DONE
