"""The one list of formats: what each is called, what it writes and reads, and where its code is.

The command, the API, the page and the docs read this list, so that a format is one module and one
entry here. It is loaded for `--help`, so it loads no format itself: a module is loaded when it is
first used.

A format's module holds what its entry says it can do: `Writer`, a class that makes a `Chunk` of a
`Job` and an open file, or a `Folder` where the entry says so; `read`, a function from a file's
bytes and a `Reading` to `IncomingLabels`; and, where there is something to say, `NOTE`: what to do
with what was written, for whoever has just made it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from types import ModuleType

    from service.formats.chunk import Chunk, Folder, Job
    from service.formats.incoming import IncomingLabels, Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format."""

    name: str  # as `--format` takes it
    title: str  # as the page shows it
    writes: str = ""  # what it makes of the images, in a few words; "": nothing
    read_by: str = ""  # who reads that
    reads: str = ""  # the file whose labels it takes back; "": none
    folder: bool = False  # it makes a folder, not a file
    copies: bool = False  # it holds the images themselves, and reads them for that
    streams: bool = False  # it may go to stdout
    extracts: bool = False  # it names whole files, and has parts of files written out on request
    below_root: bool = False  # it names images below the top folder that the tool has
    by_hand: bool = False  # what it reads is a table that a person filled in, of this lake's rows
    chunk: int | None = None  # images to a file or folder, where nobody says; None: all in one
    suffix: str = ""  # of a file that is downloaded
    media_type: str = ""
    # of the rows, those that it shows beside address and size; None: all
    columns: tuple[str, ...] | None = None
    own_columns: bool = False  # it shows the user's own columns and the caption
    module: str = ""  # where its code is; "": service.formats.<name>

    @property
    def downloads(self) -> bool:
        """Whether it can be the answer to a request."""
        return bool(self.writes)

    @property
    def download_suffix(self) -> str:
        """Of the file that is downloaded: a folder is packed."""
        return ".zip" if self.folder else self.suffix

    @property
    def download_type(self) -> str:
        return "application/zip" if self.folder else self.media_type

    @property
    def note(self) -> str:
        """What to do with it; "" where that needs no word."""
        return str(getattr(self._module(), "NOTE", ""))

    def new(self, job: Job, place: BinaryIO | Folder) -> Chunk:
        """A chunk that is to be written.

        :param place: a Folder where `folder` says so, else an open file.
        """
        made: Chunk = self._module().Writer(job, place)
        return made

    def read(self, data: bytes, reading: Reading) -> IncomingLabels:
        """The labels in a file.

        :raises ValueError, BadRequest: if it is no file of this format; str() is a sentence.
        """
        found: IncomingLabels = self._module().read(data, reading)
        return found

    def _module(self) -> ModuleType:
        return import_module(self.module or f"service.formats.{self.name}")


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format(
            name="txt",
            title="Paths",
            writes="one path or URL a line, its exact bytes",
            read_by="`xargs -d '\\n'`, scripts",
            streams=True,
            suffix=".txt",
            media_type="text/plain; charset=utf-8",
            columns=(),
        ),
        Format(
            name="csv",
            title="CSV",
            writes="a table of row_id, uri, decision, score, probability, label and all columns",
            read_by="spreadsheets, `filter label`",
            reads="a table with the columns uri or row_id, label (yes, no or skip), and labeller "
            "where several label",
            streams=True,
            by_hand=True,
            suffix=".csv",
            media_type="text/csv; charset=utf-8",
        ),
        Format(
            name="parquet",
            title="Parquet",
            writes="the table of csv, with types",
            read_by="pandas, DuckDB",
            suffix=".parquet",
            media_type="application/vnd.apache.parquet",
        ),
        Format(
            name="coco",
            title="COCO",
            writes="COCO JSON: the images and one category, no annotation yet",
            read_by="pycocotools, most trainers and tools",
            reads="COCO JSON with annotations",
            extracts=True,
            below_root=True,
            suffix=".json",
            media_type="application/json",
            columns=(),
            own_columns=True,
        ),
        Format(
            name="yolo",
            title="YOLO",
            writes="a folder of links to the images, data.yaml and an empty labels folder",
            read_by="Ultralytics",
            folder=True,
            extracts=True,
            columns=("format",),
        ),
        Format(
            name="label_studio",
            title="Label Studio",
            writes="tasks with the decision as prediction",
            read_by="Label Studio",
            reads="Label Studio's JSON export",
            extracts=True,
            below_root=True,
            # Label Studio takes 250,000 tasks and 200 MB in one import, and times out long before
            chunk=10_000,
            suffix=".json",
            media_type="application/json",
        ),
        Format(
            name="cvat",
            title="CVAT",
            writes="a task's manifest.jsonl and annotations.xml (CVAT for images 1.1)",
            read_by="CVAT",
            reads="CVAT for images 1.1 (XML)",
            folder=True,
            extracts=True,
            below_root=True,
            # in a task: CVAT opens a job's list of frames whole
            chunk=10_000,
            columns=(),
        ),
        Format(
            name="fiftyone",
            title="FiftyOne",
            writes="a FiftyOneImageClassificationDataset, by reference",
            read_by="FiftyOne",
            folder=True,
            extracts=True,
            columns=(),
            own_columns=True,
        ),
        Format(
            name="webdataset",
            title="WebDataset",
            writes="tars of the images themselves, with a JSON each",
            read_by="WebDataset",
            copies=True,
            # a tar of photos of 1 MB is 1 GB then, the size that WebDataset's authors advise
            chunk=1_000,
            suffix=".tar",
            media_type="application/x-tar",
        ),
    )
}


def written() -> list[Format]:
    """Those that hand images over."""
    return [format for format in FORMATS.values() if format.writes]


def extracting() -> list[Format]:
    """Those for which images inside other files can be written out."""
    return [format for format in FORMATS.values() if format.extracts]


def taken_back() -> list[Format]:
    """Those that bring labels."""
    return [format for format in FORMATS.values() if format.reads]


def downloads() -> list[Format]:
    """Those that can be the answer to a request."""
    return [format for format in FORMATS.values() if format.downloads]


def names(formats: Iterable[Format]) -> list[str]:
    return [format.name for format in formats]


def listed(formats: Iterable[Format]) -> str:
    """Their names in a sentence: "label_studio, cvat and coco"."""
    *first, last = names(formats)
    return f"{', '.join(first)} and {last}" if first else last


def what_each_writes(formats: Iterable[Format]) -> str:
    """In a sentence: "txt: one path a line; csv: ..."."""
    return "; ".join(f"{format.name}: {format.writes}" for format in formats)


def markdown() -> str:
    """The list as the docs show it: a table, each line with its end."""
    head = ["`--format`", "what it makes", "who reads it", "labels come back from"]
    rows = [
        [f"`{format.name}`", _made(format) or "-", format.read_by or "-", format.reads or "-"]
        for format in FORMATS.values()
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *rows])


def _made(format: Format) -> str:
    if format.chunk is None:
        return format.writes
    return f"{format.writes}; {format.chunk:,} to a {'folder' if format.folder else 'file'}"
