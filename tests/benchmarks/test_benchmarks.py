"""The benchmark command runs, and its last line is a document
that says what was measured on what.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import Measurement, in_turn, table

ROOT = Path(__file__).resolve().parents[2]


def test_a_quick_run_prints_a_table_and_one_document(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "resync",
        "where",
        "scoring",
        "search",
        "thumbnails",
        "soak",
        "--quick",
    ]
    run = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LAKESIFT_CACHE": str(tmp_path)},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "| what | measured | budget | met | note |"
    document = json.loads(lines[-1])
    assert document["quick"] is True
    assert document["hardware"]["cores"] >= 1 and document["hardware"]["cpu"]
    assert document["hardware"]["versions"]["faiss-cpu"]
    found = {m["name"]: m for m in document["measurements"]}
    assert len(found) == len(lines) - 3 == len(document["measurements"])
    assert found["images opened by it"]["value"] == 0
    assert found["images opened by it"]["met"] is True
    assert found["score by a linear scorer, 20,000 rows, 12 segments"]["value"] > 0
    kept = found["thumbnail, 256 px of 12 MP, kept"]
    assert 0 < kept["value"] < found["thumbnail, 256 px of 12 MP"]["value"]
    ratios = [m for name, m in found.items() if name.endswith("beside bare FAISS")]
    assert len(ratios) == 4
    assert all(m["value"] > 0 and m["unit"] == "times" and m["at_most"] == 1.1 for m in ratios)


def test_an_unknown_benchmark_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks", "indexng"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert (
        "there is no benchmark indexng; choose from indexing, resync, listing, shards" in run.stderr
    )


@pytest.mark.parametrize(
    ("measurement", "met", "line"),
    [
        (Measurement("a", 0.9, "", at_least=0.9), True, "| a | 0.9  | >= 0.9 | yes |  |"),
        (
            Measurement("b", 1.2, "times", at_most=1.1),
            False,
            "| b | 1.2 times | <= 1.1 | **no** |  |",
        ),
        (Measurement("c", 12345.6, "ms", note="why"), None, "| c | 12,346 ms |  |  | why |"),
    ],
)
def test_a_measurement_knows_its_budget(
    measurement: Measurement, met: bool | None, line: str
) -> None:
    assert measurement.met is met
    assert measurement.to_json()["met"] is met
    assert table([measurement]).splitlines()[2] == line


def test_jobs_run_in_turn_and_give_their_median_times() -> None:
    order: list[str] = []
    seconds = in_turn([lambda: order.append("a"), lambda: order.append("b")], rounds=3)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert len(seconds) == 2 and all(0 <= s < 0.1 for s in seconds)
