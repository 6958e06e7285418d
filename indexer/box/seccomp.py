"""A list of the system calls that work on open descriptors, memory and threads; all others fail.

So there is no opening of files, no socket, no new process, no signal to others, no tracing, no
memory that is made executable. Calls that are refused fail with EPERM and do not kill: codecs ask
for things that they can do without. Calls newer than this list fail as on a kernel that lacks them.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html; numbers from Linux 6.1,
asm/unistd_64.h and asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from indexer.box.linux import machine, system_call

# machine -> its name in audit.h, the number of `seccomp`
MACHINES = {"x86_64": (0xC000003E, 317), "aarch64": (0xC00000B7, 277)}

# name -> number on x86-64, on aarch64; None where it does not exist
ALLOWED = {
    # descriptors that are open
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "poll": (7, None),
    "ppoll": (271, 73),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    # memory
    "brk": (12, 214),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    # threads
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # signals to itself
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    # the clock, chance, the machine
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
}
# Of these, what the arguments say decides.
CLOSE, MMAP, MPROTECT, CLONE = (3, 57), (9, 222), (10, 226), (56, 220)
TGKILL, PRLIMIT64, NEWFSTATAT = (234, 131), (302, 261), (262, 79)

# What a program that only computes never needs: others' processes, the network, the system itself.
REACHING_OUT = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "fork": (57, None),
    "vfork": (58, None),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "open_by_handle_at": (304, 265),
}

KEPT_OPEN = 2  # descriptors up to this one cannot be closed
PROT_EXEC = 4
CLONE_THREAD = 0x10000
AT_EMPTY_PATH, AT_FDCWD = 0x1000, 0xFFFFFF9C
FIRST_NEW = 424  # from here on numbers are the same everywhere; clone3, openat2, io_uring are here
X32 = 0x40000000  # another table of calls of the same machine

SECCOMP_SET_MODE_FILTER = 1
# all threads; the second spares old kernels' brake on all of a process that is filtered
TSYNC, SPEC_ALLOW = 1, 4

ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | errno.EPERM
MISSING = 0x00050000 | errno.ENOSYS

# Classic BPF: load a word of what the kernel tells, compare, return.
LOAD, EQUAL, ABOVE, AT_LEAST, HAS_BITS, RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
NUMBER, MACHINE = 0, 4  # where they are in what the kernel tells

Program = list[tuple[int, int, int, int]]  # operation, skipped if true, skipped if false, value


def refuse_all_but_open_work() -> None:
    """Filter this process, all its threads; needs `no_new_privs`.

    :raises OSError: where the kernel has no such filter, or its machine is not listed here.
    """
    name = _listed_machine()
    _filter(name, program(name, os.getpid()))


def refuse_reaching_out() -> None:
    """Filter a process that will run a program of the system, which opens its libraries itself: no
    network, no new process, no signal to others and nothing of REACHING_OUT; needs `no_new_privs`.

    :raises OSError: as `refuse_all_but_open_work`.
    """
    name = _listed_machine()
    column = list(MACHINES).index(name)
    lines = _beginning(name)
    for numbers in REACHING_OUT.values():
        if (number := numbers[column]) is not None:
            lines += _if(EQUAL, number, REFUSE)
    is_thread = (LOAD, 0, 0, _low(0)), (HAS_BITS, 1, 0, CLONE_THREAD), (RETURN, 0, 0, REFUSE)
    lines += [(EQUAL, 0, len(is_thread), CLONE[column]), *is_thread, (RETURN, 0, 0, ALLOW)]
    _filter(name, lines)


def _listed_machine() -> str:
    name = machine()
    if name not in MACHINES:
        raise OSError(errno.ENOSYS, "no list of system calls for this machine")
    return name


def _filter(name: str, lines: Program) -> None:
    code = b"".join(struct.pack("<HBBI", *line) for line in lines)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: how many lines, and where
    head = struct.pack("<HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    filter_ = ctypes.create_string_buffer(head, len(head))
    pointer = ctypes.c_void_p(ctypes.addressof(filter_))
    number = MACHINES[name][1]
    if system_call(number, SECCOMP_SET_MODE_FILTER, TSYNC | SPEC_ALLOW, pointer):
        raise OSError(errno.EBUSY, "a thread could not be filtered")


def program(name: str, pid: int) -> Program:
    """The filter of a machine in MACHINES.

    :param pid: of the process, which may send signals to itself alone.
    """
    column = list(MACHINES).index(name)
    lines = _beginning(name)
    for numbers in ALLOWED.values():
        if (number := numbers[column]) is not None:
            lines += _if(EQUAL, number, ALLOW)
    for numbers, conditions in {
        CLOSE: [(_low(0), ABOVE, KEPT_OPEN, True)],
        MMAP: [(_low(2), HAS_BITS, PROT_EXEC, False)],
        MPROTECT: [(_low(2), HAS_BITS, PROT_EXEC, False)],
        CLONE: [(_low(0), HAS_BITS, CLONE_THREAD, True)],
        TGKILL: [(_low(0), EQUAL, pid, True)],
        # only asked for what this process's own limits are
        PRLIMIT64: [
            (_low(0), EQUAL, 0, True),
            (_low(2), EQUAL, 0, True),
            (_low(2) + 4, EQUAL, 0, True),
        ],
        # glibc's fstat
        NEWFSTATAT: [
            (_low(0), EQUAL, AT_FDCWD, False),
            (_low(3), EQUAL, AT_EMPTY_PATH, True),
        ],
    }.items():
        block: Program = []
        for word, operation, value, wanted in conditions:
            block += [
                (LOAD, 0, 0, word),
                (operation, int(wanted), int(not wanted), value),
                (RETURN, 0, 0, REFUSE),
            ]
        block.append((RETURN, 0, 0, ALLOW))
        lines += [(EQUAL, 0, len(block), numbers[column]), *block]
    return [*lines, (RETURN, 0, 0, REFUSE)]


def _beginning(name: str) -> Program:
    return [
        (LOAD, 0, 0, MACHINE),
        (EQUAL, 1, 0, MACHINES[name][0]),
        (RETURN, 0, 0, REFUSE),
        (LOAD, 0, 0, NUMBER),
        *_if(AT_LEAST, X32, REFUSE),
        *_if(AT_LEAST, FIRST_NEW, MISSING),
    ]


def _if(operation: int, value: int, answer: int) -> Program:
    return [(operation, 0, 1, value), (RETURN, 0, 0, answer)]


def _low(argument: int) -> int:
    """Where the lower half of a call's argument is."""
    return 16 + 8 * argument
