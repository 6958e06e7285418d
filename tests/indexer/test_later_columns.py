"""A lake whose user had a column of a name that became ours: it stays theirs, as own_NAME."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from indexer.disk.layout import Layout
from indexer.disk.manifest import publish
from indexer.disk.rows import LATER_COLUMNS
from indexer.disk.segment import Segment, SegmentWriter
from indexer.run.writing.compact import compact_lake
from service.lake import Lake
from service.snapshot import row_cache
from tests.lakes import BLUE, GREEN, RED, Desk, write

NAME = "quality_sharpness"


def make_old(desk: Desk, values: dict[str, Any]) -> None:
    """What a lakesift that knew no LATER_COLUMNS made: the user's own value stands under NAME."""
    layout = Layout(desk.lake)
    manifest = desk.manifest
    [entry] = manifest.segments
    segment = Segment(layout, entry)
    [table] = segment.row_groups()
    names = [n for n in table.column_names if n not in LATER_COLUMNS and n != f"own_{NAME}"]
    own = pa.array([values[Path(uri).name] for uri in table["uri"].to_pylist()])
    old = SegmentWriter(layout, manifest.dim)
    old.add_rows(table.select(names).append_column(NAME, own))
    old.add_vectors(segment.vectors.take(np.arange(entry.rows)))
    columns = {NAME: str(own.type)}
    publish(layout, replace(manifest, segments=(old.finish(),), columns=columns))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    for name, colour in (("a", RED), ("b", GREEN)):
        desk.add(f"{name}.png", colour)
        write(desk.photos / f"{name}.json", f'{{"{NAME}": "{name} sharp"}}'.encode())
    desk.index()
    return desk


def seen(desk: Desk) -> dict[str, tuple[Any, Any]]:
    return {name: (row[f"own_{NAME}"], row[NAME]) for name, row in sorted(desk.rows().items())}


def test_a_new_lake_has_both_beside_each_other(desk: Desk) -> None:
    assert seen(desk) == {"a.png": ("a sharp", 0.0), "b.png": ("b sharp", 0.0)}
    assert desk.idle_sync().unchanged == 2
    assert seen(desk) == {"a.png": ("a sharp", 0.0), "b.png": ("b sharp", 0.0)}


OLD_VALUES = [
    {"a.png": "a sharp", "b.png": "b sharp"},
    {"a.png": 0.25, "b.png": 8.5},  # of the very type that ours have
    {"a.png": 1, "b.png": 2},
]


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("values", OLD_VALUES, ids=str)
def test_an_old_lake_is_read_with_the_users_column_under_its_new_name(
    desk: Desk, values: dict[str, Any], in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old(desk, values)
    if not in_memory:  # twice: the first look writes the table that the second one maps
        monkeypatch.setattr(row_cache, "IN_MEMORY_BELOW_BYTES", 0)
        Lake.open(desk.lake).close()
    old = {"a.png": (values["a.png"], None), "b.png": (values["b.png"], None)}
    assert seen(desk) == old
    with Lake.open(desk.lake) as lake:
        assert lake.snapshot.schema.names[-1] == f"own_{NAME}"
        assert len(lake.browse(where=f"own_{NAME} IS NOT NULL AND {NAME} IS NULL")) == 2


@pytest.mark.parametrize("after", [compact_lake, lambda lake: None], ids=["compact", "as it is"])
@pytest.mark.parametrize("values", OLD_VALUES, ids=str)
def test_an_old_lake_is_synced(
    desk: Desk, values: dict[str, Any], after: Callable[[Path], object]
) -> None:
    make_old(desk, values)
    desk.add("c.png", BLUE)
    write(desk.photos / "c.json", f'{{"{NAME}": 7}}'.encode())
    assert (desk.sync().new, desk.sync().new) == (1, 0)
    after(desk.lake)
    own = {name: own for name, (own, _) in seen(desk).items()}
    kind = str(desk.manifest.columns[f"own_{NAME}"])
    as_one: Callable[[Any], Any] = {"string": str, "double": float, "int64": int}[kind]
    assert own == {name: as_one(value) for name, value in (values | {"c.png": 7}).items()}
    assert {ours for _, ours in seen(desk).values()} == {None, 0.0}

    report = desk.sync(recompute=["quality"])
    assert (report.recomputed, report.problems) == (2, [])
    assert seen(desk) == {name: (own[name], 0.0) for name in own}


def test_an_old_lakes_table_goes_on_being_its_table(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    table = write(tmp_path / "t.csv", f"path,{NAME}\na.png,3\n".encode())
    desk.index(columns=table)
    assert seen(desk) == {"a.png": (3, 0.0)}
    make_old(desk, {"a.png": 3})
    write(table, f"path,{NAME}\na.png,4\n".encode())
    assert desk.idle_sync().problems == []
    assert seen(desk) == {"a.png": (4, None)}
