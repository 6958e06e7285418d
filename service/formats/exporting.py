"""Hands over what a filter decided: any number of images, in chunks.

A chunk is whole, or it is not there. An export that was stopped is gone on with by the next run.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from indexer.disk.durable import fsync_folder
from indexer.disk.entries import create_file
from indexer.errors import BadRequest, NotWritten
from indexer.report import Progress, Silent
from indexer.sources.local import os_reason
from indexer.sources.names import is_url, uri_of
from service.formats.batch import Batch, Batches, Supply, needed
from service.formats.chunk import Folder, Job
from service.formats.extracting import Extracting
from service.formats.filling import Watched, fill
from service.formats.format_list import (
    FORMATS,
    Format,
    extracting,
    listed,
    names,
    written,
)
from service.formats.item import Handover, Item, LeftOut
from service.formats.packing import pieces_of, zip_folder
from service.formats.place import GO_ON, alone_at
from service.formats.state import State, Written, entries_of

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was handed over."""

    format: str
    # the chunks, files or folders; none where it went to stdout
    files: list[str] = field(default_factory=list)
    items: int = 0  # images in them
    skipped: list[tuple[str, str]] = field(default_factory=list)  # uri, reason
    already: int = 0  # chunks that an earlier run had written
    extracted: int = 0  # images that this run wrote out to files of their own

    def to_json(self) -> dict[str, Any]:
        skipped = [{"uri": uri, "reason": reason} for uri, reason in self.skipped]
        return {**asdict(self), "skipped": skipped}


def export(
    items: Iterable[Item] | Batches,
    handover: Handover,
    format: str,
    out: Path | None,
    chunk: int | None = None,
    read_image: Callable[[Item], bytes] | None = None,
    progress: Progress | None = None,
    *,
    count: int | None = None,
    root: str | None = None,
    schema: pa.Schema | None = None,
    overwrite: bool = False,
    raw_cells: bool = False,
    stdout: BinaryIO | None = None,
    extract: Path | None = None,
    tags: int | None = None,
) -> ExportReport:
    """Write the images' names, or their bytes too, in a form that another tool reads.

    In chunks, `out` is numbered: kept.json becomes kept-00001.json. Each is written under another
    name, then renamed. A second run of the same export, after Ctrl-C or a crash, writes only the
    chunks that are not whole; beside them `<out>.lakesift.json` says how far it is, and of which
    filter's version.

    :param items: in an order that is the same at every run; taken once, never all in memory.
    :param format: one of those that `format_list.written` lists.
    :param out: None: stdout, for a format that streams, all in one.
    :param chunk: images to a chunk; None: the format's own number, else all in one, which is not
        numbered.
    :param read_image: the bytes of an item's image; raises ImageGone or ImageUnreachable. A format
        that copies needs it.
    :param count: how many items there are, for progress alone.
    :param root: what the annotation tool has for its top folder, a path or URL: formats for such
        tools name images below it, and leave out those that are not.
    :param schema: the types of the items' columns, as `Snapshot.schema`; without it csv takes the
        names of the first item's, and parquet tells the types by the values.
    :param overwrite: replace what another export left in this place.
    :param raw_cells: in csv, for programs: texts that a spreadsheet would run as formulas stand as
        they are, without a `'` before them.
    :param extract: for a format that names whole files: the folder to which images inside other
        files are written, as `000.tar-1f3a9c2e/7.jpg`, and under which the format names them. What
        is there with the same bytes stays; other bytes are never written over. Needs read_image.
    :param tags: the last act that the items' tags are of: with other tags it is another export,
        where the format shows them; None: nobody tagged.
    :raises BadRequest: if format or chunk is none, or the place holds another export or somebody's
        files; if extract is for another kind of format, or does not lie where it must.
    :raises NotWritten: if the disk is full, or out or extract cannot be written.
    :raises LakeLocked: if another process or thread exports to this place, or extracts to it.
    """
    form = _form_of(format)
    if chunk is not None and chunk < 1:
        raise BadRequest("chunk", f"{chunk} is not a number of images; it must be at least 1")
    job = Job(handover, root, schema, read_image, raw_cells)
    if form.copies and read_image is None:
        raise BadRequest("read_image", f"{format} copies images, and was given no way to read them")
    if extract is not None:
        extract = Path(os.path.abspath(extract))  # noqa: PTH100 - resolve() would follow links
        _check_extract(extract, form, job, out)
    watched = Watched(progress or Silent(), count)
    if out is None:
        supply = _supply(form, items, schema)
        return _to_stdout(form, job, supply, chunk, stdout or sys.stdout.buffer, watched)
    size = form.chunk if chunk is None else chunk
    name = f"{format} with raw cells" if raw_cells and format == "csv" else format
    about = {
        "export": name,
        **handover.to_json(),
        "chunk": size,
        "root": root,
        "extract": None if extract is None else uri_of(os.fsencode(extract))[0],
        "tags": tags if form.columns is None or form.own_columns else None,
    }
    supply = _supply(form, items, schema, every_column=extract is not None)
    return _Export(form, job, Path(out), about, watched, extract).run(
        supply, size, overwrite=overwrite
    )


def export_to(
    file: BinaryIO,
    items: Iterable[Item] | Batches,
    handover: Handover,
    format: str,
    *,
    root: str | None = None,
    schema: pa.Schema | None = None,
    raw_cells: bool = False,
) -> ExportReport:
    """Write all of it into an open file, as a download is made; a folder is packed. Parameters as
    `export` has them.

    :raises BadRequest: if the format is none, or holds the images themselves: see `export_pieces`.
    :raises OSError: if the file cannot be written.
    """
    form = _form_of(format)
    if form.copies:
        raise BadRequest(
            "format", f"{format} holds the images themselves, and is made as it is sent"
        )
    job, supply = Job(handover, root, schema, raw_cells=raw_cells), _supply(form, items, schema)
    made = Written("", None)
    if form.folder:
        with tempfile.TemporaryDirectory(prefix="lakesift-") as place:
            with Folder(Path(place) / form.name) as folder:
                fill(form.new(job, folder), supply.part(None), made, Silent())
            zip_folder(Path(place) / form.name, file, f"{handover.filter}-{form.name}")
    else:
        fill(form.new(job, file), supply.part(None), made, Silent())
    return ExportReport(form.name, [], made.given - len(made.skipped), made.skipped)


def export_pieces(
    items: Iterable[Item] | Batches,
    handover: Handover,
    format: str,
    read_image: Callable[[Item], bytes],
    *,
    schema: pa.Schema | None = None,
) -> Iterator[bytes]:
    """The bytes of a format that holds the images themselves, as they are read; parameters as
    `export` has them. An image that is gone or cannot be read now is left out.

    :raises BadRequest: if the format is none, or holds no images.
    """
    form = _form_of(format)
    if not form.copies:
        raise BadRequest("format", f"{format} holds names of images, not the images")
    job = Job(handover, None, schema, read_image)
    return pieces_of(form, job, _supply(form, items, schema).part(None))


def _supply(
    form: Format,
    items: Iterable[Item] | Batches,
    schema: pa.Schema | None,
    *,
    every_column: bool = False,
) -> Supply:
    """The items, with the columns that are read for them."""
    if schema is None or every_column:
        return Supply(items, None)
    return Supply(items, needed(form.columns, schema.names, own=form.own_columns))


def _form_of(format: str) -> Format:
    form = FORMATS.get(format)
    if form is None or not form.writes:
        raise BadRequest("format", f"{format!r} is none; there are {', '.join(names(written()))}")
    return form


def _check_extract(folder: Path, form: Format, job: Job, out: Path | None) -> None:
    """:param folder: absolute."""
    if not form.extracts:
        raise BadRequest(
            "extract", f"{form.name} does not name whole files; {listed(extracting())} do"
        )
    if job.read_image is None:
        raise BadRequest("read_image", "to extract images, a way to read them is needed")
    if out is not None and folder.is_relative_to(os.path.abspath(out)):  # noqa: PTH100
        raise BadRequest("extract", f"{folder} is what the export makes; choose one beside it")
    root = job.root if form.below_root else None
    if root is not None and (is_url(root) or not folder.is_relative_to(root)):
        raise BadRequest(
            "extract", f"{folder} does not lie below the root {root}, where {form.name} finds files"
        )


def _to_stdout(
    form: Format,
    job: Job,
    items: Supply,
    chunk: int | None,
    stdout: BinaryIO,
    progress: Watched,
) -> ExportReport:
    if not form.streams:
        raise BadRequest("out", f"{form.name} cannot go to standard output; name a file or folder")
    if chunk is not None:
        raise BadRequest("chunk", "standard output is one file; name another for chunks")
    try:
        made = Written("", None)
        fill(form.new(job, stdout), items.part(None), made, progress)
        stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough: the CLI's to say
        raise
    except OSError as error:
        raise NotWritten("standard output", os_reason(error)) from error
    return ExportReport(form.name, [], made.given - len(made.skipped), made.skipped)


class _Export:
    """An export to disk."""

    def __init__(
        self,
        form: Format,
        job: Job,
        out: Path,
        about: dict[str, object],
        progress: Watched,
        extract: Path | None,
    ) -> None:
        self._form = form
        self._job = job
        self._out = out
        self._progress = progress
        self._about = about
        self._check_parent()
        self._extract = extract
        self._extracting: Extracting | None = None
        self._done: list[Written] = []
        self._already = 0

    def run(self, items: Supply, size: int | None, *, overwrite: bool) -> ExportReport:
        with ExitStack() as held:
            held.enter_context(alone_at(self._out, "another export"))
            self._state = State(self._out, self._about)
            if self._extract is not None:
                held.enter_context(alone_at(self._extract, "another export"))
            return self._run(items, size, overwrite=overwrite)

    def _run(self, items: Supply, size: int | None, *, overwrite: bool) -> ExportReport:
        try:
            self._state.begin(overwrite=overwrite)
            if self._extract is not None:
                self._extracting = Extracting(self._extract, self._job.bytes_of)
            for number in count(1):
                first = items.first()
                if first is None and number > 1:  # an export of nothing is one chunk all the same
                    break
                path = self._out if size is None else self._numbered(number)
                self._chunk(number, path, first, items.part(size), overwrite=overwrite)
                if size is None:
                    break
            if self._extracting is not None:
                self._extracting.flush()
            if self._state.knows(len(self._done) + 1):
                raise self._other_images(self._numbered(len(self._done) + 1))
        except OSError as error:
            raise NotWritten(str(self._out), f"{os_reason(error)}; {GO_ON}") from error
        return self._report()

    def _check_parent(self) -> None:
        if not self._out.parent.is_dir():
            raise NotWritten(
                str(self._out), f"there is no folder {self._out.parent}; make it first"
            )

    def _numbered(self, number: int) -> Path:
        suffix = "" if self._form.folder else self._out.suffix
        return self._out.with_name(f"{self._out.name.removesuffix(suffix)}-{number:05d}{suffix}")

    def _chunk(
        self,
        number: int,
        path: Path,
        row_id: int | None,
        part: Iterator[Batch | Item],
        *,
        overwrite: bool,
    ) -> None:
        """:param row_id: of the first item; None: there is none."""
        known = self._state.whole(number)
        if known is not None:
            self._pass_over(path, known, row_id, part)
            return
        if os.path.lexists(path) and not self._state.knows(number):
            self._make_room(path, overwrite=overwrite)
        made = Written(path.name, row_id)
        self._write(number, path, made, part)
        self._done.append(made)

    def _pass_over(
        self, path: Path, known: Written, row_id: int | None, part: Iterator[Batch | Item]
    ) -> None:
        given = 0
        skipped = [*known.skipped]
        left_out = {uri for uri, _ in skipped}
        for piece in part:
            given += 1 if isinstance(piece, Item) else len(piece)
            if self._extracting is None:
                self._progress.advance(1 if isinstance(piece, Item) else len(piece))
                continue
            for item in (piece,) if isinstance(piece, Item) else piece.items():
                try:
                    if item.uri not in left_out:
                        self._extracting.whole(item)  # it may be gone by now
                except LeftOut as error:
                    skipped.append((item.uri, str(error)))
                self._progress.advance(1)
        if (known.first, known.given) != (row_id, given):
            raise self._other_images(path)
        self._done.append(replace(known, skipped=skipped))
        self._already += 1

    def _other_images(self, path: Path) -> BadRequest:
        way_out = "choose another place, or overwrite it"
        return BadRequest("out", f"{path} was written from other images than now; {way_out}")

    def _make_room(self, path: Path, *, overwrite: bool) -> None:
        if not overwrite:
            raise BadRequest(
                "out", f"{path} is there already; choose another place, or overwrite it"
            )
        if path.is_dir() and not path.is_symlink():
            raise BadRequest("out", f"{path} is a folder that no export wrote; move it away")
        path.unlink()

    def _write(self, number: int, path: Path, made: Written, part: Iterable[Batch | Item]) -> None:
        beside = path.with_name(f".{path.name}.partial")
        _clear(beside)
        try:
            if self._form.folder:
                with Folder(beside) as folder:
                    self._fill(folder, part, made)
                    folder.flush()
            else:
                with create_file(beside) as file:
                    self._fill(file, part, made)
                    file.flush()
                    os.fsync(file.fileno())
            made.entries = entries_of(beside)
            self._state.put(number, made)  # before it is there: what is there is always known
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            beside.replace(path)
            fsync_folder(path.parent)
        except BaseException:  # Ctrl-C too: nothing half stays behind
            with suppress(OSError):
                _clear(beside)
            raise

    def _fill(self, place: BinaryIO | Folder, part: Iterable[Batch | Item], made: Written) -> None:
        chunk = self._form.new(self._job, place)
        fill(chunk, part, made, self._progress, self._extracting)

    def _report(self) -> ExportReport:
        skipped = [left_out for made in self._done for left_out in made.skipped]
        given = sum(made.given for made in self._done)
        files = [str(self._out.with_name(made.name)) for made in self._done]
        extracted = 0 if self._extracting is None else self._extracting.written
        return ExportReport(
            self._form.name, files, given - len(skipped), skipped, self._already, extracted
        )


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
