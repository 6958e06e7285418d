"""Vectors that were made elsewhere, as rows of a lake."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, SourceEntry, read_manifest
from indexer.disk.sealed import checksum_of
from indexer.disk.tables import read_skipped
from indexer.embed import Embedder
from indexer.errors import (
    BadRequest,
    DimensionMismatch,
    ModelUnknown,
    SourceError,
    WrongModel,
)
from indexer.report import SyncReport
from indexer.sync import sync
from indexer.vector_files import importing, tables
from indexer.vector_files.importing import import_vectors
from service import Lake
from tests.fakes import ColourEmbedder
from tests.indexer.vector_files.files import GREEN, PINK, RED, Part, clip_folder, vector_table
from tests.lakes import png, write


def colours() -> Embedder:
    return ColourEmbedder()


def found(lake: Path, vector: Sequence[float]) -> list[tuple[str, float]]:
    """Uris and scores, best first."""
    with Lake.open(lake) as opened:
        hits = opened.search(vector=np.array(vector, np.float32), k=None)
        return [(hit.uri, round(hit.score, 3)) for hit in hits]


def skipped(lake: Path) -> list[tuple[str, str]]:
    layout = Layout(lake)
    rows = read_skipped(layout, read_manifest(layout)[0]).to_pylist()
    return [(row["uri"], row["reason"]) for row in rows]


def columns_of(lake: Path, uri: str) -> dict[str, Any]:
    with Lake.open(lake) as opened:
        return next(row.columns for row in opened.browse() if row.uri == uri)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_clip_retrievals_folder_becomes_a_lake_of_unit_vectors(tmp_path: Path, dtype: str) -> None:
    parts: list[Part] = [
        ([RED, PINK], {"image_path": ["/p/red.jpg", "sub/pink.jpg"], "caption": ["a", None]}),
        ([GREEN], {"image_path": ["/p/green.jpg"], "caption": ["c"]}),
    ]
    source, lake = clip_folder(tmp_path / "emb", parts, dtype), tmp_path / "my.lake"
    report = import_vectors(lake, source)
    assert (report.new, report.rows, report.newly_skipped) == (3, 3, [])
    # 3, 0, 4 has the length 5; a relative path starts at the folder that was named
    pink = f"{source}/sub/pink.jpg"
    assert found(lake, (1, 0, 0)) == [("/p/red.jpg", 1.0), (pink, 0.6), ("/p/green.jpg", 0.0)]
    row = columns_of(lake, "/p/red.jpg")
    assert (row["row_id"], row["caption"], row["source"]) == (1, "a", str(source))
    assert (row["sha256"], row["phash"], row["width_px"], row["size_bytes"]) == (
        None,
        None,
        None,
        0,
    )


def test_img2datasets_shards_are_named_by_url_and_our_names_are_not_hidden(tmp_path: Path) -> None:
    columns = {
        "image_path": ["000000001", "000000002"],
        "url": ["https://x.example/1.jpg", "https://x.example/2.jpg"],
        "sha256": ["aa", "bb"],
        "Caption": ["one", "two"],
        "width": [640, 480],
        "similarity": pa.array([0.25, 0.5], pa.float32()),
    }
    lake = tmp_path / "my.lake"
    import_vectors(lake, clip_folder(tmp_path / "emb", [([RED, GREEN], columns)]))
    row = columns_of(lake, "https://x.example/2.jpg")
    assert (row["own_sha256"], row["caption"], row["sha256"]) == ("bb", "two", None)
    assert (row["image_path"], row["width"], row["similarity"]) == ("000000002", 480, 0.5)
    with Lake.open(lake) as opened:
        assert [hit.row_id for hit in opened.search(row_id=1, where="width < 500")] == [2]


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float32()),
        pa.large_list(pa.float64()),
        pa.list_(pa.float16()),
        pa.list_(pa.float32(), 3),
    ],
)
def test_any_list_of_decimals_in_parquet_is_a_vector(tmp_path: Path, kind: pa.DataType) -> None:
    values = [np.array(each, kind.value_type.to_pandas_dtype()) for each in (RED, PINK)]
    file = vector_table(tmp_path / "v.parquet", values, kind, path=["a.jpg", "b.jpg"])
    import_vectors(tmp_path / "my.lake", file, images=Path("/photos"))
    assert found(tmp_path / "my.lake", (1, 0, 0)) == [("/photos/a.jpg", 1), ("/photos/b.jpg", 0.6)]


def test_rows_without_a_vector_that_points_somewhere_are_skips_with_reasons(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    vectors = [RED, (nan, 0, 0), (0, 0, 0), None, (1, 2), (inf, 0, 0), (0, 1, None), GREEN, GREEN]
    paths = [*(f"/p/{n}.jpg" for n in range(8)), None]
    file = vector_table(tmp_path / "v.parquet", vectors, path=paths)
    lake = tmp_path / "my.lake"
    report = import_vectors(lake, file)
    assert [uri for uri, _ in found(lake, (1, 0, 0))] == ["/p/0.jpg", "/p/7.jpg"]
    no_number = "its vector holds what is no finite number"
    assert skipped(lake) == [
        (f"{file}#row=1", f"/p/1.jpg: {no_number}"),
        (f"{file}#row=2", "/p/2.jpg: its vector is all zeros"),
        (f"{file}#row=3", "/p/3.jpg: it has no vector"),
        (f"{file}#row=4", "/p/4.jpg: its vector has 2 numbers, where others have 3"),
        (f"{file}#row=5", f"/p/5.jpg: {no_number}"),
        (f"{file}#row=6", f"/p/6.jpg: {no_number}"),
        (f"{file}#row=8", "it names no image"),
    ]
    assert (report.new, report.skipped, report.newly_skipped) == (2, 7, skipped(lake))


def test_of_two_rows_of_an_image_the_first_with_a_vector_counts(tmp_path: Path) -> None:
    vectors = [(0, 0, 0), RED, GREEN, PINK]
    file = vector_table(tmp_path / "v.parquet", vectors, path=["/a", "/a", "/b", "/x/../a"])
    lake = tmp_path / "my.lake"
    import_vectors(lake, file)
    assert found(lake, (1, 0, 0)) == [("/a", 1.0), ("/b", 0.0)]
    assert [reason for _, reason in skipped(lake)] == [
        "/a: its vector is all zeros",
        "/a: another row names this image, and one row an image is kept: the first",
    ]


def test_columns_of_another_type_in_a_later_file_widen(tmp_path: Path) -> None:
    folder = tmp_path / "tables"
    vector_table(folder / "1.parquet", [RED], path=["/a"], n=[1], when=["x"])
    vector_table(folder / "2.parquet", [GREEN], path=["/b"], n=[0.5], raw=[b"\xff\x00"])
    lake = tmp_path / "my.lake"
    import_vectors(lake, folder)
    manifest = read_manifest(Layout(lake))[0]
    assert manifest.columns == {"n": "double", "when": "string"}
    assert [columns_of(lake, uri)["n"] for uri in ("/a", "/b")] == [1.0, 0.5]


def test_rows_in_many_batches_and_segments_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 7)
    monkeypatch.setattr(importing, "SEGMENT_BYTES", 20 * 6)  # 20 rows of 3 halves
    angles = np.linspace(0, np.pi / 2, 60)
    vectors = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    file = vector_table(
        tmp_path / "v.parquet", list(vectors), path=[f"/p/{n}.jpg" for n in range(60)]
    )
    lake = tmp_path / "my.lake"
    import_vectors(lake, file)
    assert [entry.rows for entry in read_manifest(Layout(lake))[0].segments] == [21, 21, 18]
    assert [uri for uri, _ in found(lake, (1, 0, 0))] == [f"/p/{n}.jpg" for n in range(60)]


def test_the_model_is_tried_on_the_images_that_are_there(tmp_path: Path) -> None:
    write(tmp_path / "red.png", png((255, 0, 0)))
    write(tmp_path / "green.png", png((0, 255, 0)))
    paths = ["red.png", "green.png", "gone.png"]
    # red as the model has it; what is called green has the cosine 0.96 with green
    file = vector_table(tmp_path / "v.parquet", [RED, (0.7, 2.4, 0), PINK], path=paths)
    lake = tmp_path / "my.lake"
    report = import_vectors(lake, file, colours)
    assert report.notes == [
        "colours embedded 2 images again: cosine 0.980 in the middle, 0.960 at least, with the vector that it came with"
    ]
    manifest = read_manifest(Layout(lake))[0]
    assert (manifest.model_id, manifest.fingerprint["vectors"]) == ("colours", "imported")
    with Lake.open(lake, ColourEmbedder()) as opened:
        assert [hit.row_id for hit in opened.search("green", k=1)] == [2]
    with (
        Lake.open(lake, ColourEmbedder(weights="1")) as other,
        pytest.raises(
            WrongModel, match=r"colours \(weights 0\), but this is colours \(weights 1\)"
        ),
    ):
        other.search("green")


def test_a_model_that_did_not_make_them_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "red.png", png((255, 0, 0)))
    file = vector_table(tmp_path / "v.parquet", [GREEN], path=["red.png"])
    with pytest.raises(BadRequest) as error:
        import_vectors(tmp_path / "my.lake", file, colours)
    assert str(error.value) == (
        "--model: colours embedded 1 image again: cosine 0.000 in the middle, 0.000 at least; name the model that "
        "made these vectors, or leave --model out"
    )
    wide = vector_table(tmp_path / "w.parquet", [(1, 2, 3, 4)], path=["red.png"])
    with pytest.raises(DimensionMismatch, match="vectors have 4 dimensions, the model has 3"):
        import_vectors(tmp_path / "my.lake", wide, colours)
    assert not (tmp_path / "my.lake").exists()


def test_where_no_image_can_be_read_the_model_is_taken_on_your_word(tmp_path: Path) -> None:
    file = vector_table(tmp_path / "v.parquet", [RED], path=["gone.png"])
    report = import_vectors(tmp_path / "my.lake", file, colours)
    assert report.notes == [
        "none of the images looked for can be read here, so that colours made the vectors is taken on your word"
    ]


def test_a_lake_without_a_model_answers_by_row_and_vector_and_says_why_not_by_text(
    tmp_path: Path,
) -> None:
    file = vector_table(tmp_path / "v.parquet", [RED, PINK], path=["/a", "/b"])
    lake = tmp_path / "my.lake"
    import_vectors(lake, file)
    with Lake.open(lake) as opened:
        assert [hit.row_id for hit in opened.search(row_id=2)] == [2, 1]
        with pytest.raises(ModelUnknown) as error:
            opened.search("red")
    assert str(error.value) == (
        f"{lake} has vectors whose model nobody named, so neither texts nor images can be made into such; ask by row "
        "or by vector, or import them into a new lake with `lakesift import --model NAME`"
    )


def resync(lake: Path, *recompute: str, add: Sequence[SourceEntry] = ()) -> SyncReport:
    def load(_: object) -> Embedder:
        raise AssertionError("the model was loaded")

    config = IndexConfig(decoders=1, readers=1)
    return sync(lake, load, recompute=recompute, add=add, config=config)


def test_sync_leaves_imported_rows_alone_and_recompute_reads_their_images(tmp_path: Path) -> None:
    write(tmp_path / "red.png", png((255, 0, 0), (6, 4)))
    file = vector_table(tmp_path / "v.parquet", [RED, GREEN], path=["red.png", "gone.png"])
    lake = tmp_path / "my.lake"
    import_vectors(lake, file)
    file.unlink()
    report = resync(lake)
    assert (report.rows, report.gone, report.problems) == (2, 0, [])
    report = resync(lake, "width_px")
    assert (report.recomputed, [uri for uri, _ in report.not_recomputed]) == (
        1,
        [f"{tmp_path}/gone.png"],
    )
    row = columns_of(lake, f"{tmp_path}/red.png")
    assert (row["row_id"], row["width_px"], row["height_px"], row["format"]) == (1, 6, 4, "png")
    assert row["sha256"] is not None
    assert found(lake, (1, 0, 0))[0] == (f"{tmp_path}/red.png", 1.0)


def test_images_cannot_be_added_to_a_lake_whose_model_nobody_named(tmp_path: Path) -> None:
    lake = tmp_path / "my.lake"
    import_vectors(lake, vector_table(tmp_path / "v.parquet", [RED], path=["/a"]))
    write(tmp_path / "photos" / "red.png", png((255, 0, 0)))
    with pytest.raises(ModelUnknown):
        resync(lake, add=[SourceEntry(str(tmp_path / "photos"))])
    assert [entry.kind for entry in read_manifest(Layout(lake))[0].sources] == ["imported"]


def test_photos_and_imported_vectors_of_one_model_share_a_lake(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "red.png", png((255, 0, 0)))
    lake = tmp_path / "my.lake"
    config = IndexConfig(decoders=1, readers=1)
    sync(lake, lambda _: colours(), add=[SourceEntry(str(tmp_path / "photos"))], config=config)
    file = vector_table(tmp_path / "v.parquet", [RED, GREEN], path=["photos/red.png", "/b"])
    with pytest.raises(BadRequest, match="has vectors of colours; name it, if it made these"):
        import_vectors(lake, file)
    import_vectors(lake, file, colours)
    photo = f"{tmp_path}/photos/red.png"
    assert found(lake, (1, 0, 0)) == [(photo, 1.0), ("/b", 0.0)]
    assert [reason for _, reason in skipped(lake)] == [
        f"{photo}: the lake has a row of this image already, which is kept"
    ]
    with pytest.raises(BadRequest, match=r"is a source of .* already"):
        import_vectors(lake, file, colours)


def test_an_import_that_is_stopped_or_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 2)
    monkeypatch.setattr(importing, "SEGMENT_BYTES", 12)
    file = vector_table(tmp_path / "v.parquet", [RED] * 6, path=[f"/{n}" for n in range(6)])
    calls = iter([False, False, True])
    report = import_vectors(tmp_path / "my.lake", file, should_stop=lambda: next(calls))
    assert (report.interrupted, report.new, report.snapshot) == (True, 0, 0)
    assert not (tmp_path / "my.lake").exists()
    lake = tmp_path / "old.lake"
    import_vectors(lake, vector_table(tmp_path / "o.parquet", [RED], path=["/o"]), colours)
    before = sorted(path.name for path in (lake / "segments").iterdir())
    monkeypatch.setattr(importing, "publish", lambda *_: (_ for _ in ()).throw(OSError(28, "x")))
    with pytest.raises(Exception, match="nothing was imported"):
        import_vectors(lake, file, colours)
    assert sorted(path.name for path in (lake / "segments").iterdir()) == before


def broken(tmp_path: Path, what: str) -> Path:
    folder = tmp_path / what
    if what == "no table":
        (clip_folder(folder, [([RED], {"url": ["u"]})]) / "metadata/metadata_0.parquet").unlink()
    elif what == "fewer rows":
        clip_folder(folder, [([RED, RED], {"url": ["u"]})])
    elif what == "pickled":
        clip_folder(folder, [([RED], {"url": ["u"]})])
        np.save(folder / "img_emb/img_emb_0.npy", np.array([{}], object), allow_pickle=True)
    elif what == "cut short":
        clip_folder(folder, [([RED] * 99, {"url": ["u"] * 99})])
        npy = folder / "img_emb/img_emb_0.npy"
        npy.write_bytes(npy.read_bytes()[:-5])
    elif what == "of two widths":
        vector_table(folder / "1.parquet", [RED], path=["/a"])
        vector_table(folder / "2.parquet", [(1, 2)], path=["/b"])
    elif what == "without names":
        vector_table(folder / "1.parquet", [RED], place=["/a"])
    elif what == "all zeros":
        vector_table(folder / "1.parquet", [(0, 0, 0)], path=["/a"])
    elif what == "a picture":
        return write(tmp_path / "a.png", png((255, 0, 0)))
    return folder


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no table", "img_emb_0.npy: there is no metadata_0.parquet for it in "),
        ("fewer rows", "it has 2 vectors, .* 1 rows; they belong together row by row"),
        ("pickled", "NumPy cannot read it"),
        ("cut short", "NumPy cannot read it"),
        ("of two widths", "2.parquet: its vectors have 2 dimensions, those of .*1.parquet 3"),
        ("without names", "no column names the images .* there are place"),
        ("all zeros", "none of its 1 row can be imported, as .*: its vector is all zeros"),
        ("a picture", "there are no vectors in it; give a folder with img_emb"),
        ("not there", "there is no such file or folder on this disk"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence_and_no_lake(
    tmp_path: Path, what: str, said: str
) -> None:
    with pytest.raises(SourceError, match=said):
        import_vectors(tmp_path / "my.lake", broken(tmp_path, what))
    assert not (tmp_path / "my.lake").exists()


def test_of_several_lists_the_column_of_vectors_is_named(tmp_path: Path) -> None:
    table = {"a": [list(RED)], "b": [list(GREEN)], "url": ["u"]}
    pq.write_table(pa.table(table), tmp_path / "v.parquet")
    lake, file = tmp_path / "my.lake", tmp_path / "v.parquet"
    with pytest.raises(BadRequest, match=r"--vector: name the column .*; there are a, b"):
        import_vectors(lake, file)
    with pytest.raises(BadRequest, match=r"--vector: the column 'url' .* holds no vectors"):
        import_vectors(lake, file, vector="url")
    with pytest.raises(BadRequest, match=r"--uri: .* has no column 'uri'; there are a, url"):
        import_vectors(lake, file, vector="b", uri="uri")
    import_vectors(lake, file, vector="b", uri="url")
    assert found(lake, (0, 1, 0)) == [(f"{tmp_path}/u", 1.0)]


def test_roots_that_move_house_leave_imported_rows_where_they_are_said_to_be(
    tmp_path: Path,
) -> None:
    lake, file = tmp_path / "my.lake", tmp_path / "old" / "v.parquet"
    import_vectors(lake, vector_table(file, [RED], path=["/p/a"]))
    config = IndexConfig(decoders=1, readers=1)
    old, new = f"{tmp_path}/old/", f"{tmp_path}/new/"
    for _ in range(2):  # the second finds what the first wrote
        report = sync(lake, lambda _: colours(), roots={old: new}, config=config)
        assert (report.rows, report.gone) == (1, 0)
    with pytest.raises(BadRequest, match=r"--root: /q/a would be that of an imported row"):
        sync(lake, lambda _: colours(), roots={"/p/": "/q/"}, config=config)
    assert found(lake, (1, 0, 0)) == [("/p/a", 1.0)]


def test_a_list_too_long_for_a_vector_is_refused(tmp_path: Path) -> None:
    file = vector_table(tmp_path / "v.parquet", [[1.0] * 65_537], path=["/a"])
    with pytest.raises(SourceError, match="have 65,537 dimensions; no model has more than 65,536"):
        import_vectors(tmp_path / "my.lake", file)


def test_a_lake_made_before_there_were_kinds_of_sources_is_read(tmp_path: Path) -> None:
    lake = tmp_path / "my.lake"
    import_vectors(lake, vector_table(tmp_path / "v.parquet", [RED], path=["/a"]))
    fields = json.loads((lake / "manifest.json").read_bytes())
    del fields["sources"][0]["kind"], fields["checksum"]
    written = json.dumps({**fields, "checksum": checksum_of(fields)}).encode()
    assert Manifest.from_json(written, "x").sources == (SourceEntry(f"{tmp_path}/v.parquet"),)
