"""The list of formats: what an entry says holds, and all doors read the list."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from service.formats.format_list import (
    FORMATS,
    downloads,
    listed,
    markdown,
    names,
    taken_back,
    written,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", FORMATS)
def test_a_formats_module_does_what_its_entry_says(name: str) -> None:
    form = FORMATS[name]
    module = import_module(f"service.formats.{name}")
    assert hasattr(module, "Writer") == bool(form.writes)
    assert hasattr(module, "read") == bool(form.reads)
    if form.writes:
        takes = list(inspect.signature(module.Writer).parameters)
        assert takes == ["job", "folder" if form.folder else "file"]
        assert form.read_by
    if form.reads:
        assert list(inspect.signature(module.read).parameters) == ["data", "reading"]
    assert (form.suffix != "", form.media_type != "") == (not form.folder, not form.folder)


def test_which_format_does_what() -> None:
    assert names(written()) == list(FORMATS)
    assert names(taken_back()) == ["csv", "coco", "label_studio", "cvat"]
    assert names(downloads()) == list(FORMATS)
    assert [form.name for form in FORMATS.values() if form.streams] == ["txt", "csv"]
    assert [form.name for form in FORMATS.values() if form.folder] == ["yolo", "cvat", "fiftyone"]
    assert [form.name for form in FORMATS.values() if form.copies] == ["webdataset"]


def test_names_in_a_sentence() -> None:
    assert listed([FORMATS["txt"]]) == "txt"
    assert listed([FORMATS["txt"], FORMATS["csv"], FORMATS["coco"]]) == "txt, csv and coco"


def test_the_docs_show_the_list_as_it_is() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    showing = [page.name for page in pages if markdown() in page.read_text()]
    assert len(showing) == 1, f"one page of the docs shows this table:\n{markdown()}"


# One line in the list, and the module beside this test: everything else follows.
ONE_MORE = """
import io, json, sys
from pathlib import Path
from service.formats.format_list import FORMATS, Format, markdown

FORMATS["backwards"] = Format(name="backwards", title="Backwards", writes="uris from right to left",
    read_by="nobody", reads="uris from right to left", streams=True, chunk=2, suffix=".sdrawkcab",
    media_type="text/x-backwards", module="tests.service.formats.backwards")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from service.api.routes import filter_results, formats
from service.cli.arguments import parser
from service.formats.exporting import export
from service.formats.read_labels import read_labels
from tests.service.formats.things import HANDOVER, items

def option(action, name):
    verb = parser()._subparsers._group_actions[0].choices["filter"]
    arguments = verb._subparsers._group_actions[0].choices[action]._option_string_actions
    return {"choices": arguments[name].choices and list(arguments[name].choices), "help": arguments[name].help}

app = FastAPI()
app.include_router(filter_results.router)
app.include_router(formats.router)
operation = app.openapi()["paths"]["/v1/lakes/{lake}/filters/{name}/export"]["get"]
asked = next(each for each in operation["parameters"] if each["name"] == "format")
out = Path(sys.argv[1]) / "kept"
report = export(items(3), HANDOVER, "backwards", out)
stdout = io.BytesIO()
export(items(1), HANDOVER, "backwards", None, stdout=stdout)
print(json.dumps({
    "export": option("export", "--format"), "chunk": option("export", "--chunk"), "label": option("label", "--format"),
    "schema": asked, "media": list(operation["responses"]["200"]["content"]),
    "listed": TestClient(app).get("/v1/formats").json()["formats"][-1], "docs": markdown().splitlines()[-1],
    "files": [Path(name).read_text() for name in report.files], "stdout": stdout.getvalue().decode(),
    "labels": [[each.uri, each.label] for each in read_labels(Path(report.files[0]), "backwards").labels],
    "note": FORMATS["backwards"].note,
}))
"""


def test_one_more_format_is_a_module_and_an_entry(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", ONE_MORE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    for action in ("export", "label"):
        assert found[action]["choices"][-1] == "backwards"
        assert "backwards: uris from right to left" in found[action]["help"]
    assert "2 for backwards" in found["chunk"]["help"]
    assert found["schema"]["schema"]["enum"][-1] == "backwards"
    assert "backwards: uris from right to left" in found["schema"]["description"]
    assert "text/x-backwards" in found["media"]
    assert found["listed"] == {
        "name": "backwards",
        "title": "Backwards",
        "writes": "uris from right to left",
        "reads": "uris from right to left",
        "downloads": True,
        "copies": False,
    }
    assert found["docs"] == (
        "| `backwards` | uris from right to left; 2 to a file | nobody | uris from right to left |"
    )
    assert found["files"] == ["gpj.1/sotohp/\ngpj.2/sotohp/\n.\n", "gpj.3/sotohp/\n.\n"]
    assert found["stdout"] == "gpj.1/sotohp/\n.\n"
    assert found["labels"] == [["/photos/1.jpg", "yes"], ["/photos/2.jpg", "yes"]]
    assert found["note"] == "read it from right to left"
