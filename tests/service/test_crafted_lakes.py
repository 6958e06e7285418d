"""Lakes that somebody crafted, every checksum right: each verb and route ends with an answer or one
sentence, and nothing of what is in them commands a terminal.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from indexer.errors import LakeError
from service import Lake
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.cli.main import main
from service.pictures.thumbnail_cache import ThumbnailCache
from service.relevance import Filters
from service.relevance.definition import Target
from tests.crafted import (
    Body,
    change_manifest,
    change_rows,
    manifest_of,
    rows_of,
    set_values,
    write_segment_file,
    write_table,
)
from tests.lakes import Desk
from tests.tiny_model import DIM, tiny_model
from training.model_files import write_model_folder

ROWS = 12
HOST = "http://127.0.0.1:8377"
# Clears the screen, renames the window, goes back over the line, ends it; and a bare CSI and a mark
# that turns the text round.
ANSI = "\x1b[2J\x1b]0;owned\x07\rok\n\x9b31mfake \u202egnp.exe\x00"
CONTROL = re.compile("(?!\r)[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

Craft = Callable[[Path], None]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Twelve photos, a column of the user's, a skipped file, a row that is gone, a filter that was
    applied.
    """
    desk = Desk(tmp_path_factory.mktemp("crafted"))
    for number in range(ROWS):
        desk.add(f"{number:02}.png", (20 * number, 9, 255 - 20 * number))
        (desk.photos / f"{number:02}.json").write_text(json.dumps({"weather": "rain"}))
    (desk.photos / "broken.png").write_bytes(b"no image")
    desk.add("gone.png", (1, 2, 3))
    write_model_folder(desk.root / "my.model", tiny_model())
    model = f"builtin@{desk.root / 'my.model'}"
    command = ["index", str(desk.photos), "--into", str(desk.lake), "--model", model]
    assert main([*command, "--decoders", "1"]) == 0
    (desk.photos / "gone.png").unlink()
    assert main(["sync", str(desk.lake), "--decoders", "1"]) == 0
    with Lake.open(desk.lake) as lake:
        made = Filters(lake).create("cats", keep_texts=["a cat"], target=Target(0.9, None, 0.9))
        labels = [{"row_id": n, "label": "yes" if n % 2 else "no"} for n in range(1, ROWS + 1)]
        made.label(labels)
        made.next(ROWS, purpose="audit")
        assert made.apply().to_json()["kept"] >= 6
    return desk


@pytest.fixture
def lake(honest: Desk, tmp_path: Path) -> Path:
    shutil.copytree(honest.lake, tmp_path / "my.lake")
    return tmp_path / "my.lake"


def every_verb(lake: Path, out: Path) -> list[list[str]]:
    name = str(lake)
    return [
        ["info", name, "--skipped"],
        ["doctor", name, "--deep"],
        ["search", name, "a cat"],
        ["search", name, "--row", "1", "--json"],
        ["search", name, "dog", "--where", "weather = 'rain' AND width_px > 1", "--collapse"],
        ["search", name, "dog", "--filter", "cats", "--max-per", "camera=2"],
        ["filter", "list", name],
        ["filter", "show", name, "cats"],
        ["filter", "next", name, "cats"],
        ["filter", "samples", name, "cats", "--decision", "drop"],
        ["filter", "export", name, "cats", "--format", "csv", "--out", str(out / "a.csv")],
        ["filter", "export", name, "cats", "--format", "webdataset", "--out", str(out / "wds")],
        ["filter", "report", name, "cats", "--out", str(out / "a.html")],
        ["filter", "apply", name, "cats"],
        ["sync", name, "--decoders", "1"],
        ["compact", name],
        ["vacuum", name],
    ]


ROUTES = [
    "/v1/lakes",
    "/v1/lakes/my/columns",
    "/v1/lakes/my/rows/1",
    "/v1/lakes/my/rows/1/image",
    "/v1/lakes/my/rows/1/thumbnail",
    "/v1/lakes/my/filters",
    "/v1/lakes/my/filters/cats",
    "/v1/lakes/my/filters/cats/report",
    "/v1/lakes/my/filters/cats/ledger",
    "/metrics",
    "/readyz",
]
SEARCHES: list[Body] = [
    {"texts": ["a cat"], "k": 5},
    {"images": [1], "k": 50},
    {"texts": ["a cat"], "where": "weather = 'rain' AND captured_at IS NULL", "collapse": True},
]


def tried(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb and route: an answer or one sentence."""
    routes_tried(lake)
    out = lake.parent / "out"
    out.mkdir()
    for command in every_verb(lake, out):
        capsys.readouterr()
        code = main(command)
        said = capsys.readouterr()
        assert code in (0, 1, 2, 3), command
        assert "Traceback" not in said.out + said.err
        assert not CONTROL.search(said.err), (command, said.err)
        if "--json" not in command:
            assert not CONTROL.search(said.out), (command, said.out)
        assert code == 0 or said.err or command[0] == "doctor", command


def routes_tried(lake: Path) -> None:
    keys = KeyStore(lake.parent / "keys")
    try:
        app = create_app({"my": lake}, ServeConfig(), keys=keys)
    except LakeError:
        return
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        answers = [client.get(route) for route in ROUTES]
        answers += [client.post("/v1/search", json=body) for body in SEARCHES]
        for answer in answers:
            assert answer.status_code != 500, (answer.url, answer.text)


def test_the_honest_lake_answers_everywhere(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tried(lake, capsys)
    with TestClient(
        create_app({"my": lake}, ServeConfig(), keys=KeyStore(lake.parent / "keys")), base_url=HOST
    ) as client:
        for route in ROUTES:
            assert client.get(route).status_code == 200, route


# -- what is crafted


def of_type(name: str, kind: pa.DataType, value: Any) -> Craft:
    """A column of another type."""

    def change(table: pa.Table) -> pa.Table:
        array = pa.array([value] * table.num_rows, kind)
        at = table.column_names.index(name)
        return table.set_column(at, pa.field(name, kind), array)

    return lambda lake: change_rows(lake, change)


def without(*names: str) -> Craft:
    return lambda lake: change_rows(lake, lambda table: table.drop_columns(list(names)))


def values(**columns: Any) -> Craft:
    return lambda lake: set_values(lake, **columns)


def not_utf8(name: str) -> Craft:
    def change(table: pa.Table) -> pa.Table:
        rows, bad = table.num_rows, b"\xff\xfe"
        offsets = np.arange(rows + 1, dtype=np.int32) * len(bad)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(bad * rows)]
        array = pa.Array.from_buffers(pa.string(), rows, buffers)
        return table.set_column(table.column_names.index(name), name, array)

    return lambda lake: change_rows(lake, change)


def two_of_one_name(lake: Path) -> None:
    change_rows(lake, lambda table: table.append_column("uri", table["uri"]))


def fewer_rows(lake: Path) -> None:
    change_rows(lake, lambda table: table.slice(0, 3))


def no_parquet(lake: Path) -> None:
    write_segment_file(lake, "rows.parquet", b"PAR1 and nothing more PAR1")


def vectors(change: Callable[[np.ndarray[Any, Any]], None]) -> Craft:
    def craft(lake: Path) -> None:
        rows = manifest_of(lake)["segments"][0]["rows"]
        found = np.eye(DIM, dtype=np.float32)[np.arange(rows) % DIM]
        change(found)
        index = faiss.IndexScalarQuantizer(
            DIM, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        index.add(found)
        data = faiss.serialize_index(index).tobytes()
        write_segment_file(lake, "vectors.faiss", data)

    return craft


def table_of(kind: str, table: pa.Table) -> Craft:
    """Another table of tombstones or skipped files."""
    return lambda lake: write_table(lake, kind, table)


def places(segment: str | None, *positions: int | None) -> Craft:
    """:param segment: None: the lake's own."""

    def craft(lake: Path) -> None:
        named = segment or manifest_of(lake)["segments"][0]["id"]
        table = pa.table(
            {"segment": [named] * len(positions), "position": pa.array(positions, pa.int64())}
        )
        write_table(lake, "tombstones", table)

    return craft


def skipped(**columns: Any) -> Craft:
    def craft(lake: Path) -> None:
        def change(table: pa.Table) -> pa.Table:
            for name, value in columns.items():
                field = table.schema.field(name)
                array = pa.array([value] * table.num_rows, field.type)
                table = table.set_column(table.column_names.index(name), field, array)
            return table

        write_table(lake, "skipped", change)

    return craft


def manifest(**fields: Any) -> Craft:
    return lambda lake: change_manifest(lake, lambda body: body.update(fields))


def definition(**fields: Any) -> Craft:
    """The filter's newest version with other fields, as text where JSON has no such value."""

    def craft(lake: Path) -> None:
        path = sorted((lake / "filters" / "cats").glob("0*.json"))[-1]
        body = json.loads(path.read_bytes())
        path.write_text(json.dumps({**body, **fields}))

    return craft


def deep(lake: Path) -> None:
    path = sorted((lake / "filters" / "cats").glob("0*.json"))[-1]
    path.write_text('{"name": ' + "[" * 100_000 + "]" * 100_000 + "}")


GIANT = 2**63 - 1
CRAFTED: dict[str, Craft] = {
    "row_id as text": of_type("row_id", pa.string(), "1"),
    "row_id as decimal": of_type("row_id", pa.float64(), 1.5),
    "row_id null": of_type("row_id", pa.int64(), None),
    "row_id doubled": values(row_id=1),
    "row_id negative": values(row_id=-1),
    "row_id giant": values(row_id=GIANT),
    "uri missing": without("uri"),
    "uri null": of_type("uri", pa.string(), None),
    "uri empty": values(uri=""),
    "uri not utf8": not_utf8("uri"),
    "uri of terminal codes": values(uri=ANSI),
    "uri as a number": of_type("uri", pa.int64(), 7),
    "two columns uri": two_of_one_name,
    "own column not utf8": not_utf8("weather"),
    "own column of terminal codes": values(weather=ANSI),
    "own column as a list": of_type("weather", pa.list_(pa.string()), ["x"]),
    "own column of dates": of_type("weather", pa.timestamp("us"), GIANT),
    "own column of bytes": of_type("weather", pa.binary(), b"\xff"),
    "sha256 missing": without("sha256"),
    "sha256 null": values(sha256=None),
    "sha256 a path": values(sha256="../../../etc/passwd"),
    "phash null": values(phash=None),
    "sizes null": values(size_bytes=None, width_px=None, height_px=None, format=None),
    "sizes negative": values(size_bytes=-5, width_px=-1, height_px=0),
    "sizes giant": values(size_bytes=GIANT, width_px=2**31 - 1),
    "format of terminal codes": values(format=ANSI, camera=ANSI, caption=ANSI),
    "offset negative": values(offset=-1, length=10),
    "offset without length": values(offset=3),
    "offset giant": values(offset=GIANT, length=GIANT, member="x"),
    "times giant": values(captured_at=GIANT, modified=GIANT),
    "times before all": values(captured_at=-GIANT, modified=-GIANT),
    "place of no numbers": values(place={"latitude": float("nan"), "longitude": float("inf")}),
    "path_bytes beside": values(path_bytes=b"/\x1b[2J\xff\n"),
    "source of another": values(source=ANSI, etag=ANSI, columns_etag=ANSI),
    "three rows only": fewer_rows,
    "no Parquet": no_parquet,
    "vectors NaN": vectors(lambda found: found.fill(np.nan)),
    "vectors infinite": vectors(lambda found: found.fill(np.inf)),
    "vectors zero": vectors(lambda found: found.fill(0)),
    "vectors long": vectors(lambda found: np.multiply(found, 60_000, out=found)),
    "one vector NaN": vectors(lambda found: found[3].fill(np.nan)),
    "tombstones of a missing segment": places("nowhere", 0, 1),
    "tombstones out of range": places(None, 3, 99),
    "tombstones negative": places(None, -1),
    "tombstones doubled": places(None, 3, 3, 3),
    "tombstones null": places(None, None),
    "tombstones giant": places(None, GIANT),
    "tombstones of all": places(None, *range(ROWS + 1)),
    "tombstones of other columns": table_of("tombstones", pa.table({"x": [1]})),
    "tombstones of none": table_of("tombstones", pa.table({"segment": [], "position": []})),
    "skipped of other columns": table_of("skipped", pa.table({"uri": [1.5]})),
    "skipped of terminal codes": skipped(uri=ANSI, reason=ANSI, source=ANSI),
    "skipped of nulls": skipped(uri=None, reason=None, when=None, size_bytes=None),
    "skipped of no time": skipped(when=GIANT, modified=-GIANT),
    "columns of terminal codes": manifest(columns={ANSI: "string", "weather": "string"}),
    "columns of another type": manifest(columns={"weather": "int64"}),
    "columns of no type": manifest(columns={"weather": ANSI}),
    "columns called ours": manifest(columns={"uri": "string", "row_id": "int64"}),
    "sources of terminal codes": manifest(sources=[{"uri": ANSI, "columns": ANSI}]),
    "sources of other kinds": manifest(
        sources=[
            {"uri": uri, "columns": None}
            for uri in (
                "sftp://h/x",
                "file:///etc",
                "http://127.0.0.1:1",
                "zip://a::http://b",
                "",
                "@",
            )
        ]
    ),
    "texts of terminal codes": manifest(created=ANSI, made_by=ANSI),
    "model of terminal codes": manifest(model_id=ANSI),
    "fingerprint of terminal codes": manifest(
        fingerprint={"name": ANSI, ANSI: 1, "precision": "int8"}
    ),
    "fingerprint empty": manifest(fingerprint={}),
    "dim of another": manifest(dim=7),
    "row count of nobody": manifest(next_row_id=1),
    "recomputing what is not": manifest(recomputing={"columns": [ANSI], "done": {"x": 5}}),
    "filter nested": deep,
    "filter of no numbers": definition(target={"recall": float("nan"), "precision": 1e999}),
    "filter of other types": definition(keep=[1, {"a": ANSI}], where=7, snapshot="1"),
    "filter of terminal codes": definition(where=ANSI, reason=ANSI, created_at=ANSI),
    "filter of a giant": definition(snapshot=10**400, version=-1),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_lake_ends_in_answers_and_sentences(
    lake: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    CRAFTED[name](lake)
    tried(lake, capsys)


@pytest.mark.parametrize("seed", range(4))
def test_faults_together_do_no_more(
    lake: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    """Cells at random, and two of the faults above."""
    draw = random.Random(seed)
    pools: dict[str, list[Any]] = {
        "string": [None, "", ANSI, "x" * 70_000, "/etc/passwd", "s3://b/\x00", "::", "../.."],
        "int64": [None, 0, -1, GIANT, -GIANT, 2**53, 1],
        "int32": [None, 0, -1, 2**31 - 1],
        "uint64": [None, 0, 2**64 - 1],
        "binary": [None, b"", b"\x00", b"/etc/passwd"],
    }
    cells = {
        field.name: [draw.choice(pools[str(field.type)]) for _ in range(rows_of(lake).num_rows)]
        for field in rows_of(lake).schema
        if str(field.type) in pools and draw.random() < 0.3 and field.name not in ("row_id", "uri")
    }
    set_values(lake, **cells)
    for name in draw.sample([name for name in CRAFTED if "row" not in name], 2):
        CRAFTED[name](lake)
    tried(lake, capsys)


def test_a_hash_that_is_a_path_deletes_nothing(lake: Path, tmp_path: Path) -> None:
    """What `sync` forgets when a row goes are small copies, and no file anywhere else."""
    cache = ThumbnailCache(tmp_path / "cache" / "thumbnails", 1_000_000)
    mine = tmp_path / "mine-128-1"
    mine.write_bytes(b"mine")
    for name in ("../../../mine-128-1", f"{tmp_path}/mine-128-1", "../mine", "x\x00-128-1"):
        cache.drop(name)
    assert mine.read_bytes() == b"mine"
    cache.put("0" * 64, b"x")
    cache.drop("0" * 64)
    assert cache.get("0" * 64) is None


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no terminals")
@pytest.mark.parametrize("shape", [[], ["--paths"], ["--print0"], ["--json"]])
def test_names_command_no_terminal(lake: Path, shape: list[str]) -> None:
    """On a real one; a pipe gets the names as they are."""
    set_values(lake, path_bytes=os.fsencode(f"/{ANSI}\u00e9") + b"\x9b\xff", uri=f"/{ANSI}\u00e9")
    command = [
        sys.executable,
        "-m",
        "service.cli",
        "search",
        str(lake),
        "--row",
        "1",
        "-k",
        "2",
        *shape,
    ]
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=False)
        shown = os.read(ours, 100_000)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 0, done.stderr
    text = shown.decode().replace("\r\n", "\n")  # as terminals end lines
    assert not CONTROL.search(text) and "\r" not in text
    assert "[2J" in text and "\u00e9" in text
    if shape == ["--json"]:
        assert json.loads(text)["hits"][0]["uri"] == f"/{ANSI}\u00e9"
    if shape == ["--paths"]:
        piped = subprocess.run(command, capture_output=True, check=True).stdout
        assert piped.startswith(b"/\x1b[2J")


def test_a_lake_with_sentences_of_its_own_keeps_them_in_one_line(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_manifest(
        lake, lambda body: body.update(sources=[{"uri": "/a\nimages 7", "columns": None}])
    )
    assert main(["info", str(lake)]) == 0
    said = capsys.readouterr().out
    assert "\nsources       /a\\nimages 7\n" in said
    assert [line for line in said.splitlines() if line.startswith("images")] == ["images        12"]
