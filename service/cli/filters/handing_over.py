"""Actions that hand over and show what came of it: `export`, `report`, `samples`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE, FAILED, PROBLEMS_SHOWN
from service.cli.parts import (
    Verbs,
    add_currency,
    add_json,
    add_prices,
    add_raw_cells,
    add_verb,
    lake_and_name,
    positive,
    print_json,
    whole,
)
from service.formats.format_list import (
    FORMATS,
    Format,
    extracting,
    listed,
    names,
    what_each_writes,
    written,
)

if TYPE_CHECKING:
    from service.formats.exporting import ExportReport
    from service.relevance import Filter, Filters
    from service.relevance.decisions.answers import NearestKnown, SamplesAnswer
    from service.search.hits import Row

SHEETS = {".png": "PNG", ".jpg": "JPEG"}


def add_export(actions: Verbs) -> None:
    parser = add_verb(actions, "export", "hand over what was decided; the same command goes on after Ctrl-C", [
        "lakesift filter export my.lake hospital --decision keep --format txt --out -",
        "lakesift filter export my.lake hospital --format label_studio --root /photos --out tasks.json",
    ])  # fmt: skip
    parser.set_defaults(act=_export)
    lake_and_name(parser)
    parser.add_argument(
        "--decision",
        choices=["keep", "ask", "drop"],
        action="append",
        help="which images; may be repeated (default: keep)",
    )
    formats = written()
    parser.add_argument(
        "--format",
        choices=names(formats),
        default="txt",
        help=f"{what_each_writes(formats)} (default: txt)",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="PATH",
        help="the new file or folder; where the export is cut, its name is numbered, as "
        f"tasks-00001.json; - writes {listed(f for f in formats if f.streams)} to stdout",
    )
    parser.add_argument(
        "--chunk",
        type=positive,
        metavar="N",
        help=f"images to a file or folder, which are numbered then (default: {_chunks(formats)}, else all in one)",
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER_OR_URL",
        help="what the annotation tool has for its top folder: "
        f"{listed(f for f in formats if f.below_root)} name images below it (default: /)",
    )
    parser.add_argument(
        "--extract",
        type=Path,
        metavar="FOLDER",
        help=f"for {listed(extracting())}, which name whole files: write images that lie in archives "
        "and tables out to this folder, and name them there (default: leave those out)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what another export left in this place (default: leave it, and say so)",
    )
    add_raw_cells(parser)
    parser.add_argument(
        "--version",
        type=positive,
        metavar="N",
        help="as this version decided (default: as applied last)",
    )
    add_json(parser)


def _chunks(formats: Iterable[Format]) -> str:
    """As in "10,000 for label_studio and cvat, 1,000 for webdataset"."""
    sizes: dict[int, list[Format]] = {}
    for format in formats:
        if format.chunk is not None:
            sizes.setdefault(format.chunk, []).append(format)
    return ", ".join(f"{size:,} for {listed(those)}" for size, those in sizes.items())


def _export(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.cli.progress import TerminalProgress

    out = None if arguments.out == "-" else Path(arguments.out)
    chosen = filters.open(arguments.name)
    with TerminalProgress() as progress:
        report = chosen.decisions.export(
            arguments.format,
            out,
            tuple(dict.fromkeys(arguments.decision or ["keep"])),
            version=arguments.version,
            chunk=arguments.chunk,
            root=arguments.root,
            overwrite=arguments.overwrite,
            raw_cells=arguments.raw_cells,
            progress=progress,
            extract=arguments.extract,
        )
    if arguments.json and out is not None:
        print_json(report.to_json())
    _tell_export(report, arguments.out, FORMATS[arguments.format].note, arguments.extract)
    return FAILED if report.skipped else DONE


def _tell_export(report: ExportReport, out: str, note: str, extract: Path | None) -> None:
    for uri, reason in report.skipped[:PROBLEMS_SHOWN]:
        print(f"left out {one_line(uri)}: {reason}", file=sys.stderr)
    more = len(report.skipped) - PROBLEMS_SHOWN
    if more > 0:
        print(f"and {count(more, 'more was', 'more were')} left out", file=sys.stderr)
    first = report.files[0] if report.files else out
    where = first if len(report.files) <= 1 else f"{first} to {Path(report.files[-1]).name}"
    already = (
        f" ({report.already:,} of {len(report.files):,} were whole already)"
        if report.already
        else ""
    )
    print(f"{count(report.items, 'image')} -> {where}{already}", file=sys.stderr)
    if report.extracted:
        print(f"{count(report.extracted, 'image')} written out to {extract}", file=sys.stderr)
    if note and report.items:
        print(f"next: {note}", file=sys.stderr)


def add_report(actions: Verbs) -> None:
    parser = add_verb(actions, "report", "tell what came of it: images, promise, labels, money, people", [
        "lakesift filter report my.lake hospital --out hospital.html --price 0.8 --miss-price 20 --currency EUR",
        "lakesift filter report my.lake hospital --json",
    ])  # fmt: skip
    parser.set_defaults(act=_report)
    lake_and_name(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="HTML",
        help="write one HTML file to mail, with example images (default: a few lines on stdout)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a file of this name (default: leave it, and say so)",
    )
    add_prices(parser)
    add_currency(parser)
    add_json(parser)


def _report(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.promise.prices import Prices
    from service.relevance.reporting.file import check_out, write_out
    from service.relevance.reporting.summary import summary

    prices = Prices.of(
        arguments.price, arguments.miss_price, arguments.label_price, arguments.currency
    )
    chosen, out = filters.open(arguments.name), arguments.out
    if out is not None:
        check_out(out, overwrite=arguments.overwrite)
        write_out(chosen.report_page(prices), out)
        print(f"wrote {out}", file=sys.stderr)
    if arguments.json:
        print_json(chosen.report(prices).to_json())
    elif out is None:
        for line in summary(chosen.report(prices)):
            print(line)
    return DONE


def add_samples(actions: Verbs) -> None:
    parser = add_verb(actions, "samples", "look at some of what was kept or dropped, at random or next to the line", [
        "lakesift filter samples my.lake hospital --decision drop --sheet dropped.png",
        "lakesift filter samples my.lake hospital --decision keep --order line -n 50 --json",
    ])  # fmt: skip
    parser.set_defaults(act=_samples)
    lake_and_name(parser)
    parser.add_argument(
        "--decision",
        choices=["keep", "ask", "drop"],
        default="drop",
        help="which images (default: drop)",
    )
    parser.add_argument(
        "-n", type=positive, default=24, metavar="N", help="images wanted (default: 24)"
    )
    parser.add_argument(
        "--order",
        choices=["random", "line", "people"],
        default="random",
        help="random: each with the same chance; line: those decided most narrowly; people: those that people's "
        "own answers decided (default: random)",
    )
    parser.add_argument(
        "--seed",
        type=whole,
        metavar="S",
        help="draw the same images again (default: others each time)",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--sheet",
        type=Path,
        metavar="IMAGE",
        help="write one image of them all, .png or .jpg, to look at (default: a line an image on stdout)",
    )
    shape.add_argument("--paths", action="store_true", help="print paths alone, one a line")
    add_json(shape)  # type: ignore[arg-type]
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a file of this name (default: leave it, and say so)",
    )


def _samples(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.reporting.file import check_out

    if arguments.sheet is not None:
        _check_sheet(arguments.sheet)
        check_out(arguments.sheet, overwrite=arguments.overwrite)
    chosen = filters.open(arguments.name)
    found = chosen.decisions.samples(
        arguments.decision, arguments.n, order=arguments.order, seed=arguments.seed
    )
    rows = found.rows
    if arguments.json:
        print_json(found.to_json())
    elif arguments.sheet is not None:
        _write_sheet(chosen, found, arguments.sheet)
    elif arguments.paths:
        for whole_row in _whole_rows(chosen, found):
            sys.stdout.buffer.write(whole_row.path + b"\n")
        sys.stdout.buffer.flush()
    else:
        if rows:
            print(
                f"{'row':>7}  {'score':>7}  {'p':>8}  {'like a yes':>16}  {'like a no':>16}  path"
            )
        for row in rows:
            chance = row.label or ("-" if row.probability is None else f"{row.probability:.2f}")
            yes, no = _like(row.nearest_yes), _like(row.nearest_no)
            print(
                f"{row.row_id:7d}  {row.score:7.3f}  {chance:>8}  {yes:>16}  {no:>16}  {one_line(row.place)}"
            )
    drawn = {
        "random": "at random",
        "line": "next to the line",
        "people": "decided by people's own answers",
    }[found.order]
    apart = ""
    if found.order == "line" and found.by_people:
        apart = f"; people's own answers decided {found.by_people:,}, not among these"
    print(
        f"{len(rows):,} of {count(found.of, 'image')} that {found.filter}@{found.version} decided as "
        f"{found.decision}, {drawn}{apart}",
        file=sys.stderr,
    )
    if rows and found.decision == "drop":
        print(
            f"bring one back: lakesift filter restore {arguments.lake} {arguments.name} --row {rows[0].row_id}",
            file=sys.stderr,
        )
    return DONE


def _like(nearest: NearestKnown | None) -> str:
    """As in "0.83 row 17"."""
    if nearest is None:
        return "-"
    if nearest.row_id is not None:
        return f"{nearest.cosine:.2f} row {nearest.row_id}"
    return f"{nearest.cosine:.2f} {one_line(nearest.image or '')[:12]}"


def _whole_rows(chosen: Filter, found: SamplesAnswer) -> list[Row]:
    from service.relevance.scoring.scored_rows import rows_of

    snapshot = chosen.lake.at(chosen.versions.at(found.version).snapshot)
    return rows_of(snapshot, [row.row_id for row in found.rows])


def _check_sheet(out: Path) -> None:
    """:raises BadRequest: if its name says no kind of image that is written here."""
    if out.suffix.lower() not in SHEETS:
        raise BadRequest(
            "--sheet", f"{out} does not end in {' or '.join(SHEETS)}; those are written"
        )


def _write_sheet(chosen: Filter, found: SamplesAnswer, out: Path) -> None:
    import io

    from service.pictures.contact_sheets import contact_sheet
    from service.relevance.reporting.file import write_out

    buffer = io.BytesIO()
    contact_sheet(_whole_rows(chosen, found)).save(buffer, SHEETS[out.suffix.lower()], quality=90)
    write_out(buffer.getvalue(), out)
    print(f"wrote {out}", file=sys.stderr)
