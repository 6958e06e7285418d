"""Real scores with their truth: what is read of a file,
and what is said of one that is not as it should be.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.real_scores import read


def test_chances_become_log_odds_and_stay_as_the_proxy(tmp_path: Path) -> None:
    path = tmp_path / "tacred.csv"
    path.write_text("id,label,proxy_score\n0,False,0.5\n1,True,0.8\n2,False,0\n")
    found = read(path)
    assert found.name == "tacred"
    assert found.relevant.tolist() == [False, True, False]
    # log(0.8 / 0.2) = log 4; a chance of 0 counts as 1e-12: 12 log 10 = 27.631
    assert found.scores == pytest.approx([0.0, 1.386294, -27.631021], abs=1e-5)
    assert found.proxy is not None
    assert found.proxy.tolist() == [0.5, 0.8, 0.0]


def test_scores_that_are_no_chances_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("score,label\n-3.5,0\n2,1.0\n")
    found = read(path)
    assert found.relevant.tolist() == [False, True]
    assert np.array_equal(found.scores, np.array([-3.5, 2], np.float32))
    assert found.proxy is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read as CSV"),
        ("id,label\n1,0\n", "expected the columns label and score or proxy_score"),
        ("score\n1\n", "expected the columns label and score or proxy_score"),
    ],
)
def test_other_files_are_refused_with_a_sentence(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    path = tmp_path / "odd.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit, match=sentence):
        read(path)
