"""A lake's vectors and rows, written for other tools and taken back."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from indexer.disk.manifest import SourceEntry
from indexer.errors import BadRequest
from indexer.vector_files.importing import import_vectors
from service import Lake
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.cli.main import main
from service.snapshot.vector_files import export_vectors
from tests.fakes import ColourEmbedder
from tests.indexer.vector_files.files import GREEN, PINK, RED, vector_table
from tests.lakes import Desk, write

ORANGE = (255, 128, 0)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Rows in two segments, one of them gone, two in a tar, with captions and a column."""
    desk = Desk(tmp_path)
    for name, colour in (("a.png", (255, 0, 0)), ("b.png", (0, 255, 0)), ("c.png", ORANGE)):
        desk.add(name, colour)
    write(desk.photos / "a.txt", b"all red")
    write(desk.photos / "a.json", b'{"image_path": "mine", "Score": 3}')
    with tarfile.open(desk.photos / "0.tar", "w") as tar:
        for name in ("a.png", "c.png"):
            tar.add(desk.photos / name, f"in/{name}")
    desk.index()
    (desk.photos / "b.png").unlink()
    desk.add("d.png", (200, 60, 0))
    desk.sync()
    return desk


def answers(lake: Path) -> list[tuple[str, float, Any]]:
    with Lake.open(lake, ColourEmbedder()) as opened:
        hits = opened.search("red", k=None)
        return [(hit.place, hit.score, {**hit.columns, "source": 0, "row_id": 0}) for hit in hits]


@pytest.mark.parametrize(
    ("format", "precision"), [("npy", "float16"), ("npy", "float32"), ("parquet", "float32")]
)
def test_a_round_trip_gives_the_same_answers(
    desk: Desk,
    format: Literal["npy", "parquet"],
    precision: Literal["float16", "float32"],
) -> None:
    out, back = desk.root / "out", desk.root / "back.lake"
    with Lake.open(desk.lake) as lake:
        written = export_vectors(
            lake.snapshot, out, format=format, precision=precision, file_rows=2
        )
    assert (written.rows, written.files) == (5, 3)
    import_vectors(back, out, ColourEmbedder)
    before, after = answers(desk.lake), answers(back)
    # bit for bit: scores, columns, and the order
    assert [each[:2] for each in after] == [each[:2] for each in before]
    for (_, _, new), (_, _, old) in zip(after, before, strict=True):
        assert new == {**old, "columns_etag": None}
    assert len(after) == 5


def test_clip_retrievals_names_and_columns_are_what_its_readers_look_for(desk: Desk) -> None:
    out = desk.root / "out"
    with Lake.open(desk.lake) as lake:
        export_vectors(lake.snapshot, out, file_rows=4)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        "img_emb/img_emb_0.npy",
        "img_emb/img_emb_1.npy",
        "metadata/metadata_0.parquet",
        "metadata/metadata_1.parquet",
    ]
    vectors = np.concatenate([np.load(path) for path in sorted(out.glob("img_emb/*"))])
    rows = pa.concat_tables([pq.read_table(path) for path in sorted(out.glob("metadata/*"))])
    assert (str(vectors.dtype), vectors.shape, rows.num_rows) == ("float16", (5, 3), 5)
    at = rows["image_path"].to_pylist().index(str(desk.photos / "a.png"))
    assert vectors[at].tolist() == [1, 0, 0]
    row = rows.slice(at, 1).to_pylist()[0]
    assert (row["caption"], row["url"], row["own_image_path"]) == ("all red", None, "mine")
    assert rows["row_id"].to_pylist() == sorted(rows["row_id"].to_pylist())


def test_parquet_holds_the_vectors_in_a_column_any_reader_knows(tmp_path: Path) -> None:
    file = vector_table(tmp_path / "v.parquet", [PINK], url=["https://x.example/1.jpg"], vector=[7])
    import_vectors(tmp_path / "my.lake", file)
    with Lake.open(tmp_path / "my.lake") as lake:
        export_vectors(lake.snapshot, tmp_path / "out", format="parquet", precision="float32")
    row = pq.read_table(tmp_path / "out" / "vectors_0.parquet").to_pylist()[0]
    assert np.allclose(row["lakesift_vector"], (0.6, 0, 0.8), atol=1e-3)
    assert (row["vector"], row["url"], row["image_path"]) == (7, "https://x.example/1.jpg", None)


def test_a_folder_that_holds_something_is_left_alone(desk: Desk) -> None:
    with Lake.open(desk.lake) as lake, pytest.raises(BadRequest, match="is not an empty folder"):
        export_vectors(lake.snapshot, desk.photos)
    assert (desk.photos / "a.png").exists()


def test_the_command_imports_and_exports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, out = str(tmp_path / "my.lake"), str(tmp_path / "out")
    file = str(vector_table(tmp_path / "v.parquet", [RED, GREEN, (0, 0, 0)], path=[*"abc"]))
    assert main(["import", file, "--into", lake]) == 0
    said = capsys.readouterr().err
    assert f"skipped {file}#row=2: {tmp_path}/c: its vector is all zeros\n" in said
    assert "imported: 2 rows, 1 skipped in " in said
    assert main(["search", lake, "--row", "1"]) == 0
    assert "      -  " in capsys.readouterr().out
    assert main(["search", lake, "red"]) == 1
    assert "has vectors whose model nobody named" in capsys.readouterr().err
    assert main(["info", lake]) == 0
    told = capsys.readouterr().out
    assert f"{file} (imported)" in told and "unknown, 3 dimensions" in told
    assert main(["doctor", lake]) == 0
    assert main(["export-vectors", lake, "--out", out]) == 0
    assert capsys.readouterr().err.endswith(
        f"exported 2 rows with their vectors in 1 file -> {out}\n"
    )
    assert main(["index", "--sources-of", lake, "--into", str(tmp_path / "new.lake")]) == 2
    assert "name the folder of their images" in capsys.readouterr().err


def service_of(lake: Path) -> TestClient:
    app = create_app({"my": lake}, ServeConfig(), keys=KeyStore(lake.parent / "state"))
    return TestClient(app, base_url="http://127.0.0.1:8377")


def test_a_service_answers_for_images_that_nobody_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", (255, 0, 0))
    paths = [str(desk.photos / "red.png"), "/gone.png"]
    lake = tmp_path / "my.lake"
    import_vectors(lake, vector_table(tmp_path / "v.parquet", [RED, PINK], path=paths))
    with service_of(lake) as client:
        found = client.post("/v1/search", json={"images": [{"row_id": 1}], "collapse": True}).json()
        assert [(hit["row_id"], hit["width_px"]) for hit in found["hits"]] == [(1, None), (2, None)]
        answer = client.post("/v1/search", json={"texts": [{"text": "red"}]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "model_unknown")
        picture = client.get("/v1/lakes/my/rows/1/thumbnail")
        assert (picture.status_code, picture.json()["error"]["code"]) == (403, "image_refused")
        assert "was imported and the image not read yet" in picture.json()["error"]["message"]
        assert client.get("/readyz").json() == {"ready": True, "lakes": {"my": "ok"}}
    assert main(["sync", str(lake), "--recompute", "width_px", "--decoders", "1"]) == 0
    with service_of(lake) as client:
        assert client.get("/v1/lakes/my/rows/1/thumbnail").status_code == 200
        row = client.get("/v1/lakes/my/rows/1").json()["row"]
        assert (row["width_px"], row["columns"]["format"]) == (4, "png")


def test_an_imported_source_is_kept_beside_others(desk: Desk) -> None:
    file = vector_table(desk.root / "v.parquet", [PINK], path=["/pink.png"])
    import_vectors(desk.lake, file, ColourEmbedder)
    desk.index()
    (desk.photos / "c.png").unlink()
    desk.sync()
    with Lake.open(desk.lake) as lake:
        assert "/pink.png" in [row.uri for row in lake.browse()]
        assert lake.manifest.sources[-1] == SourceEntry(str(file), kind="imported")
