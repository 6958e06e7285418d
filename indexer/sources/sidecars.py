"""The `.txt`, `.json` and `.cls` beside an image:
its caption and its columns, as image-text data sets come.

Beside `x.jpg` these count, the later having the last word: `x.cls`, `x.json`, `x.txt`,
`x.jpg.json`, `x.jpg.txt`. A text is the caption. A JSON object gives the caption by its key
"caption" and a column by every other key. A `.cls`, as WebDataset has it, is the column `label`.
"""

from __future__ import annotations

import errno
import json
import logging
import math
from collections.abc import Callable, Container, Iterable, Mapping
from hashlib import blake2b

from indexer.disk.rows import beside, own_name
from indexer.sources import ColumnValue, UnreadColumns
from indexer.sources.columns import CAPTION, MAX_VALUE_BYTES, RESERVED_COLUMNS, ROW_NUMBER

logger = logging.getLogger(__name__)

_NO_FILE = (errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
LABEL = "label"  # the column of a WebDataset's .cls
MAX_CAPTION_BYTES = 64_000  # a longer text is no caption
MAX_JSON_BYTES = 32_000_000  # of one file; labelme's annotations carry their image inside
_INT64_MAX = 2**63 - 1
TAKEN = RESERVED_COLUMNS | {ROW_NUMBER}


def is_sidecar(name: str) -> bool:
    return name.endswith((".cls", ".txt", ".json"))


def sidecar_names(image: str, present: Container[str]) -> tuple[str, ...]:
    """Which of the names in the image's folder are its sidecars,
    in the order in which they speak.
    """
    stem = image.rpartition(".")[0] or image
    wanted = (f"{stem}.cls", f"{stem}.json", f"{stem}.txt", f"{image}.json", f"{image}.txt")
    return tuple(name for name in dict.fromkeys(wanted) if name in present)


def max_sidecar_bytes(name: str) -> int:
    return MAX_JSON_BYTES if name.endswith(".json") else MAX_CAPTION_BYTES


def mark(parts: Iterable[object]) -> str:
    """A short stable string that changes when one of the parts does: 16 hexadecimal digits."""
    return blake2b(
        "\n".join(map(str, parts)).encode("utf-8", "surrogateescape"), digest_size=8
    ).hexdigest()


def read_sidecars(
    sidecars: Iterable[str],
    read: Callable[[str, int], bytes],
    too_large: Callable[[str, str], None] | None = None,
) -> dict[str, ColumnValue]:
    """What an image's sidecars say, by column; what is wrong in one costs only that, and is logged.

    :param read: gives at most so many bytes of a sidecar; raises OSError, and FileNotFoundError
        where it is gone.
    :param too_large: is told the column and the sidecar of each value that is null, since it is of
        more than MAX_VALUE_BYTES.
    :raises UnreadColumns: if one is there and cannot be read, with what the others say.
    """
    values: dict[str, ColumnValue] = {}
    unread: tuple[str, str] | None = None
    for sidecar in sidecars:
        limit = max_sidecar_bytes(sidecar)
        try:
            data = read(sidecar, limit + 1)
            if len(data) > limit:
                raise ValueError(f"it is larger than {limit} bytes")
            found = _parsed(sidecar, data)
            for name, value in found.items():
                if isinstance(value, str) and is_too_large(value):
                    found[name] = None
                    if too_large is not None:
                        too_large(name, sidecar)
            values = last_word(values, found)
        except OSError as error:
            # It was deleted just now, or is no file: the next listing knows.
            if isinstance(error, FileNotFoundError) or error.errno in _NO_FILE:
                logger.warning("sidecar %s is left out: %s", sidecar, error)
            else:
                unread = unread or (sidecar, (error.strerror or str(error)).lower())
        # ValueError covers undecodable text, bad JSON and numbers of thousands of digits
        except (ValueError, RecursionError) as error:
            logger.warning("sidecar %s is left out: %s", sidecar, error)
    if unread is not None:
        raise UnreadColumns(*unread, values)
    return values


def _parsed(sidecar: str, data: bytes) -> dict[str, ColumnValue]:
    text = data.decode("utf-8-sig")
    if sidecar.endswith(".cls"):
        number = text.strip()
        return {LABEL: int(number) if _is_number(number) else number} if number else {}
    if not sidecar.endswith(".json"):
        return {CAPTION: text.strip()} if text.strip() else {}
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    columns: dict[str, ColumnValue] = {}
    for key, name in _column_names([key for key in content if key]).items():
        columns[name] = _column_value(content[key])
    if columns.get(CAPTION) is not None:
        columns[CAPTION] = str(columns[CAPTION])
    return columns


def _is_number(text: str) -> bool:
    """Whether a class is a number as WebDataset writes it: 007 and 1_0 stay texts."""
    return text.isascii() and text.isdigit() and text == str(int(text[:20])) and len(text) < 19


def last_word(
    before: Mapping[str, ColumnValue], after: Mapping[str, ColumnValue]
) -> dict[str, ColumnValue]:
    """Both, where `after` has the last word on a name, whatever the case that it is spelt in."""
    said = {name.lower() for name in after}
    return {name: value for name, value in before.items() if name.lower() not in said} | dict(after)


def is_too_large(text: str) -> bool:
    # a character has at most 4 bytes
    return len(text) * 4 > MAX_VALUE_BYTES and len(text.encode()) > MAX_VALUE_BYTES


def _column_names(keys: list[str]) -> dict[str, str]:
    """The column of each key, in the keys' order.

    A `Year` beside the `year` of the same file is `Year_2`: SQL does not tell them apart.
    """
    wanted = {key: _column_name(key) for key in keys}
    taken = {name.lower() for name in wanted.values()}
    if len(taken) == len(keys):
        return wanted
    used: set[str] = set()
    # Not in the file's order, so that a spelling is the same column in all files. With the cases
    # swapped `year` comes before `Year`.
    for key in sorted(keys, key=str.swapcase):
        name, number = wanted[key], 1
        while wanted[key].lower() in (used if number == 1 else taken):
            number += 1
            wanted[key] = f"{name}_{number}"
        used.add(wanted[key].lower())
        taken.add(wanted[key].lower())
    return wanted


def _column_name(key: str) -> str:
    name = _storable(key)
    if name.lower() == CAPTION:
        return CAPTION
    return own_name(beside(name, TAKEN, "json_"))


def _column_value(value: object) -> ColumnValue:
    """Scalars as they are; lists and objects as JSON; what Parquet cannot hold as text, or null."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, int):
        return value if abs(value) <= _INT64_MAX else str(value)
    if isinstance(value, str):
        return _storable(value)
    return _storable(json.dumps(value, ensure_ascii=False))


def _storable(text: str) -> str:
    """JSON may spell half a surrogate pair, which UTF-8 has no bytes for."""
    return text.encode("utf-8", "replace").decode()
