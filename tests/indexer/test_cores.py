"""Threads are as many as the cores that a job was given, not as the machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexer import cores

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a matter of Linux")
def test_a_job_that_was_given_one_core_uses_one() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from indexer.cores import usable_cores
from indexer.run.embedding.pipeline import default_decoders
from service.snapshot.threads import pool
print(usable_cores(), default_decoders(), pool()._max_workers)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "1 1 1\n", done.stderr


@pytest.mark.parametrize(
    "limit, wanted", [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("", 8)]
)
def test_a_quota_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, wanted: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(cores, "Path", lambda _: tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cores.usable_cores.__wrapped__() == wanted


@pytest.mark.parametrize(("said", "wanted"), [("1", 1), ("0", 1), ("999999", None), ("many", None)])
def test_fewer_cores_are_used_where_that_is_said(
    said: str, wanted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None: all that there are."""
    there = cores.usable_cores.__wrapped__()
    monkeypatch.setenv("LAKESIFT_CORES", said)
    assert cores.usable_cores.__wrapped__() == (wanted or there)
