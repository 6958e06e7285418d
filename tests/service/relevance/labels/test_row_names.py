"""Names that people and tools have for images: one row, none, or a question."""

from __future__ import annotations

import unicodedata

import pytest

from service.relevance.labels.row_names import AmbiguousName, RowNames

COMPOSED, DECOMPOSED = "/p/caf\u00e9.jpg", "/p/cafe\u0301.jpg"
ROWS = {
    "/p/a/1.jpg": 1,
    "/p/b/1.jpg": 2,
    "/p/b/only one.jpg": 3,
    "/p/b/100%25.jpg": 4,
    DECOMPOSED: 5,
    "s3://set/a//k.jpg": 6,
    "s3://set/a/k.jpg": 7,
    "s3://set/a/l m.jpg": 8,
    "/p/n%FC.jpg": 9,
    "/p/x\\y.jpg": 10,
}
NAMES = RowNames(ROWS)


@pytest.mark.parametrize(
    ("name", "row_id"),
    [
        ("/p/a/1.jpg", 1),
        ("/p/./a/1.jpg", 1),
        ("/p//a///1.jpg", 1),
        ("//p/a/1.jpg", 1),
        ("/p/b/../a/1.jpg", 1),
        ("/p/a\\1.jpg", 1),
        ("/p/..\\p\\a\\1.jpg", 1),
        ("file:///p/a/1.jpg", 1),
        ("FILE://localhost/p/a/1.jpg", 1),
        ("file:/p/a/1.jpg", 1),
        ("file:///p/b/only%20one.jpg", 3),
        ("file:///p/b/only one.jpg", 3),
        ("/p/b/only%20one.jpg", 3),
        ("/p/b/100%25.jpg", 4),
        ("file:///p/b/100%2525.jpg", 4),
        ("file:///p/b/100%25.jpg", 4),
        (DECOMPOSED, 5),
        (COMPOSED, 5),
        ("file:///p/caf%C3%A9.jpg", 5),
        ("/p/./cafe%CC%81.jpg", 5),
        ("file:///p/n%FC.jpg", 9),
        ("/p/x\\y.jpg", 10),
        ("/p//x\\y.jpg", 10),
        ("s3://set/a//k.jpg", 6),
        ("s3://set/a/k.jpg", 7),
        ("s3://set/./a/k.jpg", 7),
        ("s3://set/a\\k.jpg", 7),
        # another key, and another name
        ("s3://set//a/k.jpg", None),
        ("s3://set/a/../a/k.jpg", None),
        ("s3://set/a/l%20m.jpg", None),
        ("file://elsewhere/p/a/1.jpg", None),
        ("/P/a/1.jpg", None),
        ("/p/a", None),
        ("a/1.jpg", None),
        ("", None),
    ],
)
def test_a_name_is_the_one_row_that_it_may_be(name: str, row_id: int | None) -> None:
    assert NAMES.find(name) == row_id


def test_a_name_that_may_be_two_rows_is_none_of_them() -> None:
    both = RowNames({COMPOSED: 1, DECOMPOSED: 2, "/p/a b.jpg": 3, "/p/a%20b.jpg": 4})
    assert (both.find(COMPOSED), both.find(DECOMPOSED)) == (1, 2)
    assert (both.find("/p/a b.jpg"), both.find("/p/a%20b.jpg")) == (3, 4)
    for name, rows in (
        ("/p/./caf%C3%A9.jpg", {1, 2}),
        ("/p//cafe\u0301.jpg", {1, 2}),
        ("file:///p/a%20b.jpg", {3, 4}),
    ):
        with pytest.raises(AmbiguousName) as caught:
            both.find(name)
        assert caught.value.row_ids == rows
    assert unicodedata.normalize("NFD", COMPOSED) == DECOMPOSED


def test_a_file_of_several_images_is_none_of_them() -> None:
    names = RowNames({"/p/a.tar": 4, "/p/b.tar": 5}, {"/p/a.tar": (1, 2, 3, 4)})
    assert names.find("/p/b.tar") == 5
    question = r"^uri: it may be any of 4 images \(rows 1, 2, 3, \.\.\.\); say which$"
    with pytest.raises(AmbiguousName, match=question):
        names.find("/p/a.tar")
    with pytest.raises(AmbiguousName, match=question):
        names.find_plain("a.tar")


@pytest.mark.parametrize(
    ("name", "root", "row_id"),
    [
        ("only one.jpg", None, 3),
        ("only%20one.jpg", None, 3),
        ("only one.jpg", "/p", 3),
        ("only one.jpg", "/p/", 3),
        ("only one.jpg", "/p/a", None),
        ("1.jpg", "/p/b", 2),
        ("cafe\u0301.jpg", None, 5),
        ("caf\u00e9.jpg", None, 5),
        ("l m.jpg", "s3://set", 8),
        ("gone.jpg", None, None),
        ("100%25.jpg", None, 4),
    ],
)
def test_a_file_name_alone_is_the_one_row_that_has_it(
    name: str, root: str | None, row_id: int | None
) -> None:
    assert NAMES.find_plain(name, root) == row_id


def test_a_file_name_of_two_rows_is_a_question() -> None:
    with pytest.raises(AmbiguousName) as caught:
        NAMES.find_plain("1.jpg")
    assert str(caught.value) == "uri: it may be any of 2 images (rows 1, 2); say which"
    with pytest.raises(AmbiguousName):
        NAMES.find_plain("k.jpg", "s3://set/a")
    both = RowNames({COMPOSED: 1, f"/q{DECOMPOSED}": 2})
    assert both.find_plain("caf\u00e9.jpg") == 1
    with pytest.raises(AmbiguousName):
        both.find_plain("caf%C3%A9.jpg")


def test_a_row_that_moved_has_two_uris_and_is_one() -> None:
    moved = RowNames({"/old/a.jpg": 1, "/new/a.jpg": 1})
    assert moved.find_plain("a.jpg") == 1
