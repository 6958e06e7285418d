"""Handing over what a filter decided: any number of images in chunks, each whole or not there, to be gone on with."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from indexer.durable import fsync_folder
from indexer.errors import BadRequest, NotWritten
from indexer.report import Progress, Silent
from indexer.sources.local import os_reason
from service.export.chunk import Chunk, FileFormat, Folder, Format, Job
from service.export.coco import COCO
from service.export.csv import CSV
from service.export.cvat import CVAT
from service.export.fiftyone import FIFTYONE
from service.export.item import Handover, Item, LeftOut
from service.export.label_studio import LABEL_STUDIO
from service.export.parquet import PARQUET
from service.export.state import State, Written, entries_of
from service.export.txt import TXT
from service.export.webdataset import WEBDATASET
from service.export.yolo import YOLO
from service.place import alone_at

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (TXT, CSV, PARQUET, COCO, YOLO, LABEL_STUDIO, CVAT, FIFTYONE, WEBDATASET)
}
_GO_ON = "what is whole is kept, and the same command goes on from there"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was handed over."""

    format: str
    files: list[str] = field(
        default_factory=list
    )  # the chunks, files or folders; none where it went to stdout
    items: int = 0  # images in them
    skipped: list[tuple[str, str]] = field(default_factory=list)  # uri, reason
    already: int = 0  # chunks that an earlier run had written

    def to_json(self) -> dict[str, Any]:
        skipped = [{"uri": uri, "reason": reason} for uri, reason in self.skipped]
        return {**asdict(self), "skipped": skipped}


def export(
    items: Iterable[Item],
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
    stdout: BinaryIO | None = None,
) -> ExportReport:
    """Write the images' names, or with webdataset their bytes, in a form that another tool reads.

    In chunks, `out` is numbered: kept.json becomes kept-00001.json. Each is written under another name, then renamed.
    A second run of the same export, after Ctrl-C or a crash, writes only the chunks that are not whole; beside them
    `<out>.lakesift.json` says how far it is, and of which filter's version.

    :param items: in an order that is the same at every run; taken once, never all in memory.
    :param out: None: stdout, for txt and csv, all in one.
    :param chunk: images to a chunk; None: the format's own number (10,000 for label_studio and cvat, 1,000 for
        webdataset), else all in one, which is not numbered.
    :param read_image: the bytes of an item's image; raises ImageGone or ImageUnreachable. webdataset needs it.
    :param count: how many items there are, for progress alone.
    :param root: what the annotation tool has for its top folder, a path or URL: label_studio, cvat and coco name images
        below it, and leave out those that are not.
    :param schema: the types of the items' columns, as `Snapshot.schema`; without it csv takes the names of the first
        item's, and parquet tells the types by the values.
    :param overwrite: replace what another export left in this place.
    :raises BadRequest: if format or chunk is none, or the place holds another export or somebody's files.
    :raises NotWritten: if the disk is full, or out cannot be written.
    :raises LakeLocked: if another process or thread exports to this place.
    """
    form = _form_of(format)
    if chunk is not None and chunk < 1:
        raise BadRequest("chunk", f"{chunk} is not a number of images; it must be at least 1")
    job = Job(handover, root, schema, read_image)
    if isinstance(form, FileFormat) and form.copies and read_image is None:
        raise BadRequest("read_image", f"{format} copies images, and was given no way to read them")
    watched = _Watched(progress or Silent(), count)
    if out is None:
        return _to_stdout(form, job, items, chunk, stdout or sys.stdout.buffer, watched)
    size = form.chunk if chunk is None else chunk
    about = {"export": format, **handover.to_json(), "chunk": size, "root": root}
    return _Export(form, job, Path(out), about, watched).run(items, size, overwrite=overwrite)


def export_to(
    file: BinaryIO,
    items: Iterable[Item],
    handover: Handover,
    format: str,
    *,
    root: str | None = None,
    schema: pa.Schema | None = None,
) -> ExportReport:
    """Write all of it into an open file, as a download is made; parameters as `export` has them.

    :raises BadRequest: if the format is none, is a folder, or holds the images themselves.
    :raises OSError: if the file cannot be written.
    """
    form = _form_of(format)
    if not isinstance(form, FileFormat) or form.copies:
        names = ", ".join(
            name for name, each in FORMATS.items() if isinstance(each, FileFormat) and not each.copies
        )
        raise BadRequest("format", f"{format} is no single file of names; {names} are")
    written = Written("", None)
    _fill(form.begin(Job(handover, root, schema), file), items, written, Silent())
    return ExportReport(form.name, [], written.given - len(written.skipped), written.skipped)


def _form_of(format: str) -> Format:
    if format not in FORMATS:
        raise BadRequest("format", f"{format!r} is none; there are {', '.join(FORMATS)}")
    return FORMATS[format]


class _Watched:
    """Progress of which nothing is drawn before the first image: a refusal stands alone."""

    def __init__(self, progress: Progress, total: int | None) -> None:
        self._progress = progress
        self._total = total
        self._begun = False

    def advance(self, done: int, skipped: int = 0) -> None:
        if not self._begun:
            self._begun = True
            self._progress.stage("exporting", self._total)
        self._progress.advance(done, skipped)


def _to_stdout(
    form: Format, job: Job, items: Iterable[Item], chunk: int | None, stdout: BinaryIO, progress: _Watched
) -> ExportReport:
    if not (isinstance(form, FileFormat) and form.streams):
        raise BadRequest("out", f"{form.name} cannot go to standard output; name a file or folder")
    if chunk is not None:
        raise BadRequest("chunk", "standard output is one file; name another for chunks")
    try:
        written = Written("", None)
        _fill(form.begin(job, stdout), items, written, progress)
        stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough: the CLI's to say
        raise
    except OSError as error:
        raise NotWritten("standard output", os_reason(error)) from error
    return ExportReport(form.name, [], written.given - len(written.skipped), written.skipped)


def _fill(chunk: Chunk, items: Iterable[Item], written: Written, progress: Progress | _Watched) -> None:
    """Write all items; what is left out, and whether that is for good, goes into `written`."""
    written.whole = True
    for item in items:
        written.given += 1
        try:
            chunk.add(item)
            progress.advance(1)
        except LeftOut as error:
            written.skipped.append((item.uri, str(error)))
            written.whole = written.whole and not error.for_now
            progress.advance(1, 1)
    chunk.finish()


class _Export:
    """An export to disk."""

    def __init__(
        self, form: Format, job: Job, out: Path, about: dict[str, object], progress: _Watched
    ) -> None:
        self._form = form
        self._job = job
        self._out = out
        self._progress = progress
        self._about = about
        self._check_parent()
        self._done: list[Written] = []
        self._already = 0

    def run(self, items: Iterable[Item], size: int | None, *, overwrite: bool) -> ExportReport:
        with alone_at(self._out, "another export"):
            self._state = State(self._out, self._about)
            return self._run(items, size, overwrite=overwrite)

    def _run(self, items: Iterable[Item], size: int | None, *, overwrite: bool) -> ExportReport:
        try:
            self._state.begin(overwrite=overwrite)
            rest = iter(items)
            for number in count(1):
                first = next(rest, None)
                if first is None and number > 1:  # an export of nothing is one chunk all the same
                    break
                path = self._out if size is None else self._numbered(number)
                part = chain(
                    () if first is None else (first,), islice(rest, None if size is None else size - 1)
                )
                self._chunk(number, path, first, part, overwrite=overwrite)
                if size is None:
                    break
            if self._state.knows(len(self._done) + 1):
                raise self._other_images(self._numbered(len(self._done) + 1))
        except OSError as error:
            raise NotWritten(str(self._out), f"{os_reason(error)}; {_GO_ON}") from error
        return self._report()

    def _check_parent(self) -> None:
        if not self._out.parent.is_dir():
            raise NotWritten(str(self._out), f"there is no folder {self._out.parent}; make it first")

    def _numbered(self, number: int) -> Path:
        suffix = self._out.suffix if isinstance(self._form, FileFormat) else ""
        return self._out.with_name(f"{self._out.name.removesuffix(suffix)}-{number:05d}{suffix}")

    def _chunk(
        self, number: int, path: Path, first: Item | None, part: Iterator[Item], *, overwrite: bool
    ) -> None:
        row_id = None if first is None else first.row_id
        known = self._state.whole(number)
        if known is not None:
            self._pass_over(path, known, row_id, part)
            return
        if os.path.lexists(path) and not self._state.knows(number):
            self._make_room(path, overwrite=overwrite)
        written = Written(path.name, row_id)
        self._write(number, path, written, part)
        self._done.append(written)

    def _pass_over(self, path: Path, known: Written, row_id: int | None, part: Iterator[Item]) -> None:
        given = 0
        for _ in part:
            given += 1
            self._progress.advance(1)
        if (known.first, known.given) != (row_id, given):
            raise self._other_images(path)
        self._done.append(known)
        self._already += 1

    def _other_images(self, path: Path) -> BadRequest:
        way_out = "choose another place, or overwrite it"
        return BadRequest("out", f"{path} was written from other images than now; {way_out}")

    def _make_room(self, path: Path, *, overwrite: bool) -> None:
        if not overwrite:
            raise BadRequest("out", f"{path} is there already; choose another place, or overwrite it")
        if path.is_dir() and not path.is_symlink():
            raise BadRequest("out", f"{path} is a folder that no export wrote; move it away")
        path.unlink()

    def _write(self, number: int, path: Path, written: Written, part: Iterable[Item]) -> None:
        beside = path.with_name(f".{path.name}.partial")
        _clear(beside)
        try:
            if isinstance(self._form, FileFormat):
                with beside.open("wb") as file:
                    _fill(self._form.begin(self._job, file), part, written, self._progress)
                    file.flush()
                    os.fsync(file.fileno())
            else:
                with Folder(beside) as folder:
                    _fill(self._form.begin(self._job, folder), part, written, self._progress)
                    folder.flush()
            written.entries = entries_of(beside)
            self._state.put(number, written)  # before it is there: what is there is always known
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            beside.replace(path)
            fsync_folder(path.parent)
        except BaseException:  # Ctrl-C too: nothing half stays behind
            with suppress(OSError):
                _clear(beside)
            raise

    def _report(self) -> ExportReport:
        skipped = [left_out for written in self._done for left_out in written.skipped]
        given = sum(written.given for written in self._done)
        files = [str(self._out.with_name(written.name)) for written in self._done]
        return ExportReport(self._form.name, files, given - len(skipped), skipped, self._already)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
