"""What may be embedded before a listing has ended, and what waits for its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from indexer.address import Address
from indexer.run.plan import arrivals, plan
from indexer.run.plan.database import PlanDatabase
from indexer.run.plan.plan import Plan
from indexer.sources import ImageFile, Listing


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[Plan]:
    planned = Plan(tmp_path)
    yield planned
    planned.close()


def file(name: str, size_bytes: int = 10, modified_us: int = 1) -> ImageFile:
    return ImageFile(Address(f"/a/{name}"), size_bytes, modified_us, None, None)


def member(tar: str, offset: int, etag: str = "tar:m") -> ImageFile:
    address = Address(f"/a/{tar}", member=f"{offset}.jpg", offset=offset, length=10)
    return ImageFile(address, 10, 1, etag, None)


def live(plan: Plan, *files: ImageFile, source: str = "/a", unsettled: bool = False) -> None:
    columns: dict[str, list[object]] = {
        "segment": ["s"] * len(files),
        "position": list(range(len(files))),
        "row_id": list(range(1, len(files) + 1)),
        "uri": [str(each.address) for each in files],
        "file_uri": [None if each.address.is_whole else each.uri for each in files],
        "size_bytes": [each.size_bytes for each in files],
        "modified_us": [each.modified_us for each in files],
        "etag": [each.etag for each in files],
        "sha256": ["0" * 64] * len(files),
        "source": [source] * len(files),
        "columns_etag": [None] * len(files),
        "unsettled": [unsettled] * len(files),
        "relocated": [False] * len(files),
    }
    types = {"file_uri": pa.string(), "etag": pa.string(), "columns_etag": pa.string()}
    plan.add_live(pa.table({n: pa.array(v, types.get(n)) for n, v in columns.items()}))


def store(plan: Plan, files: Sequence[ImageFile], listing: Listing | None = None) -> None:
    list(plan.add_listing(0, iter(files), listing))


def names(found: Iterator[arrivals.Todo]) -> list[str]:
    return [str(todo.file.address).removeprefix("/a/") for todo in found]


def test_the_images_of_a_new_lake_come_in_the_order_of_the_listing_each_once(planned: Plan) -> None:
    store(planned, [file("c"), file("a"), file("b")])
    store(planned, [file("a"), file("d")])  # another source that lists one of them, too
    found = planned.arrivals(None)
    assert names(found.new_images()) == ["c", "a", "b", "d"]
    assert names(found.new_images()) == []
    found.store_given()
    counts = planned.compare(["/a"], [])
    planned.pair()
    assert (counts.new, counts.streamed, planned.todo_count()) == (0, 4, 0)


def test_what_was_not_given_is_embedded_at_the_end_in_the_same_order(planned: Plan) -> None:
    store(planned, [file("c"), file("a"), file("b")])
    found = planned.arrivals(None)
    assert next(found.new_images()).file == file("c")
    found.store_given()
    assert planned.compare(["/a"], []).new == 2
    planned.pair()
    assert names(planned.todo()) == ["a", "b"]


def test_a_container_is_given_once_it_is_complete_with_the_number_of_its_images(
    planned: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "FIRST_BATCH", 2)
    stored = planned.add_listing(
        0, iter([member("1.tar", 0), member("1.tar", 512), member("1.tar", 1024), file("z")])
    )
    assert next(stored) == 2
    found = planned.arrivals(None)
    assert names(found.new_images()) == []
    assert next(stored) == 4
    given = list(found.new_images())
    assert [(todo.file.address.offset, todo.file.etag) for todo in given] == [
        (0, "tar:m:3"),
        (512, "tar:m:3"),
        (1024, "tar:m:3"),
    ]
    assert next(stored, None) is None
    assert names(found.new_images()) == ["z"]


def test_a_container_that_is_damaged_has_no_number(planned: Plan) -> None:
    listing = Listing(partial=["/a/1.tar"])
    store(planned, [member("1.tar", 0)], listing)
    assert [todo.file.etag for todo in planned.arrivals(None).new_images()] == ["tar:m"]


def test_known_files_are_passed_over(planned: Plan) -> None:
    live(planned, file("a"), file("b"))
    store(planned, [file("a"), file("b"), file("c")])
    found = planned.arrivals(None)
    assert names(found.new_images()) == ["c"]
    assert (found.passed, found.in_doubt) == (2, False)


def test_an_image_as_large_as_one_that_was_not_found_yet_waits_with_all_that_follow(
    planned: Plan,
) -> None:
    """`c` may be `z` under another name; `d` may not, and comes after it all the same."""
    live(planned, file("a", 10), file("z", 20))
    store(planned, [file("a", 10), file("b", 10), file("c", 20), file("d", 30)])
    found = planned.arrivals(None)
    assert names(found.new_images()) == ["b"]
    assert found.in_doubt
    store(planned, [file("e", 40)])
    assert names(found.new_images()) == []


@pytest.mark.parametrize("case", ["touched", "unsettled"])
def test_a_file_whose_bytes_have_to_be_looked_at_ends_the_taking(planned: Plan, case: str) -> None:
    live(planned, file("b"), unsettled=case == "unsettled")
    touched = file("b", modified_us=2 if case == "touched" else 1)
    store(planned, [file("a", 5), touched, file("c", 5)])
    found = planned.arrivals(None)
    assert names(found.new_images()) == ["a"]
    assert found.in_doubt


def test_rows_that_the_run_does_not_list_do_not_matter(planned: Plan) -> None:
    live(planned, ImageFile(Address("/other/x"), 10, 1, None, None), source="/other")
    store(planned, [file("a", 10)])
    assert names(planned.arrivals(["/a"]).new_images()) == ["a"]


def test_the_images_of_a_container_that_is_as_it_was_were_found(planned: Plan) -> None:
    live(planned, member("1.tar", 0, "tar:m:1"))
    store(planned, [file("z", 10)], Listing(untouched=["/a/1.tar"]))
    assert names(planned.arrivals(None).new_images()) == ["z"]


def test_a_lake_with_a_uri_twice_waits_for_the_end(planned: Plan) -> None:
    live(planned, file("a"), file("a"))
    store(planned, [file("b", 5)])
    found = planned.arrivals(None)
    assert found.in_doubt
    assert names(found.new_images()) == []


def test_the_plan_draws_no_bar_on_the_terminal(tmp_path: Path) -> None:
    """DuckDB does, on stdout, when a query takes longer than two seconds."""
    database = PlanDatabase(tmp_path)
    assert database.all("SELECT current_setting('enable_progress_bar')") == [(False,)]
    database.close()


def test_one_look_takes_as_many_images_as_the_lake_has_rows(
    planned: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look costs as much as the lake is large: a few at a time, a sync of many would take for
    ever.
    """
    monkeypatch.setattr(arrivals, "IMAGES_AT_ONCE", 2)
    monkeypatch.setattr(plan, "FIRST_BATCH", 1)
    monkeypatch.setattr(plan, "BATCH", 1)
    known = [file(f"{number}") for number in range(5)]
    live(planned, *known)
    # The last file of a listing that goes on is not known to be complete.
    stored = planned.add_listing(0, iter([*known, *(file(name, 5) for name in "xyz")]))
    found = planned.arrivals(None)
    for _ in range(8):
        next(stored)
    assert (names(found.new_images()), found.passed) == ([], 5)
    assert found.idle_look_s > 0
    assert names(found.new_images()) == ["x", "y"]
    assert (found.idle_look_s, found.passed) == (0, 5)
    list(stored)
    assert names(found.new_images()) == ["z"]
