"""Judging by names alone: what plainly is no image, what is hidden, and how any path becomes a uri.

A listing opens nothing, and a suffix lies often enough (`IMG_001`, `photo.jpeg.1`, `scan.dat`) that
a list of good suffixes would lose images in silence. So it goes the other way round: names that are
plainly something else are left out, everything else is tried, and what turns out to be no image is
reported with its reason.
"""

from __future__ import annotations

import os
import re

from indexer.address import Address
from indexer.address import is_url as is_url

_TEXT = "txt md rst log csv tsv json jsonl ndjson geojson xml yaml yml toml ini cfg conf html htm css srt vtt lst cls"
_TABLES = "parquet arrow feather orc avro xls xlsx ods db sqlite sqlite3 duckdb mdb lmdb faiss lock db3 db3-wal db3-shm"
_ARCHIVES = (
    "zip tar tgz gz bz2 xz zst 7z rar lz4 iso dmg deb rpm jar whl tfrecord tfrecords rec idx mdx"
)
_VIDEO = "mp4 m4v mov avi mkv webm mpg mpeg wmv flv mts m2ts 3gp ogv ts vob bag active mcap"
_AUDIO = "mp3 wav flac ogg oga m4a aac wma opus mid midi aiff"
_DOCUMENTS = "pdf doc docx odt ppt pptx odp rtf epub tex bib eps ps wmf emf svg svgz ai indd"
_CODE = "py pyc pyi ipynb js mjs ts tsx jsx c h cc cpp hpp rs go java class sh bat ps1 sql r m"
_PROGRAMS = "exe dll so dylib o a lib"
_WEIGHTS = (
    "pt pth ckpt safetensors onnx pb tflite h5 hdf5 keras npy npz pkl pickle joblib mat gguf bin"
)
_LEFTOVERS = "tmp part crdownload partial swp xmp thm aae ini lnk url torrent md5 sha1 sha256 sfv"

NOT_IMAGES: frozenset[str] = frozenset(
    " ".join(
        (
            _TEXT,
            _TABLES,
            _ARCHIVES,
            _VIDEO,
            _AUDIO,
            _DOCUMENTS,
            _CODE,
            _PROGRAMS,
            _WEIGHTS,
            _LEFTOVERS,
        )
    ).split()
)
_TEXTS = frozenset(_TEXT.split())
_PHOTOS = frozenset(
    "jpg jpeg jpe jfif png webp gif bmp tif tiff heic heif avif jp2 ppm pgm pbm pnm".split()  # noqa: SIM905
)
# Files of labels that are sources: a set of COCO, Label Studio or Datumaro; a YOLO set's own
# description; CVAT's.
JSON_SUFFIXES, YOLO_SUFFIXES, CVAT_SUFFIXES = (".json",), (".yaml", ".yml", ".data"), (".xml",)
# What operating systems and photo servers strew about. Names with a leading dot are hidden as well.
CLUTTER: frozenset[str] = frozenset(
    (
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "@eadir",
        "$recycle.bin",
        "system volume information",
    )
)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is left out, with all below it.

    `.` and `..` are parts of a store's keys, and hide nothing there.
    """
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in CLUTTER


def may_be_image(name: str) -> bool:
    """Whether a file of this name is worth opening:
    not hidden, and its suffix not one of something else.
    """
    if is_hidden(name):
        return False
    _, dot, suffix = name.rpartition(".")
    return not dot or suffix.lower() not in NOT_IMAGES


def is_text(name: str) -> bool:
    """Whether a file of this name is text by its suffix, as tables and settings are."""
    return "." in name and name.rpartition(".")[2].lower() in _TEXTS


def is_photo(name: str) -> bool:
    """Whether a file of this name is a picture by its suffix."""
    return "." in name and name.rpartition(".")[2].lower() in _PHOTOS


def uri_of(path: bytes) -> tuple[str, bytes | None]:
    """A path as a uri, and the path itself where the uri could not hold it.

    Valid UTF-8 stays as it is, newlines and `%` included; each byte that is not UTF-8 becomes %XX.
    """
    try:
        return path.decode(), None
    except UnicodeDecodeError:
        return escaped(path.decode("utf-8", "surrogateescape")), path


def address_of(path: bytes) -> Address:
    """Where the image of this absolute path is."""
    uri, path_bytes = uri_of(path)
    return Address(uri, path_bytes)


def absolute(text: str) -> bytes:
    """A local path as the user typed it, `~` expanded, `.` and `..` taken out, no link resolved."""
    return os.path.abspath(os.path.expanduser(os.fsencode(text)))  # noqa: PTH100, PTH111 - pathlib knows no bytes


def escaped(text: str) -> str:
    """Surrogates, as `surrogateescape` makes of a byte b the character U+DC00 + b, as %XX."""
    return re.sub("[\udc80-\udcff]", lambda match: f"%{ord(match[0]) - 0xDC00:02X}", text)


def one_line(text: str) -> str:
    """Names may hold newlines and terminal codes: shown escaped, so that a line stays a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
