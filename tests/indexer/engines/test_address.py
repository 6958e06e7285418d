"""Where a Postgres is, read from its URL."""

from __future__ import annotations

import pytest

from indexer.engines.opening import open_engine
from indexer.engines.pgvector.address import Address
from indexer.errors import BadRequest


def test_all_parts_of_a_url_are_read_and_the_password_is_left_out_when_it_is_told() -> None:
    address = Address.parse(
        "postgresql://me%40home:p%40ss@db.example:6432/my%20lakes?sslmode=require", {}
    )
    assert (address.user, address.password) == ("me@home", "p@ss")
    assert (address.host, address.port, address.database) == ("db.example", 6432, "my lakes")
    assert address.tls() is True
    assert address.url == "postgresql://me%40home@db.example:6432/my%20lakes"
    assert "p@ss" not in repr(address)


def test_what_a_url_leaves_out_comes_from_the_environment_as_for_psql() -> None:
    environ = {"PGHOST": "/run/pg", "PGUSER": "me", "PGPASSWORD": "secret", "PGPORT": "5433"}
    address = Address.parse("postgresql://", environ)
    assert (address.user, address.password, address.database) == ("me", "secret", "me")
    assert address.socket == "/run/pg/.s.PGSQL.5433"
    assert address.url == "postgresql://me@/me?host=/run/pg"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://me:se[cret@db/x", "it cannot be read"),
        ("postgresql://me:secret@db:port/x", "it cannot be read"),
        ("postgresql://me:secret@db/x?sslmode=maybe", "'maybe' is no sslmode; there are disable"),
        (
            "postgresql://me:secret@db/x?colour=red",
            "there is no 'colour'; after the [?] there may be",
        ),
        ("postgresql://me:secret@db/x?port=far", "'far' is no port"),
    ],
)
def test_what_is_no_address_is_refused_without_a_word_of_the_password(url: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says) as raised:
        Address.parse(url, {})
    assert "cret" not in str(raised.value)


def test_an_address_of_another_engine_is_refused() -> None:
    with pytest.raises(BadRequest, match="begins with none of postgresql://"):
        open_engine("mysql://me:secret@db/x")
