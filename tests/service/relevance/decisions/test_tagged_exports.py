"""What is handed over says what people call it. Rows 1 and 2 are kept; 1 has tags, 2 has none."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from indexer.errors import BadRequest, LakeDamaged, WhereError
from service.lake import Lake
from service.relevance import Filter, Filters, Target
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Lake, Filter]]:
    desk = Desk(tmp_path)
    for name, colour in (("a", RED), ("b", YELLOW), ("c", GREEN), ("d", BLUE)):
        desk.add(f"{name}.png", colour)
    desk.index()
    with Lake.open(desk.lake, ColourEmbedder()) as lake:
        filters = Filters(lake)
        mine = filters.create("mine", keep_texts=["red"], target=Target(0.5, None, 0.5))
        while rows := mine.next(50, "audit")["rows"]:
            labels: list[Any] = [
                {"row_id": row["row_id"], "label": "yes" if row["row_id"] < 3 else "no"}
                for row in rows
            ]
            mine.label(labels)
        assert not mine.apply()["refused"]
        assert mine.decided("keep")["row_id"].to_pylist() == [1, 2]
        yield lake, mine


def test_without_tags_there_is_no_column(made: tuple[Lake, Filter], tmp_path: Path) -> None:
    made[1].decisions.export("csv", tmp_path / "kept.csv")
    assert "tags" not in (tmp_path / "kept.csv").read_text().splitlines()[0].split(",")


def test_tables_and_json_have_a_column_of_tags(made: tuple[Lake, Filter], tmp_path: Path) -> None:
    lake, mine = made
    lake.tag("night", [1, 3])
    lake.tag("Late shift", [1])
    told = ["Late shift", "night"]
    mine.decisions.export("csv", tmp_path / "kept.csv")
    with (tmp_path / "kept.csv").open(encoding="utf-8", newline="") as file:
        assert [row["tags"] for row in csv.DictReader(file)] == ['["Late shift","night"]', ""]
    mine.decisions.export("parquet", tmp_path / "kept.parquet")
    assert pq.read_table(tmp_path / "kept.parquet")["tags"].to_pylist() == [told, None]
    mine.decisions.export("coco", tmp_path / "kept.json")
    images = json.loads((tmp_path / "kept.json").read_bytes())["images"]
    assert [image.get("columns") for image in images] == [{"tags": told}, None]
    mine.decisions.export("label_studio", tmp_path / "tasks.json")
    tasks = [
        task
        for path in sorted(tmp_path.glob("tasks-*.json"))
        for task in json.loads(path.read_bytes())
    ]
    assert [task["data"].get("tags") for task in tasks] == [told, None]
    mine.decisions.export("fiftyone", tmp_path / "fo")
    labels = json.loads((tmp_path / "fo" / "labels.json").read_bytes())["labels"]
    assert labels["1"]["attributes"]["columns"] == {"tags": told}
    assert "columns" not in labels["2"]["attributes"]


def test_an_export_is_refused_where_the_tags_are_damaged(
    made: tuple[Lake, Filter], tmp_path: Path
) -> None:
    lake, mine = made
    lake.tag("night", [1])
    log = lake.folder / "tags" / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b"night", b"right"))
    with pytest.raises(LakeDamaged, match="--mend"):
        mine.decisions.export("csv", tmp_path / "kept.csv")
    assert not (tmp_path / "kept.csv").exists()


def test_a_filter_is_not_made_of_tags(made: tuple[Lake, Filter]) -> None:
    lake, _ = made
    lake.tag("night", [1])
    with pytest.raises(WhereError, match="tag is not for filters"):
        Filters(lake).create("tagged", keep_texts=["red"], where="tag = 'night'")


def test_with_other_tags_it_is_another_export(made: tuple[Lake, Filter], tmp_path: Path) -> None:
    lake, mine = made
    for format, is_told in (("csv", True), ("txt", False)):
        out = tmp_path / f"kept.{format}"
        mine.decisions.export(format, out)
        lake.tag("night", [1])
        if is_told:
            with pytest.raises(BadRequest, match="tags none and not 1"):
                mine.decisions.export(format, out)
        else:
            mine.decisions.export(format, out)
        mine.decisions.export(format, out, overwrite=True)
