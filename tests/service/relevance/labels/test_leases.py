"""Rows that were handed to one person are kept from others, and not for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.errors import LakeError
from service.relevance.labels import leases as module
from service.relevance.labels.leases import Leases


class Clock:
    """Stands still until it is set."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(tmp_path: Path, clock: Clock) -> Leases:
    return Leases(tmp_path, clock)


def test_what_one_was_handed_is_kept_from_others_for_ten_minutes(
    leases: Leases, clock: Clock, tmp_path: Path
) -> None:
    assert leases.take([3, 1, 2], "ann") == [3, 1, 2]
    another = Leases(tmp_path, clock)  # as another process sees it
    assert another.of_others("ben") == {1, 2, 3}
    assert another.of_others("ann") == set()
    assert another.take([5, 2, 4], "ben") == [5, 4]
    clock.now += 599
    assert leases.of_others("ben") == {1, 2, 3}
    assert leases.take([2, 6], "ann") == [2, 6]  # anew
    clock.now += 2
    assert leases.of_others("ben") == {2, 6}
    assert leases.of_others("ann") == set()
    assert another.take([1, 2], "ben") == [1]


def test_a_lease_ends_when_its_row_is_answered(leases: Leases) -> None:
    leases.take([1, 2, 3], "ann")
    answered = {1: ["ann"], 2: ["cem"]}
    assert leases.of_others("ben", answered) == {2, 3}
    assert leases.take([1, 2], "ben", answered) == [1]
    assert leases.of_others("cem") == {1, 2, 3}


def test_a_person_has_so_many_at_most_and_loses_the_oldest(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    leases.take([1, 2], "ann")
    leases.take([3, 4], "ann")
    assert leases.of_others("ben") == {2, 3, 4}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"leases": [[1]]}', b'{"leases": [["x", "ann", 1]]}', b"\xff"]
)
def test_a_file_that_cannot_be_read_is_one_without_leases(
    leases: Leases, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "leases.json").write_bytes(data)
    assert leases.of_others("ben") == set()
    assert leases.take([1], "ann") == [1]
    assert leases.of_others("ben") == {1}


def test_a_clock_that_was_wrong_keeps_nothing_for_long(leases: Leases, clock: Clock) -> None:
    leases.take([1], "ann")
    clock.now -= 86_400
    assert leases.of_others("ben") == set()


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(LakeError):
        Leases(tmp_path / "gone").take([1], "ann")
    assert not (tmp_path / "gone").exists()
