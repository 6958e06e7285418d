"""A cursor comes back as it went, and nothing that is not one is taken for one."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BadCursor
from service.api.cursor import Cursor, digest
from service.api.signing import TAG_BYTES, Signer
from service.search.decided import DecidedBy
from service.search.query import Query

SIGNER = Signer("a secret of the tests")
CURSOR = Cursor(
    lake="photos",
    snapshot=17,
    stamp=123,
    query=Query(
        vectors=[(np.array([0.6, -0.8, 1 / 3], np.float32), 1.0)],
        where="camera = 'Ünïx'",
        decided=DecidedBy("hospital", ("ask", "drop"), 3),
        min_z=2.5,
        offset=50,
        collapse=True,
    ),
    digest="0123456789abcdef",
)


def test_it_comes_back_to_the_last_bit() -> None:
    back = Cursor.decode(CURSOR.encode(SIGNER), SIGNER)
    [(vector, weight)] = back.query.vectors
    assert vector.tobytes() == np.array([0.6, -0.8, 1 / 3], np.float32).tobytes()
    assert (weight, back.has_query) == (1.0, True)
    assert [back.lake, back.snapshot, back.stamp, back.query.offset] == ["photos", 17, 123, 50]
    assert [back.query.where, back.query.min_z, back.query.collapse, back.digest] == [
        "camera = 'Ünïx'",
        2.5,
        True,
        "0123456789abcdef",
    ]
    assert back.query.decided == DecidedBy("hospital", ("ask", "drop"), 3)


def signed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(SIGNER.signed(raw)).decode()


def test_it_is_spelt_as_documented() -> None:
    """Cursors that are with callers while a service is upgraded go on working."""
    import hmac
    from hashlib import sha256

    import orjson

    head = {"l": "photos", "s": 17, "t": 123, "p": 50, "w": "camera = 'Ünïx'", "f": "hospital@3"}
    head |= {"d": ["ask", "drop"], "z": 2.5, "c": True, "q": "0123456789abcdef"}
    numbers = np.array([0.6, -0.8, 1 / 3], "<f4").tobytes()
    raw = orjson.dumps(head) + b"\n" + numbers
    raw += hmac.new(sha256(b"a secret of the tests").digest(), raw, "sha256").digest()[:16]
    assert CURSOR.encode(SIGNER) == base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_vector_whose_bytes_look_like_a_line_end_survives() -> None:
    ends = np.frombuffer(b"\n\n\n\n{}\n\n", "<f4").astype(np.float32)
    back = Cursor.decode(Cursor("a", 1, 0, Query(vectors=[(ends, 1.0)])).encode(SIGNER), SIGNER)
    assert back.query.vectors[0][0].tobytes() == ends.tobytes()


def test_without_a_query_there_is_no_vector() -> None:
    cursor = Cursor("photos", 1, 5, Query(offset=7))
    assert Cursor.decode(cursor.encode(SIGNER), SIGNER) == cursor
    assert not cursor.has_query


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "====",
        "hello world",
        "é",
        base64.b64encode(b"{}").decode(),
        base64.b64encode(b"[]\n").decode(),
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(
        BadCursor, match=r"cursor: it is not a cursor of this service; send next_cursor"
    ):
        Cursor.decode(text, SIGNER)


@pytest.mark.parametrize(
    "change",
    [
        {"s": "1"},
        {"s": -1},
        {"s": 2**60},
        {"s": True},
        {"p": 0.5},
        {"w": 5},
        {"c": 1},
        {"z": "2"},
        {"l": None},
        {"f": 3},
        {"d": ["drop", 1]},
        {"d": None},
        {"an option of a newer version": 1},
    ],
)
def test_wrong_types_are_refused(change: dict[str, object]) -> None:
    import orjson

    head = {"l": "a", "s": 1, "t": 1, "p": 0, "w": None, "f": None, "d": [], "z": None}
    assert Cursor.decode(signed(orjson.dumps(head | {"c": False, "q": ""}) + b"\n"), SIGNER)
    head |= {"c": False, "q": ""} | change
    with pytest.raises(BadCursor):
        Cursor.decode(signed(orjson.dumps(head) + b"\n"), SIGNER)


def test_one_signed_with_another_secret_or_not_at_all_is_refused() -> None:
    text = CURSOR.encode(Signer("another secret"))
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:-TAG_BYTES]
    for refused in (text, base64.urlsafe_b64encode(raw).decode()):
        with pytest.raises(BadCursor, match="it is not a cursor of this service"):
            Cursor.decode(refused, SIGNER)


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_byte_is_refused(at: int, by: int) -> None:
    text = CURSOR.encode(SIGNER)
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[at % len(raw)] ^= by
    with pytest.raises(BadCursor, match="it is not a cursor of this service"):
        Cursor.decode(base64.urlsafe_b64encode(bytes(raw)).decode(), SIGNER)


def test_it_belongs_to_one_query() -> None:
    CURSOR.check_digest("0123456789abcdef")
    CURSOR.check_digest("")  # sent alone
    with pytest.raises(BadCursor, match="belongs to another query"):
        CURSOR.check_digest("fedcba9876543210")


def test_a_digest_does_not_depend_on_the_order_of_fields() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
    assert len(digest({})) == 16
