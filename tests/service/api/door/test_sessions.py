"""Sessions: how long they last, how many there are, and that all workers know them."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.api.door.sessions import LIFE_S, Sessions
from service.api.serving.keys import Key, KeyStore
from service.api.serving.shared_arrays import SharedArrays


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "state")


@pytest.fixture
def key(keys: KeyStore) -> Key:
    return keys.add("me", "write")[0]


def test_a_session_ends_so_long_after_its_last_use(keys: KeyStore, key: Key) -> None:
    clock = Clock()
    sessions = Sessions(keys, clock=clock)
    token = sessions.begin(key)
    for _ in range(3):
        clock.now += LIFE_S - 1
        assert sessions.key_of(token) == key
    clock.now += LIFE_S
    assert sessions.key_of(token) is None
    assert len(sessions) == 0


def test_the_one_that_was_not_used_for_longest_makes_room(keys: KeyStore, key: Key) -> None:
    clock = Clock()
    sessions = Sessions(keys, clock=clock, max_sessions=2)
    tokens = []
    for clock.now in (1.0, 2.0):
        tokens.append(sessions.begin(key))
    clock.now = 3.0
    assert sessions.key_of(tokens[0]) == key
    tokens.append(sessions.begin(key))
    assert [sessions.key_of(token) for token in tokens] == [key, None, key]
    assert len(sessions) == 2


def test_a_revoked_key_and_a_made_up_token_open_nothing(keys: KeyStore, key: Key) -> None:
    sessions = Sessions(keys)
    token = sessions.begin(key)
    for wrong in ("", token[:-1], token + "x", "\udcff"):
        assert sessions.key_of(wrong) is None
    keys.revoke("me")
    assert sessions.key_of(token) is None
    assert len(sessions) == 0


def test_workers_know_each_others_sessions(tmp_path: Path, keys: KeyStore, key: Key) -> None:
    first, second = (Sessions(keys, arrays=SharedArrays(tmp_path, n, 2)) for n in range(2))
    token, other = first.begin(key), second.begin(key)
    assert second.key_of(token) == first.key_of(other) == key
    second.end(token)
    assert first.key_of(token) is None
    assert len(first) == len(second) == 1


def test_a_key_whose_id_is_too_long_begins_none(keys: KeyStore, key: Key) -> None:
    long = Key("x" * 65, "long", "read", key.created_at, key.prefix, key.sha256)
    with pytest.raises(ValueError, match="the id of key long has more than 64 bytes"):
        Sessions(keys).begin(long)
