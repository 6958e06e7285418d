"""Arrays that several processes see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import LakeError
from service.api.serving.shared_arrays import SharedArrays, number_of


def test_what_one_writes_the_other_sees(tmp_path: Path) -> None:
    first, second = SharedArrays(tmp_path, 0, 2), SharedArrays(tmp_path, 1, 2)
    ours = first.array("times", np.float64, (3, 2))
    assert ours.tolist() == [[0, 0], [0, 0], [0, 0]]
    ours[2, 1] = 0.5
    assert second.array("times", np.float64, (3, 2)).tolist() == [[0, 0], [0, 0], [0, 0.5]]
    assert second.array("others", np.float64, (3, 2)).sum() == 0
    first.alive[1] = 1
    assert second.alive.tolist() == [0, 1]


def test_alone_nothing_is_shared() -> None:
    first, second = SharedArrays(), SharedArrays()
    first.array("times", np.float64, (3,))[0] = 1
    assert second.array("times", np.float64, (3,)).sum() == 0
    with first.locked(), second.locked():
        assert first.is_alone and second.is_alone


def test_another_process_waits_for_the_lock(tmp_path: Path) -> None:
    arrays = SharedArrays(tmp_path, 0, 2)
    code = (
        "import fcntl, os, sys\n"
        "file = os.open(sys.argv[1], os.O_RDWR)\n"
        "try:\n    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except OSError:\n    sys.exit(7)\n"
    )

    def another() -> int:
        command = [sys.executable, "-I", "-c", code, str(tmp_path / "lock")]
        return subprocess.run(command, check=False).returncode

    with arrays.locked():
        assert another() == 7
    assert another() == 0


def test_a_number_stands_for_a_text_and_is_never_that_of_a_free_place() -> None:
    assert number_of("10.0.0.1") == number_of("10.0.0.1") != number_of("10.0.0.2")
    assert number_of("\udcff") > 0


def test_no_room_is_a_sentence(tmp_path: Path) -> None:
    arrays = SharedArrays(tmp_path, 0, 2)
    with pytest.raises(LakeError) as raised:
        arrays.array("vast", np.uint8, (2**62,))
    assert str(raised.value).startswith(f"{tmp_path} cannot hold what workers share (")
    assert str(raised.value).endswith("; TMPDIR names another folder for it")
