"""What people said in two copies of a lake: not lost, not brought back, not merged by guess."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from indexer.buckets import publishing, pulling
from indexer.buckets.publishing import publish_lake
from indexer.buckets.pulling import pull_lake
from indexer.buckets.said import compare, said_in
from indexer.buckets.store import Bucket
from indexer.disk.layout import Layout
from indexer.errors import BucketError
from service.lake import Lake
from service.relevance import Filters
from service.search.saved import SavedSearches
from tests.lakes import Desk


def save(lake: Path, name: str) -> None:
    SavedSearches(lake / "searches").save(name, {"texts": ["red"]}, by="ann")


def saved(lake: Path) -> list[str]:
    return [each.name for each in SavedSearches(lake / "searches").all()]


def create(desk: Desk, lake: Path, name: str, text: str = "red") -> None:
    with Lake.open(lake, desk.model) as opened:
        Filters(opened).create(name, keep_texts=[text])


def delete(desk: Desk, lake: Path, name: str) -> None:
    with Lake.open(lake, desk.model) as opened:
        Filters(opened).delete(name)


def label(desk: Desk, lake: Path, name: str, row_id: int) -> None:
    answer = {"row_id": row_id, "label": "yes", "labeller": "ann"}
    with Lake.open(lake, desk.model) as opened:
        Filters(opened).open(name).label([answer])


def filters(desk: Desk, lake: Path) -> dict[str, set[int]]:
    """Name -> the rows that have an answer."""
    with Lake.open(lake, desk.model) as opened:
        book = Filters(opened)
        return {name: set(book.open(name).answers()) for name in book.names()}


@pytest.fixture
def copy(desk: Desk, url: str, tmp_path: Path) -> Path:
    """A second lake that has what the first one has."""
    save(desk.lake, "warm")
    publish_lake(desk.lake, url)
    pull_lake(url, tmp_path / "copy.lake")
    return tmp_path / "copy.lake"


def test_a_search_that_was_saved_here_outlives_a_pull_and_another_s(
    desk: Desk, url: str, copy: Path
) -> None:
    save(copy, "mine")
    assert pull_lake(url, copy).own == 1
    save(desk.lake, "theirs")
    publish_lake(desk.lake, url)
    with pytest.raises(BucketError, match=r"searches\.json .* were both changed"):
        pull_lake(url, copy)
    assert saved(copy) == ["mine", "warm"]


def test_a_search_that_is_saved_while_they_are_pulled_stays(
    desk: Desk, url: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(desk.lake, "theirs")
    publish_lake(desk.lake, url)

    def then_saved(*given: Any) -> Any:
        found = compare(*given)
        save(copy, "mine")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(pulling, "compare", then_saved)
        with pytest.raises(BucketError, match=r"searches\.json was changed here while"):
            pull_lake(url, copy)
    assert saved(copy) == ["mine", "warm"]


def test_a_search_that_is_saved_while_they_are_published_is_sent_by_the_next(
    desk: Desk, url: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(desk.lake, "first")
    swap = Bucket.swap

    def then_saved(self: Bucket, name: str, data: bytes, old: Any) -> None:
        swap(self, name, data, old)
        if name == "searches/searches.json":
            save(desk.lake, "second")

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "swap", then_saved)
        publish_lake(desk.lake, url)
    pull_lake(url, desk.lake)  # has less than is here, and takes nothing away
    assert saved(desk.lake) == ["first", "second", "warm"]
    publish_lake(desk.lake, url)
    pull_lake(url, copy)
    assert saved(copy) == ["first", "second", "warm"]


def test_searches_come_to_a_lake_that_is_ahead_and_go_back_from_it(
    desk: Desk, url: str, copy: Path
) -> None:
    desk.add("new.png", (0, 0, 255))
    desk.sync()
    save(copy, "theirs")
    publish_lake(copy, url)
    assert pull_lake(url, desk.lake).is_ahead
    save(desk.lake, "mine")
    publish_lake(desk.lake, url)
    pull_lake(url, copy)
    assert saved(copy) == ["mine", "theirs", "warm"]


def answer_and_write(desk: Desk, lake: Path, row_id: int) -> None:
    """As an audit that goes past a look: what its draws follow, then an answer."""
    audits = lake / "filters" / "reds" / "audits"
    audits.mkdir(exist_ok=True)
    (audits / f"000001.shares-{row_id:02d}.json").write_bytes(b"{}")
    label(desk, lake, "reds", row_id)


def rests(desk: Desk, lake: Path) -> tuple[set[int], list[str]]:
    """The rows that have an answer, and what lies in the audits' folder."""
    names = sorted(path.name for path in (lake / "filters" / "reds").glob("audits/*"))
    return filters(desk, lake)["reds"], names


def test_labels_are_published_with_what_they_rest_on_whenever_they_are_given(
    desk: Desk, url: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(desk, desk.lake, "reds")
    label(desk, desk.lake, "reds", 1)
    calls = [2, 3]

    def then_answered(layout: Layout) -> dict[str, Path]:
        """One answer comes after the files were listed, one after the lines were read."""
        found = said_in(layout)
        answer_and_write(desk, desk.lake, calls.pop(0))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "said_in", then_answered)
        publish_lake(desk.lake, url)
    pull_lake(url, copy)
    assert rests(desk, copy) == ({1, 2}, ["000001.shares-02.json"])
    publish_lake(desk.lake, url)
    pull_lake(url, copy)
    assert rests(desk, copy) == ({1, 2, 3}, ["000001.shares-02.json", "000001.shares-03.json"])


def test_labels_that_come_to_a_bucket_while_it_is_pulled_are_brought_by_the_next_pull(
    desk: Desk, url: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(desk, desk.lake, "reds")
    label(desk, desk.lake, "reds", 1)
    publish_lake(desk.lake, url)

    def then_published(*given: Any) -> Any:
        found = compare(*given)
        answer_and_write(desk, desk.lake, 2)
        publish_lake(desk.lake, url)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(pulling, "compare", then_published)
        pull_lake(url, copy)
    assert rests(desk, copy) == ({1}, [])
    pull_lake(url, copy)
    assert rests(desk, copy) == ({1, 2}, ["000001.shares-02.json"])


def test_a_version_of_a_filter_that_is_made_while_it_is_pulled_stays(
    desk: Desk, url: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(desk, desk.lake, "reds")
    publish_lake(desk.lake, url)

    def then_made(*given: Any) -> Any:
        found = compare(*given)
        create(desk, copy, "reds", "blue")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(pulling, "compare", then_made)
        with pytest.raises(BucketError, match="was changed here while"):
            pull_lake(url, copy)
    version = json.loads((copy / "filters" / "reds" / "000001.json").read_bytes())
    assert "blue" in json.dumps(version) and '"red"' not in json.dumps(version)


def test_a_filter_that_is_deleted_is_deleted_in_all_copies(
    desk: Desk, url: str, copy: Path, bucket: tuple[str, Any]
) -> None:
    create(desk, desk.lake, "reds")
    label(desk, desk.lake, "reds", 1)
    publish_lake(desk.lake, url)
    pull_lake(url, copy)
    assert filters(desk, copy) == {"reds": {1}}
    delete(desk, desk.lake, "reds")
    assert pull_lake(url, desk.lake).own > 0  # does not bring it back
    assert filters(desk, desk.lake) == {}
    publish_lake(desk.lake, url)
    there = bucket[1].find(bucket[0])
    assert not any("filters/reds/" in each for each in there)
    assert any("filters/.deleted/reds-" in each for each in there)
    pull_lake(url, copy)
    assert filters(desk, copy) == {}
    assert publish_lake(copy, url).sent_files == 0
    assert pull_lake(url, desk.lake).fetched_files == 0
    for lake in (desk.lake, copy):
        folders = [path.name for path in (lake / "filters" / ".deleted").iterdir()]
        assert len(folders) == 1 and folders[0].startswith("reds-")


def test_a_filter_that_is_made_anew_under_an_old_name_takes_its_place_in_all_copies(
    desk: Desk, url: str, copy: Path
) -> None:
    create(desk, desk.lake, "reds")
    label(desk, desk.lake, "reds", 1)
    publish_lake(desk.lake, url)
    pull_lake(url, copy)
    delete(desk, desk.lake, "reds")
    create(desk, desk.lake, "reds", "blue")
    label(desk, desk.lake, "reds", 2)
    publish_lake(desk.lake, url)
    pull_lake(url, copy)
    assert filters(desk, desk.lake) == filters(desk, copy) == {"reds": {2}}
    assert pull_lake(url, desk.lake).fetched_files == 0


def test_a_filter_with_answers_that_who_deleted_it_has_not_seen_stays(
    desk: Desk, url: str, copy: Path
) -> None:
    create(desk, desk.lake, "reds")
    label(desk, desk.lake, "reds", 1)
    publish_lake(desk.lake, url)
    pull_lake(url, copy)
    delete(desk, desk.lake, "reds")
    label(desk, copy, "reds", 3)  # apart from each other
    publish_lake(copy, url)
    pull_lake(url, desk.lake)
    assert filters(desk, desk.lake) == {"reds": {1, 3}}
    publish_lake(desk.lake, url)
    pull_lake(url, copy)
    assert filters(desk, copy) == {"reds": {1, 3}}


def test_an_answer_that_comes_while_a_deleted_filter_is_taken_out_of_service_keeps_it(
    desk: Desk, url: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(desk, desk.lake, "reds")
    label(desk, desk.lake, "reds", 1)
    publish_lake(desk.lake, url)
    pull_lake(url, copy)
    delete(desk, desk.lake, "reds")
    publish_lake(desk.lake, url)

    def then_labelled(*given: Any) -> Any:
        found = compare(*given)
        label(desk, copy, "reds", 2)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(pulling, "compare", then_labelled)
        with pytest.raises(BucketError, match="reds was labelled here while it was pulled"):
            pull_lake(url, copy)
    assert filters(desk, copy) == {"reds": {1, 2}}
    pull_lake(url, copy)
    assert filters(desk, copy) == {"reds": {1, 2}}


def test_names_that_differ_in_capitals_alone_do_not_travel(
    desk: Desk, url: str, copy: Path
) -> None:
    """On some disks they are one file, and one filter's labels would become another's."""
    create(desk, desk.lake, "reds")
    publish_lake(desk.lake, url)
    there = Bucket.open(url)
    for name in ("filters/Reds/000001.json", "Filters/reds/000001.json", "TAGS/log.jsonl"):
        there.put(name, b"{}")
    pull_lake(url, copy)
    assert sorted(path.name for path in (copy / "filters").iterdir() if path.is_dir()) == ["reds"]
    assert filters(desk, copy) == {"reds": set()}


def test_what_a_strange_bucket_says_lands_nowhere_else(
    desk: Desk, url: str, copy: Path, tmp_path: Path
) -> None:
    there = Bucket.open(url)
    for name in (
        "filters/reds/labels.lock",
        "filters/reds/evil.json",
        "filters/reds/audits/x.json",
        "writer.lock",
        "origins.json",
        "photos/x.png",
        "searches/.x.json",
    ):
        there.put(name, b"evil")
    version = {"snapshot": 10**200}
    there.put("filters/huge/000001.json", json.dumps(version).encode())
    pull_lake(url, copy)
    pull_lake(url, copy)
    found = [
        path for path in tmp_path.rglob("*") if path.is_file() and b"evil" in path.read_bytes()
    ]
    assert found == []
