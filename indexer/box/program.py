"""Run as a process of its own, this closes itself in and becomes a program of the system, such as
ffmpeg: the box holds for that, too.

Standard input is the one file that the program may open, read-only; it writes to standard output.
Of the system it can read and run programs and libraries alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from indexer.box.box import WITHOUT, limit
from indexer.box.landlock import refuse_all_but
from indexer.box.lifeline import die_with
from indexer.box.linux import set_no_new_privs
from indexer.box.seccomp import refuse_reaching_out

# Where systems keep programs and libraries, and nothing of their users'.
PLACES = ("/usr", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")
OPEN_FILES = 64


def main() -> None:
    """Arguments: memory in bytes, seconds of work, the descriptor of the lifeline, and the command,
    its program as an absolute path.
    """
    memory_bytes, work_s, lifeline = map(int, sys.argv[1:4])
    command = sys.argv[4:]
    # It outlives the change of programs where the kernel itself watches the parent.
    die_with(lifeline)
    limit(memory_bytes, OPEN_FILES, work_s)
    program = Path(command[0])
    # One that was installed elsewhere has its libraries beside it.
    own = (str(program), str(program.resolve()), str(program.resolve().parent.parent / "lib"))
    for build in (
        set_no_new_privs,
        lambda: refuse_all_but((*PLACES, *own), descriptors=[0]),
        refuse_reaching_out,
    ):
        try:
            build()
        except WITHOUT:
            continue
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
