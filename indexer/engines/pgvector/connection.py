"""One connection to Postgres, and its errors as ours. Knows no table.

pg8000 is the driver: BSD, plain Python, with COPY in both directions.

A pooler between here and the server, as PgBouncer, may give each transaction to another of the
server's own connections. So nothing is kept from one to the next, and whatever takes several
messages, as a statement with values does, is one transaction.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from indexer.engines.pgvector.address import Address
from indexer.errors import EngineAway, EngineError, LakeError

CONNECT_WITHIN_S = 3.0
# Further than the server's own limit, whose refusal leaves the connection as it was.
_SLACK_S = 2.0
_SLOW = ("57014", "55P03")  # the server's own limit, and another's lock
_GONE = ("08", "53", "57")  # classes of errors that pass: no connection, no room, shut down
# By the server's codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
FULL = "53300"  # of connections
NOT_OURS = ("42703", "42883")  # no such column, or none that can be compared so
IS_THERE = "42P07"
MAY_NOT = "42501"
_WAYS_OUT = {
    "3D000": "make it with: createdb NAME",
    MAY_NOT: "its owner gives rights: who searches needs GRANT SELECT ON ALL TABLES IN SCHEMA public, who pushes "
    "CREATE on the schema, and to own the tables that are there",
    "25006": "it takes no writes, as a replica does: push to the primary server",
    "53100": "its disk is full: give it room, then run the same command again",
}


class Refused(EngineError):
    """:param code: as Postgres has it."""

    def __init__(self, url: str, reason: str, code: str) -> None:
        super().__init__(url, reason)
        self.code = code


class NoRoom(EngineAway):
    """It has as many connections as it takes."""


class Connection:
    """Not for two threads at once; of no use any more after `is_broken`."""

    def __init__(self, address: Address, *, patience_s: float | None = None) -> None:
        """
        :param patience_s: for a statement's answer; None: for ever.
        :raises EngineAway: if it cannot be reached.
        :raises EngineError: if it refuses.
        """
        try:
            from pg8000.native import Connection as Native
        except ImportError:
            raise LakeError(
                "Postgres is spoken to by pg8000, which is not installed: pip install 'lakesift[pgvector]'"
            ) from None
        self.url = address.url
        self._broken = False
        self._patience_s, self._is_within = patience_s, False
        self._has_password = address.password is not None
        started = None if address.options is None else {"options": address.options}
        tls = address.tls()
        with self._telling(is_connecting=True):
            self._native: Any = Native(
                address.user,
                host=address.host,
                port=address.port,
                database=address.database,
                password=address.password,
                unix_sock=address.socket,
                ssl_context=tls,
                timeout=CONNECT_WITHIN_S,
                application_name="lakesift",
                startup_params=started,
            )
        self.wait(patience_s)

    def wait(self, patience_s: float | None) -> None:
        """Be so patient from now on, on this side; None: for ever."""
        self._native._usock.settimeout(None if patience_s is None else patience_s + _SLACK_S)

    @property
    def is_broken(self) -> bool:
        return self._broken

    def run(self, sql: str, **values: object) -> list[list[Any]]:
        """
        Outside of a transaction: a statement with values, or that has a limit of time, is one of
        its own.

        :param values: of the :names in the statement.
        """
        if not self._is_within and (values or self._patience_s is not None):
            with self.transaction():
                return self._said(sql, **values)
        return self._said(sql, **values)

    def _said(self, sql: str, **values: object) -> list[list[Any]]:
        with self._telling():
            return self._native.run(sql, **values) or []

    def copy_in(self, sql: str, pieces: Iterable[bytes]) -> None:
        """Within a transaction. What the pieces raise goes on up, and the connection is closed:
        half a COPY is none.
        """
        try:
            with self._telling():
                self._native.run(sql, stream=pieces)
        except EngineError:
            raise
        except BaseException:
            self.close()
            raise

    def copy_out(self, sql: str) -> bytes:
        """Within a transaction."""
        into = io.BytesIO()
        with self._telling():
            self._native.run(sql, stream=into)
        return into.getvalue()

    @contextmanager
    def transaction(self, settings: Mapping[str, str | int] | None = None) -> Iterator[None]:
        """
        :param settings: of the server's, for this transaction alone.
        """
        said = dict(settings or {})
        if self._patience_s is not None:
            said.setdefault("statement_timeout", round(self._patience_s * 1e3))
        local = "".join(f"; SET LOCAL {name} = {value}" for name, value in said.items())
        self._is_within = True
        try:
            self._said(f"BEGIN{local}")
            yield
            self._said("COMMIT")
        except BaseException:
            if not self._broken:
                with suppress(LakeError):
                    self._said("ROLLBACK")
            raise
        finally:
            self._is_within = False

    def notices(self) -> list[str]:
        """What the server said since the last call."""
        said = [notice.get(b"M", b"").decode(errors="replace") for notice in self._native.notices]
        self._native.notices.clear()
        return said

    def close(self) -> None:
        """The server ends what was under way, and takes it back."""
        self._broken = True
        with suppress(Exception):  # it may be gone already, however it went
            self._native.close()

    @contextmanager
    def _telling(self, *, is_connecting: bool = False) -> Iterator[None]:
        from pg8000.exceptions import DatabaseError, InterfaceError
        from scramp.core import ScramException

        try:
            yield
        except DatabaseError as error:
            raise self._told(error) from None
        except (InterfaceError, ScramException, OSError, struct.error, AttributeError) as error:
            # A server that refuses hangs up, and pg8000 stumbles over that while it says good-bye.
            for before in _causes(error):
                if isinstance(before, DatabaseError):
                    self._broken = True
                    raise self._told(before) from None
            # What pg8000 makes of a server that asks for a password, where it has none.
            asks = is_connecting and not self._has_password
            if asks and (isinstance(error, AttributeError) or "password" in str(error)):
                reason = "it asks for a password; write it into the address, or set PGPASSWORD"
                raise EngineError(self.url, reason) from None
            self._broken = True
            cause = error.__cause__ or error
            raise EngineAway(self.url, f"it cannot be reached ({_reason(cause)})") from None

    def _told(self, error: Exception) -> EngineError:
        said = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        code, message = str(said.get("C", "")), str(said.get("M", error))
        way_out = f"; {_WAYS_OUT[code]}" if code in _WAYS_OUT else ""
        if code in _SLOW:
            return EngineAway(self.url, f"it took too long ({message})")
        if code.startswith(_GONE):
            self._broken = True
            kind = NoRoom if code == FULL else EngineAway
            return kind(self.url, f"it cannot answer now ({message}){way_out}")
        return Refused(self.url, f"it refuses: {message} ({code}){way_out}", code)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What led to it, from the last to the first."""
    before: BaseException | None = error
    while before is not None:
        yield before
        before = before.__cause__ or before.__context__


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__
