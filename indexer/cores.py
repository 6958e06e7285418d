"""How many processor cores this process may use.

A scheduler gives a job a few cores of a large machine: Slurm by its affinity, a container by its
quota. As many threads as the machine has cores would then wait for one another.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


@cache
def usable_cores() -> int:
    """Cores that this process may run on, as it was when first asked for: by its affinity, its
    container, and LAKESIFT_CORES, for schedulers that tell of neither, as Ray.
    """
    said = os.environ.get("LAKESIFT_CORES", "")
    allowed = _allowed()
    return max(1, min(allowed, int(said))) if said.isdecimal() else allowed


def _allowed() -> int:
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # noqa: TID251 - the one place
    )
    try:
        # docker run --cpus 2
        limit = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii")
        quota, period = limit.split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))
