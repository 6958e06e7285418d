"""Tags of a lake: by rows, where and query; in searches, facets and rows; through syncs, copies."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import BadRequest, LakeDamaged, LakeError, UnknownRow, WhereError
from indexer.run.writing.compact import vacuum_lake
from service.lake import Lake
from service.search.facets import Facet, Value
from service.search.query import Query
from service.search.tagging import Tagged
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, write
from tests.service.lakes import Maker


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Row 1 is red, 2 green, 3 blue, 4 reddish; each a segment of its own."""
    made = Maker(tmp_path / "my.lake")
    for vector, camera in (((1, 0, 0), "a"), ((0, 1, 0), "a"), ((0, 0, 1), "b"), ((2, 1, 0), "b")):
        made.add(vector, camera=camera)
        made.segment()
    return made.open()


def rows(lake: Lake, where: str) -> list[int]:
    return [row.row_id for row in lake.browse(where)]


def test_images_are_chosen_by_rows_where_or_query(lake: Lake) -> None:
    assert lake.tag("first", 1) == Tagged("first", 1, (), 1)
    assert lake.tag("some", [4, 2, 2]) == Tagged("some", 2, (), 2)
    assert lake.tag("b", where="camera = 'b'") == Tagged("b", 2, (), 3)
    red = Query.of("red").with_options({"k": 2})
    assert lake.tag("red", query=red) == Tagged("red", 2, (), 4)
    assert lake.tags() == {"b": 2, "first": 1, "red": 2, "some": 2}
    assert rows(lake, "tag = 'red'") == [1, 4]
    assert rows(lake, "tag = 'some' AND camera = 'a'") == [2]
    assert lake.tag("none", where="camera = 'z'") == Tagged("none", 0, (), None)
    assert [hit.row_id for hit in lake.search("red", where="NOT tag = 'red'")] == [2, 3]


def test_a_query_without_examples_means_all_rows_that_pass(lake: Lake) -> None:
    assert lake.tag("a", query=Query(where="camera = 'a'", k=1)).rows == 2
    with pytest.raises(BadRequest, match="it asks for nothing"):
        lake.tag("a", query=Query())


def test_a_tag_is_taken_from_some_or_from_all(lake: Lake) -> None:
    lake.tag("night", [1, 2, 3])
    assert lake.untag("Night", [2, 4]) == Tagged("night", 1, (), 2)
    assert rows(lake, "tag = 'night'") == [1, 3]
    assert lake.untag("night", where="camera = 'z'") == Tagged("night", 0, (), None)
    assert lake.untag("night") == Tagged("night", 2, (), 3)
    assert lake.tags() == {}
    with pytest.raises(BadRequest) as unknown:
        lake.untag("night")
    assert str(unknown.value) == "name: no image has the tag night; the tags are: none"
    undone = lake.undo_tag()
    assert undone is not None and (undone.seq, undone.tag) == (3, "night")
    assert lake.tags() == {"night": 2}


def test_rows_that_are_gone_lose_their_tag_untold(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour in (("a.png", RED), ("b.png", GREEN), ("c.png", BLUE)):
        desk.add(name, colour)
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        lake.tag("night", [1, 2, 3])
    (desk.photos / "b.png").unlink()
    desk.sync()
    with Lake.open(desk.lake, desk.model) as lake:
        assert lake.tags() == {"night": 2}
        assert lake.untag("night") == Tagged("night", 2, (), 2)
        assert lake.snapshot.tags().names == []


def test_what_is_wrong_is_one_sentence_and_nothing_else_is_lost(lake: Lake) -> None:
    assert lake.tag("night", [1, 99, 2, -5, 2**60]) == Tagged("night", 2, (99, -5, 2**60), 1)
    with pytest.raises(UnknownRow, match="has no row 99; it may have gone"):
        lake.tag("night", [99, 98])
    for wrong in ({}, {"rows": [1], "where": "camera = 'a'"}):
        with pytest.raises(BadRequest, match="rows: "):
            lake.tag("night", **wrong)  # type: ignore[arg-type]
    with pytest.raises(WhereError):
        lake.tag("night", where="nonsense >")
    assert lake.tags() == {"night": 2}


def test_rows_carry_their_tags_once_somebody_tagged(lake: Lake) -> None:
    assert "tags" not in lake.search("red")[0].columns
    lake.tag("night", [1, 2])
    lake.tag("Rain", [1])
    hits = lake.search("red", k=None)
    assert {hit.row_id: hit.columns["tags"] for hit in hits} == {
        1: ["night", "Rain"], 2: ["night"], 3: None, 4: None,
    }  # fmt: skip
    assert hits[0].to_json()["columns"]["tags"] == ["night", "Rain"]
    assert "tags" not in hits[-1].to_json()["columns"]
    assert [row.columns["tags"] for row in lake.browse("row_id < 3")] == [
        ["night", "Rain"],
        ["night"],
    ]


def test_lines_of_a_stream_have_the_tags_of_its_hits(lake: Lake) -> None:
    from service.search.search import Lines

    lake.tag("night", [1, 3])
    asked = lake.understand(Query.of("red").with_options({"k": None}))
    lines = b"".join(Lines(asked)).splitlines()
    assert [json.loads(line) for line in lines] == [
        hit.to_json() for hit in lake.search("red", k=None)
    ]


def test_facets_count_tags_and_leave_their_own_condition_out(lake: Lake) -> None:
    assert [facet.name for facet in lake.facets().facets if facet.name == "tag"] == []
    lake.tag("night", [1, 2, 3])
    lake.tag("rain", [3])
    (facet,) = lake.facets(columns=["tag"]).facets
    assert facet == Facet("tag", "lists", 3, 1, (Value("night", 3), Value("rain", 1)))
    found = lake.facets("tag = 'rain' AND camera = 'b'", ["tag", "camera"], values=1)
    assert found.rows == 1
    assert found.facets[0] == Facet("tag", "lists", 1, 1, (Value("night", 1),), more_values=1)
    assert found.facets[1] == Facet("camera", "values", 1, 0, (Value("b", 1),))
    assert lake.facets().facets[0].name == "tag"


def test_a_damaged_log_is_told_where_tags_are_asked_for_and_hides_no_row(lake: Lake) -> None:
    lake.tag("night", [1])
    log = lake.folder / "tags" / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b"night", b"right"))
    with Lake.open(lake.folder, ColourEmbedder()) as damaged:
        assert [hit.row_id for hit in damaged.search("red", k=1)] == [1]
        assert "tag" not in [facet.name for facet in damaged.facets().facets]
        for ask in (
            lambda: damaged.tags(),
            lambda: damaged.search("red", where="tag = 'night'"),
            lambda: damaged.facets(columns=["tag"]),
            lambda: damaged.tag("night", [1]),
        ):
            with pytest.raises(LakeDamaged, match="--mend"):
                ask()


def test_a_column_of_single_values_is_wanted_where_tags_are_a_list(lake: Lake) -> None:
    with pytest.raises(BadRequest, match="tag is a list; name a column of single values"):
        lake.search("red", max_per=("tag", 1))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes anywhere")
def test_a_lake_that_cannot_be_written_is_a_sentence(lake: Lake) -> None:
    lake.folder.chmod(0o555)
    try:
        with pytest.raises(LakeError, match=r"cannot be written \(Permission denied\)"):
            lake.tag("night", [1])
    finally:
        lake.folder.chmod(0o755)


def test_tags_stay_through_syncs_moves_copies_and_vacuum(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        desk.add(f"{name}.png", colour)
    desk.index()
    with Lake.open(desk.lake, ColourEmbedder()) as lake:
        number = {Path(row.uri).name: row.row_id for row in lake.browse()}
        lake.tag("keep", [number["a.png"], number["b.png"]])
        (desk.photos / "new").mkdir()
        (desk.photos / "a.png").rename(desk.photos / "new" / "z.png")  # moved: its row_id stays
        (desk.photos / "b.png").unlink()  # gone, and its tag with it
        desk.add("d.png", YELLOW)
        desk.index()
        lake.reload()
        assert lake.tags() == {"keep": 1}
        assert [Path(row.uri).name for row in lake.browse("tag = 'keep'")] == ["z.png"]
    vacuum_lake(desk.lake, keep_s=0)
    copy = tmp_path / "copy.lake"
    shutil.copytree(desk.lake, copy)
    with Lake.open(copy, ColourEmbedder()) as lake:
        assert lake.tags() == {"keep": 1}


def test_a_users_own_columns_tag_and_tags_stay_theirs(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour in (("a", RED), ("b", GREEN)):
        desk.add(f"{name}.png", colour)
        write(
            desk.photos / f"{name}.json", json.dumps({"tag": name, "tags": f"own {name}"}).encode()
        )
    desk.index()
    with Lake.open(desk.lake, ColourEmbedder()) as lake:
        lake.tag("night", where="tag = 'a'")
        (row,) = lake.browse("lakesift_tag = 'night'")
        assert {name: row.columns[name] for name in ("tag", "tags", "lakesift_tags")} == {
            "tag": "a", "tags": "own a", "lakesift_tags": ["night"],
        }  # fmt: skip
        names = [facet.name for facet in lake.facets(columns=["lakesift_tag", "tag"]).facets]
        assert names == ["lakesift_tag", "tag"]


def test_many_rows_take_little_room_and_are_read_once(tmp_path: Path) -> None:
    from service.tags.book import TagBook

    rng = np.random.default_rng(7)
    some = np.flatnonzero(rng.random(300_000) < 0.5) + 1
    TagBook(tmp_path / "tags").add("half", some)
    book = TagBook(tmp_path / "tags")
    assert book.tags().rows("half").tolist() == some.tolist()
    assert book.tags() is book.tags()
    size = sum(path.stat().st_size for path in (tmp_path / "tags").iterdir())
    assert size < len(some)  # less than a byte a row
