"""The few calls of the Linux kernel that Python has no name for.

Written here on ctypes, since no package is fit to be depended on: pyseccomp (2021) and libseccomp's
own bindings need a library of the system, under the LGPL; those for Landlock are a first try each.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import cache

PR_SET_NO_NEW_PRIVS = 38
LANDLOCK_CREATE_RULESET = 444  # this and the next have the same numbers on every architecture
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446


def machine() -> str | None:
    """As "x86_64" or "aarch64"; None where system calls are not Linux's of 64 bits."""
    is_linux = sys.platform == "linux" and sys.maxsize > 2**32 and sys.byteorder == "little"
    return platform.machine() if is_linux else None


def system_call(number: int, *arguments: int | ctypes.c_void_p | None) -> int:
    """:raises OSError: with what the kernel says."""
    return _checked(_libc().syscall(ctypes.c_long(number), *map(_wide, arguments)))


def set_no_new_privs() -> None:
    """From now on nothing that is started gains rights, by setuid or otherwise.

    :raises OSError: with what the kernel says.
    """
    _checked(_libc().prctl(PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))))


def _wide(argument: int | ctypes.c_void_p | None) -> ctypes.c_long | ctypes.c_void_p:
    return (
        ctypes.c_long(argument)
        if isinstance(argument, int)
        else ctypes.c_void_p(None)
        if argument is None
        else argument
    )


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc
