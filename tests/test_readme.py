"""What the README shows is run: its SQL, its Python, its commands."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from indexer.layout import Layout
from indexer.manifest import Manifest
from service import Lake
from service.api.app import create_app
from service.api.config import ServeConfig
from service.arguments import parser
from service.cli import main
from service.keys import KeyStore
from tests.serving import running

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.M | re.S)


@pytest.fixture
def my_lake(photo_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy named as in the README, with a tombstone in it: one of two photos is gone."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photo_lake, "my.lake")
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("gone.png", "stays.png"):
        shutil.copy(_photo("coffee.png"), photos / name)
    assert main(["index", "photos", "--into", "my.lake"]) == 0
    (photos / "gone.png").unlink()
    assert main(["index", "photos", "--into", "my.lake"]) == 0
    return Path("my.lake")


def _photo(name: str) -> Path:
    from tests.conftest import sample_folders

    return Path(sample_folders()[0]) / name


def live(lake: Path) -> dict[int, str]:
    with Lake.open(lake) as opened:
        return {hit.row_id: hit.uri for hit in opened.search(row_id=1, k=None)}


def test_sql_gives_the_live_rows(my_lake: Path) -> None:
    (query,) = blocks("sql")
    found = dict(duckdb.sql(query).project("row_id, uri").fetchall())
    assert found == live(my_lake)
    assert sum("stays.png" in uri for uri in found.values()) == 1
    assert not any("gone.png" in uri for uri in found.values())


def test_sql_gives_the_live_rows_of_a_lake_without_tombstones(my_lake: Path) -> None:
    assert main(["compact", "my.lake"]) == 0
    manifest = Manifest.from_json(Layout(my_lake).manifest.read_bytes(), "my.lake")
    assert manifest.tombstones == ()
    (query,) = blocks("sql")
    assert len(duckdb.sql(query).project("row_id").fetchall()) == len(live(my_lake))


def test_python_runs_as_shown(my_lake: Path) -> None:
    search, filters, pandas = blocks("python")
    names: dict[str, object] = {}
    exec(search, names)  # the README's own text
    hits, table = names["hits"], names["table"]
    assert isinstance(hits, list)
    assert Path(hits[0].uri).name == "chelsea.png"
    assert list(table.columns[:4]) == ["row_id", "score", "z", "uri"]  # type: ignore[attr-defined]
    exec(filters, names)
    assert names["answer"]["refused"] is True  # type: ignore[index]
    exec(pandas, names)
    images = names["images"]
    assert dict(zip(images.row_id, images.uri, strict=True)) == live(my_lake)  # type: ignore[attr-defined]
    assert len(images.vector[0]) == 512  # type: ignore[attr-defined]


def test_commands_are_ones_the_cli_knows() -> None:
    commands = re.findall(r"^(lakesift [^\n#|]*)", README.read_text(), re.M)
    assert len(commands) >= 12
    for command in commands:
        parser().parse_args(shlex.split(command)[1:])  # one that does not parse exits


def test_links_lead_to_files_and_to_headings_of_theirs() -> None:
    pages = [README, *sorted((README.parent / "docs").glob("*.md"))]
    links = [
        (page, *target.partition("#")[::2])
        for page in pages
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())
    ]
    assert len(links) >= 5
    for page, name, heading in links:
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {name}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in anchors, f"{page.name}: {name}#{heading}"


def test_requests_are_answered_as_shown(my_lake: Path, tmp_path: Path) -> None:
    for name, photo in (("cat.jpg", "chelsea.png"), ("drawing.png", "coffee.png")):
        shutil.copy(_photo(photo), name)
    (shown,) = blocks("bash")
    requests = shown.splitlines()
    assert len(requests) == 7
    app = create_app([my_lake], ServeConfig(), keys=KeyStore(tmp_path / "state"))
    answers = []
    with running(app) as url:
        for request in requests:
            command = shlex.split(request.replace("localhost:8377", url))
            command[1:1] = ["--silent", "--show-error", "--fail-with-body"]
            run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert run.returncode == 0, f"{request}\n{run.stdout}{run.stderr}"
            answers.append(run.stdout)
    cat, mixed, uploaded, streamed, rows, thumbnail, made = answers
    assert Path(json.loads(cat)["hits"][0]["uri"]).name == "chelsea.png"
    assert all(hit["width_px"] >= 400 and "collapsed" in hit for hit in json.loads(mixed)["hits"])
    assert Path(json.loads(uploaded)["hits"][0]["uri"]).name == "chelsea.png"
    lines = [json.loads(line) for line in streamed.splitlines()]
    assert lines[-1] == {"end": True, "hits": len(live(my_lake))}
    assert all(row["width_px"] >= 400 for row in json.loads(rows)["rows"])
    assert thumbnail == "" and Path("thumbnail.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert json.loads(made)["target"] == {"recall": 0.98, "precision": None, "confidence": 0.95}
