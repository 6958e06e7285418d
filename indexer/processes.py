"""How lakesift starts Python in a process of its own,
which never runs code that lies in the caller's folder.

`python -m` and `python -c` look for every module in the current folder first, and so does an empty
entry of PYTHONPATH: in a folder of photos that holds somebody's json.py, that file would run. A
process of ours is isolated (`-I`: no current folder, no PYTHON variables), imports from where its
parent does, the current folder left out, and stands in the root folder.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

import indexer

# Where such a process stands: nothing that somebody else may write lies there.
FOLDER = os.path.abspath(os.sep)  # noqa: PTH100 - pathlib would give an object, and this names a place once
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(indexer.__file__)))  # noqa: PTH100, PTH120 - likewise
# What a process needs of its caller's environment to start at all: where libraries of a Python that
# was not installed by the system lie, and in which letters the names of folders are written.
NEEDED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LC_ALL", "LC_CTYPE", "LANG", "SYSTEMROOT")
_PATH = "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); del sys.argv[0]; "
_RUN = _PATH + "import runpy; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"


def python_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours, as `python -m` would;
    to be started with `cwd=FOLDER`.

    :param arguments: paths among them have to be absolute.
    """
    return _python(_RUN, module, *arguments)


def python_code(code: str, *arguments: str) -> list[str]:
    """As `python_command`, for a few lines of our own, as `python -c` would."""
    return _python(_PATH + code, "-c", *arguments)


def _python(code: str, *arguments: str) -> list[str]:
    without_bytecode = ["-B"] if sys.dont_write_bytecode else []
    return [
        sys.executable,
        "-I",
        *without_bytecode,
        "-c",
        code,
        *arguments,
        json.dumps(import_path()),
    ]


def bare_environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that gets nothing of its caller's, such as keys and
    addresses of proxies.

    :param own: what it is given besides.
    """
    return {**{name: os.environ[name] for name in NEEDED if name in os.environ}, **own}


def import_path() -> list[str]:
    """Where this process imports from, without the current folder;
    lakesift's own folder is always among it.
    """
    here = _current_folder()
    path = [entry for entry in sys.path if os.path.isabs(entry)]  # noqa: PTH117 - they are text
    path = [entry for entry in path if os.path.realpath(entry) not in here or _is_ours(entry)]
    return path if any(map(_is_ours, path)) else [*path, ROOT]


def absolute(path: bytes) -> bytes:
    """The path for a process that stands elsewhere; links and `..` in it mean what they meant."""
    return path if os.path.isabs(path) else os.path.join(os.getcwdb(), path)  # noqa: PTH109, PTH117, PTH118 - bytes


def _current_folder() -> set[str]:
    try:
        return {os.path.realpath(os.getcwd())}  # noqa: PTH109
    except OSError:  # it is gone
        return set()


def _is_ours(entry: str) -> bool:
    return os.path.realpath(entry) == os.path.realpath(ROOT)
