from __future__ import annotations

import pytest

from indexer.errors import BadRequest
from service.tags.names import asked_as, check_by, key_of, shown_as, tag_name


@pytest.mark.parametrize(
    "name", ["night", "Night 2", "a.b-c_d", "Übung", "夜", "दिन", "7", "x" * 64, "no.1"]
)
def test_letters_digits_and_a_few_signs_are_a_name(name: str) -> None:
    assert tag_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " night", "night ", "a  b", "a/b", "a\nb", "a,b", "it's", "x" * 65, "a\u202eb", "\U0001f600", "½"],
)  # fmt: skip
def test_anything_else_is_one_sentence(name: str) -> None:
    with pytest.raises(BadRequest) as bad:
        tag_name(name)
    assert bad.value.field == "name"
    assert str(bad.value) == (
        f"name: {name!r} is no name for a tag: 1 to 64 letters, digits, '-', '_', '.' "
        "and single spaces between them"
    )


def test_of_a_name_of_megabytes_the_beginning_is_told() -> None:
    for name in ("x" * 10_000_000, "a\u0323\u0307" * 3_000_000):
        for check in (tag_name, check_by):
            with pytest.raises(BadRequest) as bad:
                check(name)
            assert f"... of {len(name):,} characters is no" in str(bad.value)
            assert len(str(bad.value)) < 300


def test_a_name_is_composed_and_compared_without_its_case() -> None:
    assert tag_name("U\u0308bung") == "\u00dcbung"
    assert key_of("\u00dcbung") == key_of("u\u0308BUNG") == "\u00fcbung"
    assert key_of("STRASSE") == key_of("straße")


def test_who_tags_can_be_shown() -> None:
    assert check_by("Ann B.") == "Ann B."
    for name in ("", " ann", "a\x1b[2J", "x" * 65):
        with pytest.raises(BadRequest, match="printable"):
            check_by(name)


def test_a_users_own_columns_keep_their_names() -> None:
    assert (asked_as(["uri"]), shown_as(["uri"])) == ("tag", "tags")
    assert (asked_as(["Tag"]), shown_as(["TAGS"])) == ("lakesift_tag", "lakesift_tags")
    assert asked_as(["tag", "lakesift_tag"]) == "lakesift_lakesift_tag"
