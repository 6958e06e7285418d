"""label_studio: tasks with the decision as a prediction.

They are for a project whose labelling interface is LABEL_CONFIG.

An image on this machine's disks is named as Label Studio's local files are,
`/data/local-files/?d=NAME`, NAME below its LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, which is the
root to give here; the project needs a "Local files" storage of the images' folder. A URL stays as
it is. A prediction's score is the probability of being relevant, whatever the choice; before there
is a probability it has none. The relevance score stands among the data, to sort by.

Sources: https://labelstud.io/guide/tasks, https://labelstud.io/guide/predictions,
https://labelstud.io/guide/storage
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import parse_qs, quote, urlsplit

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from indexer.disk.rows import beside
from indexer.sources.labelled.reading import lenient_json
from indexer.sources.names import is_url
from service.formats.batch import DECIDED, Batch, LeftOutItem
from service.formats.chunk import Job
from service.formats.incoming import (
    Collected,
    IncomingLabel,
    IncomingLabels,
    Reading,
    plain_name,
    quoted,
)
from service.formats.item import Handover, Item
from service.formats.json_list import JsonList
from service.search.hits import NOT_AMONG_COLUMNS
from service.search.json_columns import (
    joined,
    joined_or_nothing,
    members,
    object_pieces,
    values_json,
    written,
)

CONTROL, OBJECT = "decision", "image"
LABEL_CONFIG = f"""<View>
  <Image name="{OBJECT}" value="${OBJECT}"/>
  <Choices name="{CONTROL}" toName="{OBJECT}" choice="single" showInline="true">
    <Choice value="keep" hotkey="y"/>
    <Choice value="drop" hotkey="n"/>
    <Choice value="ask"/>
  </Choices>
</View>
"""


class Writer:
    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._job = job
        self._list = JsonList(file)

    def add(self, item: Item) -> None:
        self._list.add(self._task(item))

    def add_all(self, batch: Batch) -> list[LeftOutItem]:
        found = _tasks(batch, self._job.handover, addresses(batch, self._job.root))
        tasks, left_out = batch.lines(found, lambda item: orjson.dumps(self._task(item)).decode())
        self._list.add_all(tasks)
        return left_out

    def _task(self, item: Item) -> dict[str, Any]:
        handover = self._job.handover
        data = _data(item, handover, address(item, self._job.root))
        return {"data": data, "predictions": [_prediction(item, handover)]}

    def finish(self) -> None:
        self._list.finish()


def address(item: Item, root: str | None) -> str:
    """Where Label Studio finds the image."""
    if item.path is None and not item.is_part:
        return item.uri
    return f"/data/local-files/?d={quote(item.below(root))}"


def addresses(batch: Batch, root: str | None) -> pa.Array:
    """text, (n,): as `address`; null where only an Item tells."""
    is_ours = pc.invert(pc.or_(batch.is_url, batch.is_part))
    if root is None:
        is_absolute = pc.and_(is_ours, pc.starts_with(batch.places, "/"))
        below = pc.utf8_slice_codeunits(batch.places, 1)
        below = pc.if_else(is_absolute, below, pa.scalar(None, pa.string()))
    else:
        below = batch.below(root)
    odd = pc.fill_null(pc.invert(pc.match_substring_regex(below, "^[A-Za-z0-9_.~/-]*$")), False)
    if pc.any(odd).as_py():
        quoted_ = pa.array([quote(name) for name in below.filter(odd).to_pylist()], pa.string())
        below = pc.replace_with_mask(below, odd, quoted_)
    local = pc.if_else(is_ours, joined("/data/local-files/?d=", below), None)
    return pc.if_else(pc.and_not(batch.is_url, batch.is_part), batch.places, local)


def _tasks(batch: Batch, handover: Handover, images: pa.Array) -> pa.Array:
    """text, (n,): each one's task as JSON; null where there is no image."""
    ours = ["row_id", "uri", "width_px", "height_px", *DECIDED]
    said = {name: getattr(handover, name) for name in ("filter", "version", "snapshot", "promise")}
    taken = {*ours, *said, OBJECT}
    names = {
        name: beside(name, taken, "own_")
        for name in batch.rows.column_names
        if name not in NOT_AMONG_COLUMNS
    }
    own: dict[str, pa.Array] = {
        "row_id": batch.column("row_id"),
        "uri": batch.places,
        "width_px": batch.size("width_px"),
        "height_px": batch.size("height_px"),
        **{name: batch.said(name) for name in DECIDED},
    }
    values = {name: written(column).or_null() for name, column in own.items()}
    about = orjson.dumps(said).decode()[1:-1]
    image = written(images).or_null()
    end = f',{about},"{OBJECT}":{image.before}'
    data = object_pieces({**members(batch.rows, names), **values}, end)
    choice = {
        "from_name": CONTROL,
        "to_name": OBJECT,
        "type": "choices",
        "value": {"choices": [OBJECT]},
    }
    named = {"model_version": f"{handover.filter} {handover.version}", "result": [choice]}
    before, after = orjson.dumps(named).decode()[:-1].rsplit(f'"{OBJECT}"', 1)
    score = joined(',"score":', values_json(batch.said("probability")))
    found = joined_or_nothing(
        '{"data":',
        *data,
        image.values,
        f'{image.after}}},"predictions":[{before}',
        values["decision"].whole,
        after,
        score,
        "}]}",
    )
    return pc.if_else(images.is_valid(), found, pa.scalar(None, pa.string()))


def _data(item: Item, handover: Handover, image: str) -> dict[str, Any]:
    shown = item.to_json()
    own = {
        **{name: value for name, value in shown.items() if name != "columns"},
        **{name: getattr(handover, name) for name in ("filter", "version", "snapshot", "promise")},
        OBJECT: image,
    }
    columns = {beside(name, own, "own_"): value for name, value in shown["columns"].items()}
    return {**columns, **own}


def _prediction(item: Item, handover: Handover) -> dict[str, Any]:
    choice = {
        "from_name": CONTROL,
        "to_name": OBJECT,
        "type": "choices",
        "value": {"choices": [item.decision]},
    }
    prediction: dict[str, Any] = {
        "model_version": f"{handover.filter} {handover.version}",
        "result": [choice],
    }
    return prediction if item.probability is None else {**prediction, "score": item.probability}


NOTE = (
    "import one file after another into a project that has a Local files storage of the photos' folder and this "
    f"labelling interface: {' '.join(LABEL_CONFIG.split())}"
)


# A region's names lie in its value, under its own type: choices, labels, rectanglelabels,
# polygonlabels, ...
_NO_NAMES = frozenset({"text", "rating", "number", "datetime", "relation"})


def read(data: bytes, reading: Reading) -> IncomingLabels:
    """:raises ValueError: if this is not a list of tasks.
    :raises BadRequest: if a category that means yes is none of the file's.
    """
    tasks = lenient_json.parse(data)
    if not isinstance(tasks, list):
        raise ValueError("it is not a list of tasks; export as JSON, not as COCO or CSV")
    collected = Collected(reading)
    for number, task in enumerate(tasks, 1):
        try:
            _task(task, number, collected)
        except (TypeError, KeyError, ValueError, AttributeError):
            collected.problem(
                _about(task, number), "it is not built as a task of Label Studio's JSON export"
            )
    return collected.labels()


def _about(task: Any, number: int) -> str:
    known = isinstance(task, Mapping) and isinstance(task.get("id"), int)
    return f"task {task['id']}" if known else f"task {number} in the file"


def _task(task: Mapping[str, Any], number: int, collected: Collected) -> None:
    about = _about(task, number)
    if "annotations" not in task.keys():  # noqa: SIM118 - a text has no keys, and is no task
        collected.problem(about, "it has no annotations; export as JSON, not as JSON-MIN")
        return
    row_id, uri, plain = _image(task["data"], collected.reading)
    if row_id is None and uri is None:
        collected.problem(
            about, "its data name no image: there is neither row_id, uri nor an address"
        )
        return
    answered = False
    for annotation in task["annotations"]:
        labeller = _labeller(annotation.get("completed_by"))
        if annotation.get("was_cancelled"):
            collected.result.append(IncomingLabel(row_id, uri, "skip", labeller, plain=plain))
            answered = True
        else:
            names = _names(annotation["result"])
            answered |= collected.take(about, row_id, uri, names, labeller, plain=plain)
    collected.unanswered += not answered


def _image(data: Mapping[str, Any], reading: Reading) -> tuple[int | None, str | None, str | None]:
    """row_id, uri and plain, as `IncomingLabel` has them."""
    row_id, uri = data.get("row_id"), data.get("uri")
    if (
        isinstance(row_id, str) and row_id.isascii() and row_id.isdigit()
    ):  # a CSV import makes texts of numbers
        row_id = int(row_id)
    known = row_id if isinstance(row_id, int) and not isinstance(row_id, bool) else None
    name: Any = uri
    if not isinstance(name, str):
        names = (_name_at(value) for value in data.values() if isinstance(value, str))
        name = next((found for found in names if found is not None), None)
    if name is None and known is None:
        name = data.get(OBJECT)  # a task made by hand may have a name alone there
    if not isinstance(name, str) or not name:
        return known, None, None
    return known, reading.uri_of(name), plain_name(name)


def _name_at(address: str) -> str | None:
    """The name of an image that Label Studio finds at this address; None: it is no address."""
    if address.startswith("/data/local-files/"):
        names = parse_qs(urlsplit(address).query).get("d")
        return names[0] if names else None
    return address if is_url(address) else None


def _labeller(completed_by: Any) -> str | None:
    """Label Studio writes a number, or the user."""
    if isinstance(completed_by, Mapping):
        named = completed_by.get("email") or completed_by.get("username") or completed_by.get("id")
        return None if named is None else str(named)
    return None if completed_by is None else str(completed_by)


def _names(regions: list[Mapping[str, Any]]) -> Iterator[str]:
    """:raises ValueError: if a name is not built as one."""
    for region in regions:
        kind = region.get("type")
        if not isinstance(kind, str) or kind in _NO_NAMES:
            continue
        found = region["value"].get(kind)
        if not isinstance(found, list):
            continue
        for name in found:
            if isinstance(name, str):
                yield name
            elif kind == "taxonomy" and isinstance(name, list):
                # the way from the top: a robin is a bird as well
                yield from map(_text, name)
            else:
                _text(name)


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"{quoted(str(name))} is no name of a category")
    return name
