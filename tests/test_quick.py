"""What `make check` leaves out is there: a name that is gone would hide a module that is quick."""

from __future__ import annotations

from tests.conftest import HERE, LONGEST, THOROUGH, is_thorough, place_in_line


def test_every_name_of_what_is_thorough_is_a_module_or_a_folder() -> None:
    assert [name for name in (*THOROUGH, *LONGEST) if not list(HERE.rglob(name))] == []


def test_modules_and_folders_are_told_by_name() -> None:
    assert is_thorough(HERE / "indexer" / "test_crash.py")
    assert is_thorough(HERE / "service" / "page" / "test_page.py")
    assert not is_thorough(HERE / "indexer" / "test_sync.py")


def test_the_longest_begin_and_what_is_quick_ends() -> None:
    """One that began last would keep one process busy while the others have nothing left."""
    modules = [
        HERE / "indexer" / "test_sync.py",
        HERE / "service" / "cli" / "test_cli.py",
        HERE / "training" / "test_fit.py",
        HERE / "test_notebooks.py",
    ]
    assert sorted(modules, key=place_in_line) == modules[::-1]
