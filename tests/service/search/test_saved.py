"""Searches saved by name, beside the lake."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from indexer.errors import BadRequest, LakeDamaged, LakeError, UnknownSearch
from service.search import saved as saved_module
from service.search.query import Query
from service.search.saved import SavedSearches

RED = Query.of("red", not_text="drawing", row_id=7).with_options(
    {"where": "width_px > 4", "min_z": 2.5, "k": 20}
)


@pytest.fixture
def searches(tmp_path: Path) -> SavedSearches:
    return SavedSearches(tmp_path / "searches")


def test_a_query_comes_back_as_it_was_saved(searches: SavedSearches) -> None:
    assert searches.all() == [] and not searches.folder.exists()
    searches.save("Night trams", RED, "ann")
    found = SavedSearches(searches.folder).get("night TRAMS")
    assert (found.name, found.by) == ("Night trams", "ann")
    assert found.asked.to_json() == RED.to_json()
    assert found.query["texts"] == [
        {"text": "red", "weight": 1.0},
        {"text": "drawing", "weight": -1.0},
    ]


def test_a_name_is_saved_once_and_the_last_one_stays(searches: SavedSearches) -> None:
    searches.save("night", RED)
    searches.save("b", {"query": "a hospital -baby"})
    searches.save("Night", {"texts": [{"text": "blue"}]})
    assert [each.name for each in searches.all()] == ["b", "Night"]
    assert searches.get("b").asked.texts == (("a hospital", 1.0), ("baby", -1.0))
    assert searches.delete("NIGHT").query == {"texts": [{"text": "blue"}]}
    assert [each.name for each in searches.all()] == ["b"]


def test_what_is_wrong_is_a_sentence_and_changes_nothing(
    searches: SavedSearches, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches.save("night", RED)
    before = searches.path.read_bytes()
    with pytest.raises(UnknownSearch) as unknown:
        searches.get("nigt")
    lake = searches.folder.parent
    assert str(unknown.value) == f"{lake} has no saved search 'nigt'; did you mean night?"
    with pytest.raises(UnknownSearch, match="lists them"):
        searches.delete("zzz")
    with pytest.raises(BadRequest, match="'a/b' is no name for a saved search: 1 to 64"):
        searches.save("a/b", RED)
    with pytest.raises(BadRequest, match="there is no such field"):
        searches.save("a", {"textz": []})
    with pytest.raises(BadRequest, match="JSON names rows of the lake"):
        searches.save("a", Query.of(image=b"..."))
    with pytest.raises(BadRequest, match="bytes, 100,000 are allowed"):
        searches.save("a", {"texts": [{"text": "x" * 100_000}]})
    monkeypatch.setattr(saved_module, "MAX_SEARCHES", 1)
    with pytest.raises(BadRequest, match="1 searches are saved; delete one first"):
        searches.save("b", RED)
    searches.save("NIGHT", RED)
    assert before != searches.path.read_bytes()
    assert [each.name for each in searches.all()] == ["NIGHT"]


def test_many_writers_lose_nothing(searches: SavedSearches) -> None:
    def work(who: str) -> None:
        for number in range(5):
            SavedSearches(searches.folder).save(f"{who}{number}", {"query": who})

    threads = [threading.Thread(target=work, args=(who,)) for who in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [each.name for each in searches.all()]
    assert names == [f"{who}{number}" for who in "abc" for number in range(5)]


@pytest.mark.parametrize("data", [b"", b"[]", b'{"searches": {"a": {}}}', b"\xff"])
def test_a_damaged_file_is_a_sentence_and_stays(searches: SavedSearches, data: bytes) -> None:
    searches.folder.mkdir()
    searches.path.write_bytes(data)
    with pytest.raises(LakeDamaged, match="repair it, or move it away to begin anew"):
        searches.all()
    with pytest.raises(LakeDamaged):
        searches.save("a", RED)
    assert searches.path.read_bytes() == data


def test_a_lake_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "lake").write_bytes(b"")
    with pytest.raises(LakeError, match="searches are saved in the lake's folder"):
        SavedSearches(tmp_path / "lake" / "searches").save("a", RED)


def test_a_writer_that_died_left_the_old_ones(searches: SavedSearches) -> None:
    searches.save("a", RED)
    (searches.folder / "searches.json.new").write_bytes(b'{"searches": {"b"')
    assert [each.name for each in searches.all()] == ["a"]
    searches.save("c", RED)
    assert [each.name for each in searches.all()] == ["a", "c"]
    assert json.loads(searches.path.read_bytes())["format"] == 1
