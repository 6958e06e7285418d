from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import strangeness
from indexer.arrays import Vectors


def test_it_plants_what_it_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lakes: list[Vectors] = []

    def told(vectors: Vectors) -> set[int]:
        lakes.append(vectors)
        return {2, 4, 7, 8, 200}

    monkeypatch.setattr(strangeness, "_told", told)
    assert strangeness.main(["--runs", "2", "--rows", "300"]) == 0
    *lines, document = capsys.readouterr().out.splitlines()
    # Of rows 1 to 3 one is told, of 4 to 7 two, and two others.
    assert lines[2] == "| like photos | 300 | 2 of 2 | 33% | 50% | 2.00 |"
    assert [each["kind"] for each in json.loads(document)["told"]] == list(strangeness.KINDS)
    for before, after in zip(lakes[::2], lakes[1::2], strict=True):
        assert np.flatnonzero((before != after).any(axis=1)).tolist() == list(range(7))
        near = after[3:7] @ after[3:7].T
        assert near.min() > 0.85 > (after[:3] @ after[:3].T)[0, 1]


def test_a_run_tells_of_a_real_lake() -> None:
    nothing, single, alike, besides = strangeness._run("skewed", 1_000, 0)
    assert nothing <= 2 and besides <= 2
    assert (single, alike) == (3, 4)
