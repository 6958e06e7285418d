"""One client of Milvus, and its errors as ours. Knows no collection.

pymilvus is the client, which threads may share: it goes over to a new connection by itself when one
is lost.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from indexer.engines.milvus.address import Address
from indexer.errors import EngineAway, EngineError, LakeError

CONNECT_WITHIN_S = 3.0
NOT_LOADED = 101  # of a collection that is there, and not in memory
_NO_CONNECTION = 2
# Servers have had several codes for it.
_NO_DATABASE = re.compile(r"^database\b.*\b(not exist|not found)\b", re.IGNORECASE)
# Of reads and writes alike: what was written before is seen.
STRONG = "Strong"

_importing = threading.Lock()
# Of Milvus Lite's folders, how many connections of this process are on each.
_opened: Counter[Path] = Counter()


class Connection:
    """May be used by several threads at once; connects when it is first used."""

    def __init__(self, address: Address, *, patience_s: float | None = None) -> None:
        """:param patience_s: for an answer; None: for ever."""
        self._address, self._patience_s = address, patience_s
        self.url = address.url
        self._native: Any = None
        self._is_lite = False
        self._connecting = threading.Lock()

    def call(self, name: str, *args: object, **kwargs: object) -> Any:
        """One of pymilvus's calls, by its name.

        :raises EngineAway: if it cannot be reached, or takes too long.
        :raises EngineError: if it refuses.
        """
        kwargs.setdefault("timeout", self._patience_s)
        with self._telling():
            return getattr(self._client(), name)(*args, **kwargs)

    def read(self, name: str, collection: str, **kwargs: object) -> Any:
        """A call that needs the collection in memory: where Milvus Lite was started anew it is
        read in first.

        :raises EngineAway, EngineError: as `call` does.
        """
        try:
            return self.call(name, collection, consistency_level=STRONG, **kwargs)
        except _Refused as error:
            if error.code != NOT_LOADED or not self.is_lite:
                raise
        self.call("load_collection", collection, timeout=None)
        return self.call(name, collection, consistency_level=STRONG, **kwargs)

    def every(self, collection: str, where: str, fields: list[str], at_once: int) -> Iterator[Any]:
        """What is in a collection, in lists of dicts of at most so many rows.

        :raises EngineAway, EngineError: as `call` does.
        """
        kwargs: dict[str, Any] = {"filter": where, "output_fields": fields, "batch_size": at_once}
        reading = self.read("query_iterator", collection, **kwargs)
        try:
            while True:
                with self._telling():
                    rows = reading.next()
                if not rows:
                    return
                yield rows
        finally:
            reading.close()

    @property
    def is_lite(self) -> bool:
        """Whether Milvus Lite answers, in this process or as a server."""
        with self._telling():
            self._client()
        return self._is_lite

    def close(self) -> None:
        with self._connecting:
            if self._native is None:
                return
            with suppress(Exception):  # it may be gone already, however it went
                self._native.close()
            self._native = None
            if self._address.folder is not None:
                _release(self._address.folder)

    def _client(self) -> Any:
        with self._connecting:
            if self._native is None:
                self._native = self._connected()
            return self._native

    def _connected(self) -> Any:
        make: Any = pymilvus().MilvusClient
        folder = self._address.folder
        if folder is not None:
            _retain(self._address)
        try:
            # Of its own: pymilvus hands one connection to all who name the same address, and
            # keeps that when they have closed it.
            found = make(**self._address.given(), timeout=CONNECT_WITHIN_S, dedicated=True)
            self._is_lite = "lite" in str(found.get_server_version(timeout=CONNECT_WITHIN_S))
        except BaseException:
            if folder is not None:
                _release(folder)
            raise
        return found

    @contextmanager
    def _telling(self) -> Iterator[None]:
        library = pymilvus()
        import grpc

        try:
            yield
        except library.exceptions.ConnectionConfigException as error:
            raise EngineAway(self.url, self._unopened(error.message)) from None
        except library.MilvusException as error:
            raise self._told(error.code, error.message) from None
        except grpc.RpcError as error:
            said: Any = error
            raise self._told(said.code(), said.details()) from None

    def _told(self, code: Any, message: str) -> EngineError:
        import grpc

        reason = " ".join(str(message).split())
        if code == grpc.StatusCode.DEADLINE_EXCEEDED or "Retry timeout" in reason:
            return EngineAway(self.url, "it took too long")
        if code in (_NO_CONNECTION, grpc.StatusCode.UNAVAILABLE):
            return EngineAway(self.url, "it cannot be reached")
        way_out = "; make it there first" if _NO_DATABASE.search(reason) else ""
        return _Refused(self.url, f"it refuses: {reason}{way_out}", code)

    def _unopened(self, message: str) -> str:
        if self._address.folder is None:
            return f"it cannot be reached ({message})"
        if not self._address.folder.parent.is_dir():
            return f"there is no folder {self._address.folder.parent}"
        return (
            "it cannot be opened: a folder of Milvus Lite is for one process at a time, so another one has it, or it "
            "is none; for several run: milvus-lite server --data-dir FOLDER --host 127.0.0.1"
        )


class _Refused(EngineError):
    def __init__(self, url: str, reason: str, code: Any) -> None:
        super().__init__(url, reason)
        self.code = code


def pymilvus() -> Any:
    """:raises LakeError: if it is not installed."""
    with _importing:
        try:
            # So that it reads no .env file that happens to lie in a folder above it.
            before = os.environ.get("PYTHON_DOTENV_DISABLED")
            os.environ["PYTHON_DOTENV_DISABLED"] = "true"
            found = importlib.import_module("pymilvus")
        except ImportError:
            raise LakeError(
                "Milvus is spoken to by pymilvus, which is not installed: pip install 'lakesift[milvus]'"
            ) from None
        finally:
            if before is None:
                del os.environ["PYTHON_DOTENV_DISABLED"]
            else:
                os.environ["PYTHON_DOTENV_DISABLED"] = before
        # What goes wrong is raised, and told by us; these print it beside, with its trace.
        for name in ("pymilvus", "pymilvus.milvus_client", "milvus_lite"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        return found


def _retain(address: Address) -> None:
    assert address.folder is not None
    try:
        importlib.import_module("milvus_lite.server_manager")
    except ImportError:
        raise LakeError(
            "a folder of Milvus Lite is opened by milvus-lite, which is not installed: pip install milvus-lite"
        ) from None
    _opened[address.folder] += 1


def _release(folder: Path) -> None:
    """Whoever closes a folder last lets other processes have it."""
    _opened[folder] -= 1
    if not _opened[folder]:
        manager: Any = importlib.import_module("milvus_lite.server_manager")
        manager.server_manager_instance.release_server(str(folder))
