"""What this user named on this machine: models, and sites that hold images.

A lake may come from somebody else, and what it names is data. A model or a site that is not
harmless in itself is used only if the user named it, which is remembered in `named.json` in the
state folder: `{"format": 1, "models": [...], "sites": [...]}`. Knows no lakes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Literal

import platformdirs
from filelock import FileLock, Timeout

from indexer.fields import Fields

Kind = Literal["models", "sites"]

TRUST_MODEL, TRUST_SITES = "LAKESIFT_TRUST_MODEL", "LAKESIFT_TRUST_SITES"
_FORMAT = 1
_LOCK_WAIT_S = 10.0
_TRUE = ("1", "true", "yes", "on")

log = logging.getLogger(__name__)

# Of this process: where nothing can be written down, what was named still counts until it ends.
_named: dict[Kind, set[str]] = {"models": set(), "sites": set()}
_naming = Lock()


def state_folder() -> Path:
    """LAKESIFT_STATE, or the user's state folder for lakesift."""
    return Path(os.environ.get("LAKESIFT_STATE") or platformdirs.user_state_dir("lakesift"))


def is_named(kind: Kind, name: str) -> bool:
    """Whether the user named it on this machine, or names it in the environment."""
    if kind == "sites" and name in _listed(TRUST_SITES):
        return True
    return name in _named[kind] or name in _read()[kind]


def named_sites() -> set[str]:
    """Those that the user named on this machine, or in the environment."""
    return {*filter(None, _listed(TRUST_SITES)), *_named["sites"], *_read()["sites"]}


def remember(kind: Kind, names: Iterable[str]) -> None:
    """The user named these. Where the state folder cannot be written, this process knows it."""
    with _naming:
        _named[kind].update(names := set(names))
        if names <= _read()[kind]:
            return
        folder = state_folder()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(folder / "named.lock", timeout=_LOCK_WAIT_S, mode=0o600):
                known = _read()
                known[kind] |= names
                _write(folder / "named.json", known)
        except (OSError, Timeout) as error:
            log.debug("what was named is not remembered in %s: %s", folder, error)


def models_are_trusted() -> bool:
    """Whether LAKESIFT_TRUST_MODEL says that any lake's model may be loaded."""
    return os.environ.get(TRUST_MODEL, "").lower() in _TRUE


def _listed(variable: str) -> list[str]:
    return [part.strip().rstrip("/") for part in os.environ.get(variable, "").split(",")]


def _read() -> dict[Kind, set[str]]:
    path = state_folder() / "named.json"
    known: dict[Kind, set[str]] = {"models": set(), "sites": set()}
    try:
        fields = Fields.parse(path.read_bytes())
        for kind in known:
            known[kind] = {name for name in fields.items(kind) if isinstance(name, str)}
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # then nothing was named, and is named again when used
        log.warning("%s cannot be read (%s): what it holds does not count", path, error)
    return known


def _write(path: Path, known: dict[Kind, set[str]]) -> None:
    document: dict[str, object] = {"format": _FORMAT}
    document |= {kind: sorted(names) for kind, names in known.items()}
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)  # of a crash: its mode may be another
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(document, ensure_ascii=False, indent=1).encode())
    beside.replace(path)
