"""label_studio: tasks with the decision as a prediction, for a project whose labelling interface is LABEL_CONFIG.

An image on this machine's disks is named as Label Studio's local files are, `/data/local-files/?d=NAME`, NAME below
its LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, which is the root to give here; the project needs a "Local files" storage
of the images' folder. A URL stays as it is. A prediction's score is the probability of being relevant, whatever the
choice; before there is a probability it has none. The relevance score stands among the data, to sort by.

Label Studio takes 250,000 tasks and 200 MB in one import, and times out long before: 10,000 are one chunk.

Sources: https://labelstud.io/guide/tasks, https://labelstud.io/guide/predictions, https://labelstud.io/guide/storage
"""

from __future__ import annotations

from typing import Any, BinaryIO
from urllib.parse import quote

from service.export.chunk import FileFormat, Job
from service.export.item import Handover, Item
from service.export.json_list import JsonList

TASKS = 10_000
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


class _Tasks:
    def __init__(self, job: Job, file: BinaryIO) -> None:
        self._job = job
        self._list = JsonList(file)

    def add(self, item: Item) -> None:
        handover = self._job.handover
        data = {**_data(item, handover), OBJECT: address(item, self._job.root)}
        self._list.add({"data": data, "predictions": [_prediction(item, handover)]})

    def finish(self) -> None:
        self._list.finish()


def address(item: Item, root: str | None) -> str:
    """Where Label Studio finds the image."""
    if item.path is None:
        return item.uri
    return f"/data/local-files/?d={quote(item.below(root))}"


def _data(item: Item, handover: Handover) -> dict[str, Any]:
    shown = item.to_json()
    own = {
        **{name: value for name, value in shown.items() if name != "columns"},
        **{name: getattr(handover, name) for name in ("filter", "version", "snapshot", "promise")},
    }
    return {**shown["columns"], **own}


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
LABEL_STUDIO = FileFormat("label_studio", _Tasks, chunk=TASKS, note=NOTE)
