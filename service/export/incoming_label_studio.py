"""Label Studio's JSON export: a list of tasks, each with the annotations that people made.

A task names its image by the `row_id` and `uri` that were handed over with it, or else by the address of its image.
An annotation that was skipped in Label Studio is a skip; drafts and predictions are nobody's answers.

Source: https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from indexer.sources.names import is_url
from service.export.incoming import Collected, IncomingLabel, IncomingLabels, Reading

# A region's names lie in its value, under its own type: choices, labels, rectanglelabels, polygonlabels, ...
_NO_NAMES = frozenset({"text", "rating", "number", "datetime"})


def read_label_studio(data: bytes, reading: Reading) -> IncomingLabels:
    """:raises ValueError: if this is not a list of tasks."""
    tasks = orjson.loads(data)
    if not isinstance(tasks, list):
        raise ValueError("it is not a list of tasks; export as JSON, not as COCO or CSV")
    collected = Collected(reading)
    for number, task in enumerate(tasks, 1):
        try:
            _task(task, number, collected)
        except (TypeError, KeyError, ValueError, AttributeError):
            collected.problem(_about(task, number), "it is not built as a task of Label Studio's JSON export")
    return collected.labels()


def _about(task: Any, number: int) -> str:
    known = isinstance(task, Mapping) and isinstance(task.get("id"), int)
    return f"task {task['id']}" if known else f"task {number} in the file"


def _task(task: Mapping[str, Any], number: int, collected: Collected) -> None:
    about = _about(task, number)
    if "annotations" not in task.keys():  # noqa: SIM118 - a text has no keys, and is no task
        collected.problem(about, "it has no annotations; export as JSON, not as JSON-MIN")
        return
    row_id, uri = _image(task["data"], collected.reading)
    if row_id is None and uri is None:
        collected.problem(about, "its data name no image: there is neither row_id, uri nor an address")
        return
    answered = False
    for annotation in task["annotations"]:
        labeller = _labeller(annotation.get("completed_by"))
        if annotation.get("was_cancelled"):
            collected.result.append(IncomingLabel(row_id, uri, "skip", labeller))
            answered = True
        else:
            answered |= collected.take(about, row_id, uri, _names(annotation["result"]), labeller)
    collected.unanswered += not answered


def _image(data: Mapping[str, Any], reading: Reading) -> tuple[int | None, str | None]:
    row_id, uri = data.get("row_id"), data.get("uri")
    if (
        isinstance(row_id, str) and row_id.isascii() and row_id.isdigit()
    ):  # a CSV import makes texts of numbers
        row_id = int(row_id)
    known = row_id if isinstance(row_id, int) and not isinstance(row_id, bool) else None
    if isinstance(uri, str):
        return known, uri
    addresses = (_uri_at(value, reading) for value in data.values() if isinstance(value, str))
    return known, next((found for found in addresses if found is not None), None)


def _uri_at(address: str, reading: Reading) -> str | None:
    """The uri of an image that Label Studio finds at this address; None: it is no address."""
    if address.startswith("/data/local-files/"):
        names = parse_qs(urlsplit(address).query).get("d")
        return reading.uri_of(names[0]) if names else None
    return address if is_url(address) else None


def _labeller(completed_by: Any) -> str | None:
    """Label Studio writes a number, or the user."""
    if isinstance(completed_by, Mapping):
        named = completed_by.get("email") or completed_by.get("username") or completed_by.get("id")
        return None if named is None else str(named)
    return None if completed_by is None else str(completed_by)


def _names(regions: list[Mapping[str, Any]]) -> Iterator[str]:
    for region in regions:
        kind = region.get("type")
        found = region["value"].get(kind) if isinstance(kind, str) and kind not in _NO_NAMES else None
        for name in found if isinstance(found, list) else ():
            if isinstance(name, str):
                yield name
