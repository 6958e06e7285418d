"""One damaged filter hides none of the others: in Python, on the command line, over HTTP."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from indexer.errors import LakeDamaged, WrongModel
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.cli.main import main
from service.lake import Lake
from service.relevance.answers import DamagedFilter
from service.relevance.filters import Filters
from tests.bad_images import as_nobody
from tests.lakes import BLUE, GREEN, RED, Desk
from tests.service.api.conftest import HOST
from tests.service.relevance.definitions import as_older_versions_wrote, rewritten


def cut(folder: Path) -> None:
    path = folder / "000001.json"
    path.write_bytes(path.read_bytes()[:200])  # in line 13


def of_the_future(folder: Path) -> None:
    rewritten(folder / "000001.json", format=9)


def without_labels(folder: Path) -> None:
    (folder / "labels.jsonl").unlink()


def without_labels_as_of_old(folder: Path) -> None:
    as_older_versions_wrote(folder)
    without_labels(folder)


def half_a_book(folder: Path) -> None:
    path = folder / "labels.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())


def of_another_model(folder: Path) -> None:
    for path in folder.glob("0*.json"):
        rewritten(path, model={**json.loads(path.read_text())["model"], "name": "others"})


def a_folder_in_its_place(folder: Path) -> None:
    (folder / "000001.json").unlink()
    (folder / "000001.json").mkdir()


DAMAGE: dict[Callable[[Path], None], str] = {
    cut: "dogs/000001.json is damaged: Expecting ':' delimiter: line 13 ",
    of_the_future: "dogs/000001.json is damaged: it has format 9, this lakesift reads up to 4: update lakesift",
    without_labels: "dogs/labels.jsonl is damaged: it is missing, and version 2 was made with 2 of them; put it back",
    without_labels_as_of_old: "dogs/labels.jsonl is damaged: it is missing, and version 2 was made with 2 labels; put "
    "it back",
    half_a_book: "dogs/labels.jsonl is damaged: line 1 is not a label (it has no field seq)",
    of_another_model: "but this is filter dogs of name others; take it from its own lake "
    "with `lakesift filter copy --into`, or make it anew",
    a_folder_in_its_place: "dogs/000001.json is damaged: Is a directory",
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A lake with the filters cats, dogs and mice; dogs is the one that will be damaged."""
    desk = Desk(tmp_path)
    for name, colour in (("a.png", RED), ("b.png", GREEN), ("c.png", BLUE)):
        desk.add(name, colour)
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        for name in ("cats", "dogs", "mice"):
            Filters(lake).create(name, keep_texts=["red"])
    return desk


def dogs(desk: Desk) -> Path:
    return desk.lake / "filters" / "dogs"


@pytest.fixture(params=DAMAGE, ids=lambda damage: damage.__name__)
def damaged(desk: Desk, request: pytest.FixtureRequest) -> Iterator[str]:
    """What has to be said of dogs."""
    if request.param in (without_labels, without_labels_as_of_old, half_a_book):
        with Lake.open(desk.lake, desk.model) as lake:
            filter = Filters(lake).open("dogs")
            filter.label([{"row_id": 1, "label": "yes"}, {"row_id": 2, "label": "no"}])
            filter.next(1, "audit")
    request.param(dogs(desk))
    yield DAMAGE[request.param]


def test_python_names_what_is_damaged_and_lists_the_rest(desk: Desk, damaged: str) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        found = Filters(lake).listing()
    assert [each.name for each in found.filters] == ["cats", "mice"]
    ((problem),) = found.problems
    assert problem.name == "dogs"
    assert damaged in problem.message
    assert "\n" not in problem.message


def test_the_command_warns_lists_the_rest_and_exits_with_1(
    desk: Desk, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["filter", "list", str(desk.lake)]) == 1
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()] == ["cats", "mice"]
    (line,) = said.err.splitlines()
    assert line.startswith("warning: filter dogs cannot be used: ") and damaged in line
    assert main(["filter", "list", str(desk.lake), "--json"]) == 1
    said = capsys.readouterr()
    assert damaged in json.loads(said.out)["problems"][0]["message"]
    assert main(["filter", "show", str(desk.lake), "mice"]) == 0
    capsys.readouterr()
    assert main(["filter", "delete", str(desk.lake), "dogs"]) == 0, (
        "a damaged one can be taken out of service"
    )
    assert main(["filter", "list", str(desk.lake)]) == 0


def test_the_service_lists_the_rest(desk: Desk, damaged: str, tmp_path: Path) -> None:
    keys = KeyStore(tmp_path / "state")
    app = create_app({"my": desk.lake}, ServeConfig(), embedder=desk.model, keys=keys)
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        answer = client.get("/v1/lakes/my/filters")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert [each["name"] for each in found["filters"]] == ["cats", "mice"]
        assert damaged in found["problems"][0]["message"]
        assert client.get("/v1/lakes/my/filters/mice").status_code == 200


@contextmanager
def readable_to_nobody(path: Path) -> Iterator[None]:
    """As one meets it who may read all of the lake but this;
    root may read everything, so it steps aside.
    """
    for parent in path.parents:  # pytest's own folders are for their owner alone
        if parent.stat().st_uid == os.getuid() and parent.is_relative_to(tempfile.gettempdir()):
            parent.chmod(parent.stat().st_mode | 0o055)
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with as_nobody() if os.geteuid() == 0 else nullcontext():
            yield
    finally:
        path.chmod(mode)


@pytest.mark.parametrize("name", ["dogs/000001.json", "dogs"])
def test_a_filter_that_may_not_be_read_is_named(desk: Desk, name: str) -> None:
    with readable_to_nobody(desk.lake / "filters" / name), Lake.open(desk.lake, desk.model) as lake:
        found = Filters(lake).listing()
    assert [each.name for each in found.filters] == ["cats", "mice"]
    message = f"{desk.lake}/filters/{name} is damaged: Permission denied"
    assert found.problems == (DamagedFilter("dogs", message),)


def test_what_uses_a_filter_of_another_model_refuses(desk: Desk) -> None:
    of_another_model(dogs(desk))
    with Lake.open(desk.lake, desk.model) as lake:
        filter = Filters(lake).open("dogs")
        for use in (filter.next, filter.plan, filter.apply, filter.report, filter.progress):
            with pytest.raises(WrongModel, match=r"my\.lake was built with name .*or make it anew"):
                use()


def test_a_lake_whose_filters_cannot_be_read_at_all_says_so(desk: Desk) -> None:
    with (
        readable_to_nobody(desk.lake / "filters"),
        Lake.open(desk.lake, desk.model) as lake,
        pytest.raises(LakeDamaged, match=r"my\.lake/filters is damaged: Permission denied$"),
    ):
        Filters(lake).listing()
