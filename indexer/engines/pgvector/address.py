"""Where a Postgres is, read from its URL. A password is never printed, not even in a complaint."""

from __future__ import annotations

import getpass
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from indexer.errors import BadRequest

_PORT = 5432
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_OPTIONS = ("host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "options")


@dataclass(frozen=True, slots=True)
class Address:
    """A database, and as whom to connect to it."""

    host: str  # a name, an address, or a folder with a socket in it
    port: int
    user: str
    database: str
    password: str | None = field(default=None, repr=False)
    sslmode: str = "prefer"
    sslrootcert: str | None = None  # a file of certificates; None: the system's
    options: str | None = None  # for the server, as "-csearch_path=lakes"

    @classmethod
    def parse(cls, url: str, environ: Mapping[str, str] = os.environ) -> Address:
        """Read postgresql://user:password@host:port/database?sslmode=verify-full, as libpq does.

        What is left out comes from PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE.

        :raises BadRequest: if it is none; the URL itself is not in the message.
        """
        try:
            parts = urlsplit(url)
            said = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _bad(
                "it cannot be read; write postgresql://USER@HOST:PORT/DATABASE, with %40 for an @ "
                "in a name or a password"
            ) from None
        for name in said.keys() - set(_OPTIONS):
            raise _bad(f"there is no {name!r}; after the ? there may be {', '.join(_OPTIONS)}")
        user = unquote(parts.username or "") or said.get("user") or environ.get("PGUSER")
        path = unquote(parts.path.removeprefix("/"))
        number = said.get("port") or environ.get("PGPORT") or str(_PORT)
        if port is None and not (number.isascii() and number.isdigit() and int(number) < 65_536):
            raise _bad(f"{number!r} is no port")
        user = user or _own_name()
        found = cls(
            host=said.get("host") or host or environ.get("PGHOST") or "localhost",
            port=int(number) if port is None else port,
            user=user,
            database=path or said.get("dbname") or environ.get("PGDATABASE") or user,
            password=unquote(parts.password or "")
            or said.get("password")
            or environ.get("PGPASSWORD"),
            sslmode=said.get("sslmode", "prefer"),
            sslrootcert=said.get("sslrootcert"),
            options=said.get("options"),
        )
        if found.sslmode not in _MODES:
            raise _bad(f"{found.sslmode!r} is no sslmode; there are {', '.join(_MODES)}")
        return found

    @property
    def url(self) -> str:
        """Without the password."""
        user, database = quote(self.user, safe=""), quote(self.database, safe="")
        if self.socket is not None:
            return f"postgresql://{user}@/{database}?host={quote(self.host)}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{user}@{host}:{self.port}/{database}"

    @property
    def socket(self) -> str | None:
        """The path of its Unix socket; None: it is reached over TCP."""
        if not self.host.startswith("/"):
            return None
        return str(PurePosixPath(self.host) / f".s.PGSQL.{self.port}")

    def tls(self) -> ssl.SSLContext | bool | None:
        """As pg8000 takes it: False: never; None: if the server has it; True: without a look at
        whose it is.

        :raises BadRequest: if the certificates cannot be read.
        """
        if self.socket is not None or self.sslmode == "disable":
            return False
        if self.sslmode in ("allow", "prefer"):
            return None
        if self.sslmode == "require" and self.sslrootcert is None:
            return True
        try:
            context = ssl.create_default_context(cafile=self.sslrootcert)
        except OSError as error:
            raise _bad(f"sslrootcert {self.sslrootcert}: {error.strerror or error}") from None
        context.check_hostname = self.sslmode == "verify-full"
        return context


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # as in a container, for a number without a name
        raise _bad("it names no user; write postgresql://USER@HOST/DATABASE") from None


def _bad(reason: str) -> BadRequest:
    return BadRequest("ENGINE", f"the address of the database: {reason}")
