"""What `make check` leaves out is there: a name that is gone would hide a module that is quick."""

from __future__ import annotations

from tests.conftest import HERE, THOROUGH, is_thorough


def test_every_name_of_what_is_thorough_is_a_module_or_a_folder() -> None:
    assert [name for name in THOROUGH if not list(HERE.rglob(name))] == []


def test_modules_and_folders_are_told_by_name() -> None:
    assert is_thorough(HERE / "indexer" / "test_crash.py")
    assert is_thorough(HERE / "service" / "page" / "test_page.py")
    assert not is_thorough(HERE / "indexer" / "test_sync.py")
