"""The filter's answers, worked out by a slow reading of its lines, for both machines."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from indexer.box.seccomp import (
    ABOVE,
    ALLOW,
    AT_LEAST,
    EQUAL,
    HAS_BITS,
    LOAD,
    MACHINES,
    MISSING,
    REFUSE,
    RETURN,
    program,
)

PID = 4_321
X86_64, AARCH64 = "x86_64", "aarch64"


def answer(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the kernel would do with a call."""
    arguments = (*arguments, *(0,) * (6 - len(arguments)))
    told = struct.pack(
        "<IIQ6Q",
        number,
        MACHINES[machine][0] if audit is None else audit,
        0,
        *(argument % 2**64 for argument in arguments),
    )
    lines = program(machine, PID)
    at = loaded = 0
    tests: dict[int, Callable[[int], bool]] = {
        EQUAL: lambda value: loaded == value,
        ABOVE: lambda value: loaded > value,
        AT_LEAST: lambda value: loaded >= value,
        HAS_BITS: lambda value: bool(loaded & value),
    }
    while True:
        operation, if_true, if_false, value = lines[at]
        at += 1
        if operation == RETURN:
            return value
        if operation == LOAD:
            (loaded,) = struct.unpack_from("<I", told, value)
        else:
            at += if_true if tests[operation](value) else if_false


@pytest.mark.parametrize(
    ("machine", "number", "name"),
    [
        (X86_64, 2, "open"),
        (X86_64, 257, "openat"),
        (X86_64, 41, "socket"),
        (X86_64, 42, "connect"),
        (X86_64, 46, "sendmsg"),
        (X86_64, 57, "fork"),
        (X86_64, 59, "execve"),
        (X86_64, 62, "kill"),
        (X86_64, 72, "fcntl"),
        (X86_64, 101, "ptrace"),
        (X86_64, 157, "prctl"),
        (X86_64, 310, "process_vm_readv"),
        (X86_64, 0x40000000, "read of x32"),
        # number 56 is clone on x86-64
        (AARCH64, 56, "openat"),
        (AARCH64, 198, "socket"),
        (AARCH64, 203, "connect"),
        (AARCH64, 221, "execve"),
        (AARCH64, 129, "kill"),
        (AARCH64, 117, "ptrace"),
        (AARCH64, 25, "fcntl"),
    ],
)
def test_calls_that_reach_outside_are_refused(machine: str, number: int, name: str) -> None:
    assert answer(machine, number) == REFUSE, name


@pytest.mark.parametrize(
    ("machine", "read", "clone", "mmap", "close", "tgkill"),
    [(X86_64, 0, 56, 9, 3, 234), (AARCH64, 63, 220, 222, 57, 131)],
)
def test_arguments_decide_where_a_call_is_both_needed_and_dangerous(
    machine: str, read: int, clone: int, mmap: int, close: int, tgkill: int
) -> None:
    assert answer(machine, read, 0) == ALLOW
    assert answer(machine, clone, 0x3D0F00) == ALLOW  # glibc's flags of a thread
    assert answer(machine, clone, 0x1200011) == REFUSE  # and of a fork
    assert answer(machine, mmap, 0, 4096, 3) == ALLOW
    assert answer(machine, mmap, 0, 4096, 5) == REFUSE  # read and execute
    assert [answer(machine, close, number) for number in (0, 1, 2, 3)] == [REFUSE] * 3 + [ALLOW]
    assert answer(machine, tgkill, PID, 7, 6) == ALLOW
    assert answer(machine, tgkill, PID + 1, 7, 6) == REFUSE


def test_only_open_files_are_looked_at_and_no_limit_is_set() -> None:
    newfstatat, prlimit64 = 262, 302
    assert answer(X86_64, newfstatat, 5, 0, 0, 0x1000) == ALLOW
    assert answer(X86_64, newfstatat, -100, 0, 0, 0x1000) == REFUSE
    assert answer(X86_64, newfstatat, 5, 0, 0, 0) == REFUSE
    assert answer(X86_64, prlimit64, 0, 7, 0, 1) == ALLOW
    assert answer(X86_64, prlimit64, 0, 7, 1 << 40, 1) == REFUSE
    assert answer(X86_64, prlimit64, 99, 7, 0, 1) == REFUSE


def test_newer_calls_are_missing_and_those_of_another_machine_refused() -> None:
    assert answer(X86_64, 435) == MISSING  # clone3: glibc goes on with clone
    assert answer(AARCH64, 425) == MISSING  # io_uring_setup
    assert answer(X86_64, 3, 5, audit=0x40000003) == REFUSE  # read of 32-bit x86
