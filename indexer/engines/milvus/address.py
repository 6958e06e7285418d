"""Where a Milvus is, read from its URL. A password or token is never printed, not even in a
complaint.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from indexer.errors import BadRequest

PORT = 19530
_LITE = "milvus+lite"
# As pymilvus calls them, each a file.
_FILES = ("server_pem_path", "ca_pem_path", "client_pem_path", "client_key_path")
_OPTIONS = ("db", "secure", "server_name", *_FILES)
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Address:
    """A server and a database on it, or a folder of Milvus Lite."""

    host: str = ""
    port: int = PORT
    database: str = ""  # "": the one that every server has
    user: str = ""
    token: str | None = field(default=None, repr=False)  # a token, or USER:PASSWORD
    tls: tuple[tuple[str, str], ...] | None = None  # what pymilvus takes beside; None: no TLS
    folder: Path | None = None  # of Milvus Lite, which runs in this process; None: a server

    @classmethod
    def parse(cls, url: str, environ: Mapping[str, str] = os.environ) -> Address:
        """Read milvus://user:password@host:port/database?secure=true, or milvus+lite://lakes.db,
        which is a path and needs a third slash where it begins at the root.

        What is left out comes from MILVUS_TOKEN: a token, or USER:PASSWORD.

        :raises BadRequest: if it is none; the URL itself is not in the message.
        """
        scheme, _, rest = url.partition("://")
        if scheme == _LITE:
            return cls._lite(rest)
        try:
            parts = urlsplit(url)
            said = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _bad(
                "it cannot be read; write milvus://HOST:PORT/DATABASE, with %40 for an @ in a name or a password"
            ) from None
        for name in said.keys() - set(_OPTIONS):
            raise _bad(f"there is no {name!r}; after the ? there may be {', '.join(_OPTIONS)}")
        if not host:
            raise _bad("it names no host; write milvus://HOST:PORT/DATABASE")
        database = unquote(parts.path.strip("/"))
        if "/" in database:
            raise _bad("it names more than one database")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        token = (f"{user}:{password}" if user else password) if password else None
        return cls(
            host=host,
            port=port or PORT,
            database=said.get("db") or database,
            user=user,
            token=token or environ.get("MILVUS_TOKEN"),
            tls=_tls(said),
        )

    @classmethod
    def _lite(cls, path: str) -> Address:
        folder = Path(unquote(path))
        if folder.suffix != ".db" or "?" in path:
            raise _bad(
                "a folder of Milvus Lite is called SOMETHING.db; write milvus+lite://lakes.db, or "
                "milvus+lite:///srv/lakes.db from the root"
            )
        return cls(folder=folder.absolute())

    @property
    def url(self) -> str:
        """Without what is secret."""
        if self.folder is not None:
            return f"{_LITE}://{self.folder}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        database = f"/{quote(self.database, safe='')}" if self.database else ""
        return f"milvus://{user}{host}:{self.port}{database}"

    def given(self) -> dict[str, Any]:
        """What pymilvus's client is made with."""
        if self.folder is not None:
            return {"uri": str(self.folder)}
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "http" if self.tls is None else "https"
        uri = f"{scheme}://{host}:{self.port}"
        return {
            "uri": uri,
            "token": self.token or "",
            "db_name": self.database,
            "secure": self.tls is not None,
            **dict(self.tls or ()),
        }


def _tls(said: Mapping[str, str]) -> tuple[tuple[str, str], ...] | None:
    chosen = tuple((name, said[name]) for name in ("server_name", *_FILES) if name in said)
    secure = said.get("secure", "true" if chosen else "false").lower()
    if secure not in _TRUTHS:
        raise _bad(f"{secure!r} is no secure; that is true or false")
    for name, path in chosen:
        if name in _FILES and not Path(path).is_file():
            raise _bad(f"{name} {path}: there is no such file")
    return chosen if _TRUTHS[secure] else None


def _bad(reason: str) -> BadRequest:
    return BadRequest("ENGINE", f"the address of the Milvus: {reason}")
