"""README and docs are true: what they show runs, links lead somewhere, figures are those measured.

A fence says what it holds: bash, python, sql and json are run or read here; text is a picture of
something, and is not. Each page is one test, from a folder as its reader might have it. What cannot
be run here (installs, `make`, buckets, weights to be downloaded, a server that never ends) is
checked to be something that exists.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from runpy import run_path
from typing import Any

import duckdb
import lance
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from PIL import Image

from benchmarks.__main__ import APART, LONG, NAMES
from indexer.config import IndexConfig, ReadLimits
from indexer.disk.rows import ROW_SCHEMA
from lakesift import Filter, Filters, Lake, export_vectors
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.cli.arguments import parser
from service.cli.main import main
from tests.conftest import sample_folders
from tests.indexer import recordings
from tests.indexer.drives import Drive
from tests.indexer.videos import film
from tests.lakes import BLUE, GREEN, LONG_AGO_S, RED, Desk, live_rows, write
from tests.serving import running

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
# Copies that `make docs` makes of files elsewhere.
COPIES = {"results", "model-card", "changelog", "contributing"}
DOCS = sorted(path for path in (ROOT / "docs").glob("*.md") if path.stem not in COPIES)
PAGES = [README, ROOT / "CONTRIBUTING.md", *DOCS]
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.M | re.S)
LANGUAGES = {"bash", "python", "sql", "json", "text", "{eval-rst}"}
# Commands that need what a reader lacks here: weights, a bucket, a cluster, PyTorch, an evening.
# They are parsed, and so are those that never end.
PARSED = re.compile(
    r"s3://|postgresql://|milvus://|open_clip:|open-clip\.lake|my\.model|--watch|--runner ray"
    r"|^lakesift (serve|mcp|train|models|doctor)\b"
)
# `apply` may refuse. Copies and exports tell what had to be left out, as a GIF for YOLO; `restore`
# tells of a conflict, and `settle` of a row that has none.
MAY_EXIT_WITH = {
    "apply": {0, 3},
    "copy": {0, 1},
    "export": {0, 1},
    "restore": {0, 1},
    "settle": {0, 1},
}


def fences(page: Path) -> list[tuple[str, str]]:
    """Language and text, in order."""
    return FENCE.findall(page.read_text())


def commands(block: str) -> list[str]:
    return [line for line in block.splitlines() if line.strip() and not line.startswith("#")]


@dataclass
class Reader:
    """Somebody who types what a page says, in a folder of their own."""

    state: Path
    names: dict[str, Any] = field(default_factory=dict)
    # What each command wrote to stdout, and all Python blocks together.
    said: dict[str, str] = field(default_factory=dict)
    printed: str = ""
    server: str | None = None
    running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def type(self, line: str) -> None:
        words = shlex.split(line, comments=True)
        kinds: dict[str, Callable[[str, list[str]], None]] = {
            "lakesift": self._lakesift,
            "curl": self._curl,
            "make": _make,
            "pip": _pip,
            "export": _export,
        }
        if words[0] in kinds:
            kinds[words[0]](line, words)
        elif "-m" in words and words[words.index("-m") + 1] == "pytest":
            assert all((ROOT / word).exists() for word in words if word.startswith("tests/")), line
        elif "-m" in words and words[words.index("-m") + 1] == "benchmarks":
            name = words[words.index("-m") + 2]
            assert (ROOT / "benchmarks" / f"{name}.py").exists(), line
        else:
            pytest.fail(f"no test knows how to run: {line}")

    def _lakesift(self, line: str, words: list[str]) -> None:
        # A pipe is the shell's; what comes before it is ours.
        own = words[1 : words.index("|")] if "|" in words else words[1:]
        arguments = [str(Path(word).expanduser()) if word.startswith("~") else word for word in own]
        parsed = parser().parse_args(arguments)
        if arguments[0] == "serve":
            _label_on_the_page(Path(arguments[1]))
        if PARSED.search(" ".join(words)):
            return
        if arguments[:2] == ["filter", "label"]:
            self._answer(parsed)
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with contextlib.redirect_stdout(stdout):
            code = main(arguments)
            stdout.flush()
        assert isinstance(stdout.buffer, io.BytesIO)
        self.said[" ".join(words)] = stdout.buffer.getvalue().decode()
        action = arguments[1] if arguments[0] == "filter" else arguments[0]
        assert code in MAY_EXIT_WITH.get(action, {0}), f"{line}: exit code {code}"

    def _answer(self, parsed: Any) -> None:
        """What a person does between `next` and `label`: look, and write down what they saw."""
        if parsed.format == "csv":
            with Lake.open(parsed.lake) as lake:
                asked = Filters(lake).open(parsed.name)
                count = 45 if asked.definition.audit is None else 1_000
                rows = asked.next(count).rows
            with parsed.file.open("w", newline="") as file:
                write = csv.writer(file)
                write.writerow(["uri", "label"])
                write.writerows([row.uri, seen(row.uri)] for row in rows)
        else:
            tasks = json.loads(Path("tasks-00001.json").read_text())
            keep = {
                "type": "choices",
                "from_name": "decision",
                "to_name": "image",
                "value": {"choices": ["keep"]},
            }
            for task in tasks:
                task["annotations"] = [{"result": [keep], "completed_by": 1}]
            parsed.file.write_text(json.dumps(tasks))

    def _curl(self, line: str, words: list[str]) -> None:
        if self.server is None:
            app = create_app([Path("my.lake")], ServeConfig(), keys=KeyStore(self.state))
            self.server = self.running.enter_context(running(app))
        command = [word.replace("localhost:8377", self.server) for word in words]
        command[1:1] = ["--silent", "--show-error", "--fail-with-body"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, f"{line}\n{run.stdout}{run.stderr}"
        self.said[line] = run.stdout

    def said_of(self, part: str) -> str:
        """What the one command with this in it printed."""
        (found,) = [said for command, said in self.said.items() if part in command]
        return found


def _make(line: str, words: list[str]) -> None:
    targets = [word for word in words[1:] if "=" not in word]
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), line


def _pip(line: str, words: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert words[1] in ("install", "wheel"), line
    for extra in re.findall(r"\[([\w,-]+)\]", line):
        assert set(extra.split(",")) <= set(extras), line


def _export(line: str, words: list[str]) -> None:
    knobs = {
        knob.name for config in (ReadLimits, IndexConfig, ServeConfig) for knob in fields(config)
    }
    known = {f"LAKESIFT_{name.upper()}" for name in {*knobs, "cache", "cores", "state"}}
    known.add("OTEL_EXPORTER_OTLP_ENDPOINT")  # OpenTelemetry's own
    assert words[1].partition("=")[0] in known, line


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, photo_lake: Path) -> Path:
    """What pages name: photos, and a lake of over a hundred images, one of which is gone."""
    home = tmp_path_factory.mktemp("furnished")
    photos, new, drawer = home / "photos", home / "new-frames", home / "drawer"
    for folder in (photos, new, drawer):
        folder.mkdir()
    samples = Path(sample_folders()[0])
    for name in ("gone.png", "stays.png"):
        shutil.copy(samples / "coffee.png", photos / name)
    for number in range(72):
        Image.new("RGB", (32, 32), (3 * number, 200, 255 - 3 * number)).save(
            drawer / f"{number:02}.png"
        )
    shutil.copy(samples / "rocket.jpg", new / "frame.jpg")
    shutil.copy(samples / "chelsea.png", home / "cat.jpg")
    shutil.copy(samples / "coffee.png", home / "drawing.png")
    (home / "list.txt").write_text("cat.jpg\n")
    (home / "table.csv").write_text("file,shelf\nstays.png,7\n")
    _pack(home, samples, photo_lake)
    lake = shutil.copytree(photo_lake, home / "my.lake")
    assert main(["index", str(photos), str(drawer), "--into", str(lake)]) == 0
    (photos / "gone.png").unlink()
    assert main(["index", str(photos), "--into", str(lake)]) == 0
    return home


def _pack(home: Path, samples: Path, lake: Path) -> None:
    """Photos in a shard, a zip and a table, a table that names one, and vectors of the lake's."""
    for folder in ("shards", "parts", "data", "drives"):
        (home / folder).mkdir()
    with tarfile.open(home / "shards" / "000.tar", "w") as shard:
        shard.add(samples / "rocket.jpg", "7.jpg")
    shutil.copy(home / "shards" / "000.tar", home / "parts" / "part-00000")
    speaking = [
        recordings.pose(0, 1.5, "/odom/pose"),
        recordings.photo(0, (samples / "rocket.jpg").read_bytes(), kind="jpeg"),
    ]
    (home / "drives" / "drive.mcap").write_bytes(recordings.mcap_of(speaking))
    with zipfile.ZipFile(home / "archive.zip", "w") as archive:
        archive.write(samples / "coffee.png", "x/coffee.png")
    photo = {"bytes": (samples / "chelsea.png").read_bytes(), "path": "chelsea.png"}
    table = pa.table({"image": [photo], "label": [3]})
    pq.write_table(table, home / "data" / "train-00000.parquet")
    table = pa.table({"image": [photo["bytes"]], "shelf": [7]})
    lance.write_dataset(table, str(home / "photos.lance"))
    write_deltalake(str(home / "tables" / "drives"), table)
    film(home / "clips" / "clip.mp4", [("red", 2), ("lime", 2)])
    (home / "products.csv").write_text("path,price\ncat.jpg,9\n")
    _label(home, samples)
    _record(home)
    with Lake.open(lake) as opened:
        export_vectors(opened.snapshot, home / "embeddings")
    table = pa.table({"embedding": [[3.0, 4.0]], "path": ["cat.jpg"]})
    pq.write_table(table, home / "vectors.parquet")


def _label(home: Path, samples: Path) -> None:
    """A photo in a set of each kind: a dog, twice; of two people one saw a cat."""
    image = {"id": 1, "file_name": "7.jpg"}
    dog = {"image_id": 1, "category_id": 3, "bbox": [1, 1, 9, 9]}
    coco = {"images": [image], "annotations": [dog, dog], "categories": [{"id": 3, "name": "dog"}]}
    xml = "<annotation><object><name>dog</name></object></annotation>"
    marked = '<image name="7.jpg"><tag label="dog"/></image>'
    seen = [{"type": "choices", "value": {"choices": [name]}} for name in ("dog", "cat")]
    task = {"data": {"image": "tasks/7.jpg"}, "annotations": [{"result": [one]} for one in seen]}
    for name, text in {
        "coco/annotations.json": json.dumps(coco),
        "yolo/data.yaml": "train: images\nnames: [dog]\n",
        "yolo/labels/7.txt": "0 .5 .5 .2 .2\n",
        "VOC2012/Annotations/7.xml": xml,
        "tasks.json": json.dumps([task]),
        "task/annotations.xml": f"<annotations>{marked}</annotations>",
    }.items():
        write(home / name, text.encode())
    folders = ("coco", "yolo/images", "VOC2012/JPEGImages", "imagenet/dog", "tasks", "task/images")
    for folder in folders:
        (home / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(samples / "rocket.jpg", home / folder / "7.jpg")


def _record(home: Path) -> None:
    """What a robot recorded, and a car with somebody before it."""
    made = Path(__file__).parent / "data/lerobot/images"
    shutil.copytree(made, home / "pick-cube", copy_function=shutil.copyfile)
    drive = Drive(home / "nuscenes")
    drive.picture("a.png", "CAM_FRONT", RED)
    drive.box("human.pedestrian.adult", (100.0, 220.0, 1.0))
    drive.write()


@pytest.fixture
def reader(tmp_path: Path, furnished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    shutil.copytree(furnished, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LAKESIFT_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    someone = Reader(tmp_path / "state")
    with someone.running:
        yield someone


def live(lake: Path) -> dict[int, str]:
    with Lake.open(lake) as opened:
        return {hit.row_id: hit.uri for hit in opened.search(row_id=1, k=None)}


def teach_and_audit(relevant: Filter) -> None:
    for purpose, count in (("teach", 45), ("audit", 1_000)):
        rows = relevant.next(count, purpose).rows
        relevant.label([{"row_id": row.row_id, "label": seen(row.uri)} for row in rows])


def seen(uri: str) -> str:
    """What a person says of an image: the real photos are wanted, the drawer's are not."""
    return "no" if "/drawer/" in uri else "yes"


def _label_on_the_page(lake: Path) -> None:
    """Where a page has a filter and opens the service, its reader goes to /label and answers."""
    if lake.exists():
        with Lake.open(lake) as opened:
            for name in Filters(opened).names():
                teach_and_audit(Filters(opened).open(name))


# -- what a page needs before it, and what must have come of it


def begin_filtered() -> None:
    """There is a filter, applied."""
    with Lake.open("my.lake") as lake:
        hospital = Filters(lake).create("hospital", keep_texts=["a hospital room"])
        teach_and_audit(hospital)
        assert not hospital.apply().refused


BEGINNINGS = {
    "hand-over": begin_filtered,
    "models": begin_filtered,
    "picking": begin_filtered,
}


def end_readme(reader: Reader) -> None:
    best, *_, reason = reader.printed.splitlines()
    assert "chelsea.png" in best and "promises nothing before an audit" in reason
    tasks = json.loads(Path("tasks-00001.json").read_text())
    kept = {Path(task["data"]["uri"]).name for task in tasks}
    assert {"stays.png", "chelsea.png"} <= kept
    with Lake.open("my.lake") as lake:
        assert Filters(lake).open("hospital").decisions.last().target.recall == 0.9


def end_searching(reader: Reader) -> None:
    names = reader.names
    assert Path(names["hits"][0].uri).name == "chelsea.png"
    assert list(names["table"].columns[:4]) == ["row_id", "score", "z", "uri"]
    assert names["page"].next_offset == 10
    assert Path(reader.said_of("a cat --paths").splitlines()[0]).name == "chelsea.png"
    (mixed,) = [json.loads(said) for command, said in reader.said.items() if "--image" in command]
    assert all(hit["width_px"] >= 400 for hit in mixed["hits"])


def end_where(reader: Reader) -> None:
    _, *lines = reader.said_of("width_px >= 640").splitlines()
    wide = {Path(line.split()[-1]).name for line in lines}
    assert wide == {
        "china.jpg",
        "flower.jpg",
        "hubble_deep_field.jpg",
        "motorcycle_left.png",
        "motorcycle_right.png",
        "retina.jpg",
        "rocket.jpg",
    }
    # No sample photo says where, or with what, it was taken.
    assert reader.said_of("captured_at") == reader.said_of("place.latitude") == ""


def end_filters(reader: Reader) -> None:
    assert reader.names["answer"].refused is True
    assert Path("hospital.html").read_text().startswith("<!doctype html>")
    assert Path("new.csv").read_text().count("frame.jpg") == 1
    assert Path("dropped.png").read_bytes()[:4] == b"\x89PNG"
    assert len(live(Path("new.lake"))) == len(live(Path("my.lake")))


def end_http(reader: Reader) -> None:
    cat = json.loads(reader.said_of('"k": 3'))
    assert Path(cat["hits"][0]["uri"]).name == "chelsea.png"
    mixed = json.loads(reader.said_of('"a street"'))
    assert all(hit["width_px"] >= 400 and "collapsed" in hit for hit in mixed["hits"])
    explained = json.loads(reader.said_of("explain"))["hits"][0]
    shares = [each["share"] for each in explained["explain"]]
    assert sum(shares) == pytest.approx(explained["score"], abs=5e-6)
    cats, dogs = json.loads(reader.said_of("search/many"))["answers"]
    assert cats["hits"][0] == cat["hits"][0] and len(cats["hits"]) == 4 < len(dogs["hits"])
    uploaded = json.loads(reader.said_of("weights=1"))
    assert Path(uploaded["hits"][0]["uri"]).name == "chelsea.png"
    lines = [json.loads(line) for line in reader.said_of("x-ndjson").splitlines()]
    assert lines[-1] == {"end": True, "hits": len(live(Path("my.lake")))}
    assert all(row["width_px"] >= 400 for row in json.loads(reader.said_of("rows?where"))["rows"])
    assert (
        reader.said_of("thumbnail") == "" and Path("thumbnail.jpg").read_bytes()[:2] == b"\xff\xd8"
    )
    made = json.loads(reader.said_of("filters/upload"))
    assert made["target"] == {"recall": 0.98, "precision": None, "confidence": 0.95}
    assert json.loads(reader.said_of("readyz")) == {"ready": True, "lakes": {"my": "ok"}}
    shown = next(
        json.loads(text) for language, text in fences(ROOT / "docs/http.md") if language == "json"
    )
    assert {*cat} == {*shown} and {*shown["hits"][0]} <= {*cat["hits"][0]}


def end_lake_format(reader: Reader) -> None:
    images = reader.names["images"]
    assert dict(zip(images.row_id, images.uri, strict=True)) == live(Path("my.lake"))
    assert len(images.vector[0]) == 512
    page = (ROOT / "docs/lake-format.md").read_text()
    of_codes = re.search(r"^##+ Codes\n.*?(?=^## |\Z)", page, re.M | re.S)
    assert of_codes is not None
    named = re.findall(r"^\| (`.*?) \|", page.replace(of_codes[0], ""), re.M)
    columns = [name for cell in named for name in re.findall(r"`(\w+)`", cell)]
    assert set(columns) <= set(images.columns)
    assert set(images.columns) - set(columns) <= {"vector"}


def end_sources(reader: Reader) -> None:
    assert "shelf" in json.dumps(_info("my.lake")["columns"])


def end_containers(reader: Reader) -> None:
    found = live_rows(Path("my.lake"))
    own = {row["member"] or row["uri"]: row["label"] or row["price"] for row in found.values()}
    assert {"7.jpg", "x/coffee.png"} <= set(own)
    assert "/camera/front" in {row["topic"] for row in found.values()}
    assert 1.5 in {row["odom_pose_pose_position_x"] for row in found.values()}
    assert "drive.mcap#stream=/camera/front&t=1700000000.000000" in reader.said_of("topic =")
    assert own["image"] == 3
    assert own[str(Path("cat.jpg").resolve())] == 9


def end_vectors(reader: Reader) -> None:
    table = pq.read_table("embeddings/metadata/metadata_0.parquet")
    assert sorted(live(Path("clip.lake")).values()) == sorted(table["uri"].to_pylist())
    [row] = live_rows(Path("other.lake")).values()
    assert row["uri"] == str(Path("cat.jpg").resolve()) and row["width_px"] > 0
    assert len(list(Path("out").rglob("*.npy"))) == 1


def end_hand_over(reader: Reader) -> None:
    decided = reader.said_of("--out -").splitlines()
    assert decided and all(Path(path).exists() for path in decided)
    assert (Path("kept") / "data.yaml").exists()


def end_reference(reader: Reader) -> None:
    assert (reader.names["report"].new, reader.names["report"].newly_skipped) == (1, [])


ENDS = {
    "README": end_readme,
    "searching": end_searching,
    "where": end_where,
    "filters": end_filters,
    "http": end_http,
    "lake-format": end_lake_format,
    "sources": end_sources,
    "containers": end_containers,
    "vectors": end_vectors,
    "hand-over": end_hand_over,
    "reference": end_reference,
}


def _info(lake: str) -> Any:
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout):
        assert main(["info", lake, "--json"]) == 0
    return json.loads(stdout.getvalue())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page: Path, request: pytest.FixtureRequest) -> None:
    blocks = fences(page)
    assert {language for language, _ in blocks} <= LANGUAGES
    assert page.read_text().count("```") == 2 * len(blocks)
    if not any(language in ("bash", "python", "sql") for language, _ in blocks):
        return
    reader: Reader = request.getfixturevalue("reader")
    BEGINNINGS.get(page.stem, lambda: None)()
    for language, text in blocks:
        if language == "bash":
            for line in commands(text):
                reader.type(line)
        elif language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, page.name, "exec"), reader.names)
            reader.printed += printed.getvalue()
        elif language == "sql":
            assert dict(duckdb.sql(text).project("row_id, uri").fetchall()) == live(Path("my.lake"))
        elif language == "json":
            json.loads(text)
    ENDS.get(page.stem, lambda _: None)(reader)


def test_sql_gives_the_live_rows(reader: Reader) -> None:
    """The photo that is gone is not among them; nor any dead row once there are no tombstones."""
    (query,) = [
        text for language, text in fences(ROOT / "docs/lake-format.md") if language == "sql"
    ]
    found = dict(duckdb.sql(query).project("row_id, uri").fetchall())
    assert sum("stays.png" in uri for uri in found.values()) == 1
    assert not any("gone.png" in uri for uri in found.values())
    assert main(["compact", "my.lake"]) == 0
    assert json.loads(Path("my.lake/manifest.json").read_text())["tombstones"] == []
    assert dict(duckdb.sql(query).project("row_id, uri").fetchall()) == live(Path("my.lake"))


@pytest.mark.parametrize("name", ["filename", "file_row_number", "segment", "position", "id"])
def test_sql_gives_the_live_rows_whatever_the_users_columns_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also below a folder whose name reads as a column's value."""
    desk = Desk(tmp_path / "run=3")
    for photo, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        desk.add(f"{photo}.png", colour)
        write(desk.photos / f"{photo}.json", f'{{"{name}": "{photo}!", "Year": 1}}'.encode())
    desk.index()
    (desk.photos / "b.png").unlink()
    write(desk.photos / "c.json", f'{{"{name}": "new", "year": 2}}'.encode(), LONG_AGO_S + 1)
    desk.sync()
    monkeypatch.chdir(desk.root)
    (query,) = (text for kind, text in fences(ROOT / "docs/lake-format.md") if kind == "sql")
    found = duckdb.sql(query)
    shown = "json_file_row_number" if name == "file_row_number" else name
    assert found.columns == [*ROW_SCHEMA.names, *sorted([shown, "Year"], key=found.columns.index)]
    rows = found.project(f'uri, "{shown}", "Year", modified').fetchall()
    at = datetime.fromtimestamp(LONG_AGO_S, UTC).replace(tzinfo=None)
    assert sorted(rows) == [
        (f"{desk.photos}/a.png", "a!", 1, at),
        (f"{desk.photos}/c.png", "new", 2, at),
    ]


# -- README is a door


def test_readme_is_short() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 120] == []


def test_pictures_are_there_and_small() -> None:
    shown = {
        name
        for page in PAGES
        for name in re.findall(r"!\[.+?\]\((?:docs/)?(pictures/\S+?)\)", page.read_text())
    }
    assert shown == {"pictures/search.webp", "pictures/filter.webp", "pictures/labels.svg"}
    assert all(0 < (ROOT / "docs" / name).stat().st_size < 150_000 for name in shown)


def test_the_picture_of_what_labels_cost_is_the_planner_s() -> None:
    drawn = run_path(str(ROOT / "docs" / "labels.py"))
    # Sixty of 1,200 may be lost; by the scores' two distributions these lines lose so many.
    found = {each.kept: drawn["lost"](each) for each in drawn["lines"]()}
    assert (found[5_000], found[3_000], found[2_500], found[2_000]) == (3, 17, 29, 53)
    assert max(found.values()) <= 60
    picture = (ROOT / "docs" / "pictures" / "labels.svg").read_text()
    assert picture == drawn["picture"](), "draw it again: python docs/labels.py"
    for said in (
        "540 labels: 3 lost, 5,000 kept",
        "3,700 labels: 29 lost",
        "53 lost:",
        "label all",
    ):
        assert said in picture


def rounded(labels: float) -> str:
    """Two digits, as the table has them."""
    digit = 10 ** max(0, math.floor(math.log10(labels)) - 1)
    return f"{round(labels / digit) * digit:,}"


DROPPED, IMAGES, DELTA = 75_000, 100_000, 0.05
PREVALENCES = ("20 %", "5 %", "1 %", "0.1 %")
RECALLS = ("0.90", "0.95", "0.98")


def too_many(prevalence: str, recall: str) -> int:
    """The first number of misses that breaks the promise."""
    relevant = IMAGES * Fraction(prevalence.removesuffix(" %")) / 100
    return math.floor(relevant * (1 - Fraction(recall))) + 1


@pytest.mark.parametrize("page", [README, ROOT / "docs/filters.md"], ids=lambda page: page.stem)
def test_the_price_table_is_what_the_formula_gives(page: Path) -> None:
    text = page.read_text()
    assert "d (1 - δ^(1/m))" in text
    assert f"| relevant | {' | '.join(f'recall {recall}' for recall in RECALLS)} |" in text
    for prevalence in PREVALENCES:
        labels = [DROPPED * (1 - DELTA ** (1 / too_many(prevalence, recall))) for recall in RECALLS]
        cells = [cell.removesuffix(" labels") for cell in _row(text, prevalence)]
        assert cells == [rounded(count) for count in labels], prevalence
    assert too_many("1 %", "0.98") == 21  # of 1,000 relevant images 20 may be missed


def _row(text: str, prevalence: str) -> list[str]:
    (row,) = re.findall(rf"^\| {re.escape(prevalence)} \| (.*) \|$", text, re.M)
    return [cell.strip() for cell in row.split("|")]


@pytest.mark.parametrize("misses", sorted({too_many(p, r) for p in PREVALENCES for r in RECALLS}))
def test_the_formula_is_the_exact_price_but_for_two_labels(misses: int) -> None:
    """Exact: the fewest draws without replacement that miss all m of d with a chance of delta.

    The formula may ask for a few labels more: (1 - n/d)^m is an upper bound of
    C(d - m, n) / C(d, n).
    """

    def log_of_choose(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    def enough(draws: int) -> bool:
        seen_none = log_of_choose(DROPPED - misses, draws) - log_of_choose(DROPPED, draws)
        return seen_none <= math.log(DELTA)

    by_formula = math.ceil(DROPPED * (1 - DELTA ** (1 / misses)))
    assert enough(by_formula)
    assert not enough(by_formula - 3)


def test_figures_of_how_fast_are_those_measured() -> None:
    results = (ROOT / "benchmarks/RESULTS.md").read_text()
    section = README.read_text().partition("## How fast")[2].partition("\n## ")[0]
    measured = re.findall(r"([\d.]+) (images/s|ms|s)\b", section)
    assert len(measured) >= 4
    assert [
        f"{figure} {unit}" for figure, unit in measured if f"{figure} {unit}" not in results
    ] == []


def test_the_house_is_as_its_page_says() -> None:
    """Every folder of the table is there, and so is the module to read first."""
    table = (ROOT / "docs/house.md").read_text()
    rooms = re.findall(r"^\| `(\S+)/` \| .* \| `(\S+)` \|$", table, re.M)
    assert len(rooms) >= 15
    assert [
        f"{folder}/{first}" for folder, first in rooms if not (ROOT / folder / first).is_file()
    ] == []


# -- links


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_to_files_and_to_headings_of_theirs() -> None:
    links = [
        (page, *target.partition("#")[::2])
        for page in [*PAGES, ROOT / "benchmarks/RESULTS.md", ROOT / "CHANGELOG.md"]
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text())
    ]
    assert len(links) >= 50
    for page, name, heading in links:
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {name}"
        if heading:
            assert heading in anchors(target), f"{page.name}: {name}#{heading}"


def test_what_pages_call_a_test_is_one() -> None:
    named = [
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"`(tests/[^`]+\.py)`", page.read_text())
    ]
    assert len(named) >= 30
    assert [each for each in named if "\ndef test_" not in (ROOT / each[1]).read_text()] == []


def test_commands_in_passing_are_ones_that_exist() -> None:
    """Those between backticks in a sentence: of `lakesift`, of make, of the benchmarks."""
    verbs = re.findall(r"^    (\w+) ", parser().format_help(), re.M)
    assert {"index", "search", "filter"} < {*verbs}
    for page in PAGES:
        text = FENCE.sub("", page.read_text()).replace("\n", " ")
        for command in re.findall(
            r"`(lakesift [a-z][^`]*|make [a-z]+|python -m benchmarks [a-z_]+)", text
        ):
            words = command.split()
            if words[0] == "lakesift":
                assert words[1] in verbs, f"{page.name}: {command}"
            elif words[0] == "make":
                _make(command, words)
            else:
                assert words[3] in {*NAMES, *LONG, *APART}, f"{page.name}: {command}"


# -- the site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built as `make docs` builds them: a warning, such as of a broken link, fails."""
    out = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-W",
        "--keep-going",
        "-q",
        "docs",
        str(out),
    ]
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert run.returncode == 0, run.stderr
    return out


def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(site: Path) -> None:
    for name in {path.stem for path in DOCS} | COPIES:
        assert (site / f"{name}.html").exists()
    # Links to other hosts are fine; what a page loads by itself is not.
    loads = re.compile(
        r"""<(?:script|img|iframe|source)[^>]+src=["'](?:https?:)?//|<link[^>]+href=["'](?:https?:)?//"""
    )
    for page in site.glob("*.html"):
        assert loads.findall(page.read_text()) == [], page.name
    for sheet in site.glob("_static/**/*.css"):
        assert not re.search(r"""url\(["']?(?:https?:)?//|@import""", sheet.read_text()), sheet.name


def test_the_reference_has_every_public_name_with_a_sentence(site: Path) -> None:
    import lakesift

    text = (site / "reference.html").read_text()
    missing = [name for name in lakesift.__all__ if f'id="lakesift.{name}"' not in text]
    assert missing == ["__version__"]
