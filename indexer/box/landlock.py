"""Landlock: no file or folder but those that are named, no TCP port, no process outside.

It holds for the calling thread and those it starts; what is open already stays open.
Source: https://docs.kernel.org/userspace-api/landlock.html, ABI 1 to 7; rights of later ABIs are
left to seccomp.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable

from indexer.box.linux import (
    LANDLOCK_ADD_RULE,
    LANDLOCK_CREATE_RULESET,
    LANDLOCK_RESTRICT_SELF,
    system_call,
)

ASK_VERSION = 1
PATH_BENEATH = 1
EXECUTE, READ_FILE, READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
# How many of the rights on files each ABI knows: bits from 0, from "execute" on.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
NETWORK_SINCE, TCP_RIGHTS = 4, 0b11  # bind, connect
# of names of Unix sockets without a file, and of signals to processes outside
SCOPES_SINCE, SCOPES = 6, 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _Rule(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("place", ctypes.c_int32))


def refuse_everything() -> int:
    """A set of rules that allows nothing; needs `no_new_privs`.

    :returns: the kernel's ABI of Landlock.
    :raises OSError: where the kernel has no Landlock, or it is turned off.
    """
    return refuse_all_but()


def refuse_all_but(programs: Iterable[str] = (), descriptors: Iterable[int] = ()) -> int:
    """As `refuse_everything`, with a few places that may be read.

    :param programs: paths of which files, and those below them, may be read and run; what is not
        there is passed over.
    :param descriptors: open files that may be opened again, to be read.
    :returns: the kernel's ABI of Landlock.
    :raises OSError: where the kernel has no Landlock, or it is turned off.
    """
    abi = system_call(LANDLOCK_CREATE_RULESET, None, 0, ASK_VERSION)
    rules = _Ruleset(
        files=(1 << FILE_RIGHTS[min(abi, max(FILE_RIGHTS))]) - 1,
        network=TCP_RIGHTS if abi >= NETWORK_SINCE else 0,
        scopes=SCOPES if abi >= SCOPES_SINCE else 0,
    )
    # Fields that an older kernel does not know are 0, which it takes.
    pointer = ctypes.c_void_p(ctypes.addressof(rules))
    ruleset = system_call(LANDLOCK_CREATE_RULESET, pointer, ctypes.sizeof(rules), 0)
    for path in programs:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        is_folder = stat.S_ISDIR(os.fstat(place).st_mode)
        _allow(ruleset, place, EXECUTE | READ_FILE | (READ_FOLDER if is_folder else 0))
        os.close(place)
    for descriptor in descriptors:
        _allow(ruleset, descriptor, READ_FILE)
    # The descriptor stays open: it gives nothing, and ends with the process.
    system_call(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    return abi


def _allow(ruleset: int, place: int, rights: int) -> None:
    rule = _Rule(rights=rights, place=place)
    pointer = ctypes.c_void_p(ctypes.addressof(rule))
    system_call(LANDLOCK_ADD_RULE, ruleset, PATH_BENEATH, pointer, 0)
