"""A lake on disk that follows its copy in a bucket: pull, wait, pull again. Services that serve the
lake see each new snapshot by themselves, so that replicas on any machines have the same one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from indexer.buckets.pulling import PullReport, pull_lake
from indexer.buckets.store import Bucket
from indexer.config import IndexConfig
from indexer.errors import BadRequest, LakeError
from indexer.report import Progress
from indexer.run.writing.compact import vacuum_lake

INTERVAL_S = 30.0
KEEP_S = 86_400.0  # old snapshots are kept for a day
VACUUM_EVERY_S = 3_600.0
COMPARE_EVERY_S = 600.0
_LOOK_S = 0.2  # how soon a wish to stop is seen
_MOST_INTERVALS = 10  # between two pulls while the bucket cannot be read


def follow(
    url: str,
    lake: Path,
    *,
    interval_s: float = INTERVAL_S,
    keep_s: float = KEEP_S,
    at_most: int | None = None,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[PullReport | LakeError]:
    """Yields after each pull that brought something, and where one failed otherwise than the one
    before; ends when it is asked to stop.

    A failure of the first pull is raised: a mistyped name is not waited for.

    :param interval_s: seconds from the end of a pull to the next; up to ten times as long while
        pulls fail.
    :param keep_s: once an hour snapshots are deleted that were current longer ago, as `vacuum`
        does: their files take disk.
    :param at_most: bytes that the lake's folder may take, as for `pull_lake`.
    :raises BadRequest: if interval_s is below 1, or url names no folder in a bucket.
    """
    if interval_s < 1:
        raise BadRequest("--interval", "it is at least one second")
    last: str | None = None
    is_first, wait_s, vacuumed = True, interval_s, float("-inf")
    seen, pulled = None, float("-inf")
    while not should_stop():
        try:
            # One listing tells that nothing was put there; now and then all is compared, for what
            # was lost or changed here.
            there = Bucket.open(url).names()
            if there == seen and time.monotonic() < pulled + COMPARE_EVERY_S:
                report = None
            else:
                report = pull_lake(
                    url,
                    lake,
                    config=config,
                    at_most=at_most,
                    progress=progress,
                    should_stop=should_stop,
                )
                seen, pulled = (None if report.interrupted else there), time.monotonic()
        except LakeError as error:
            seen = None
            if is_first:
                raise
            wait_s = min(2 * wait_s, _MOST_INTERVALS * interval_s)
            if str(error) != last:
                yield error
            last = str(error)
        else:
            wait_s = interval_s
            if report is not None and (is_first or last is not None or report.fetched_files):
                yield report
            last = None
            if time.monotonic() > vacuumed + VACUUM_EVERY_S:
                vacuumed = time.monotonic()
                with suppress(LakeError):  # the next pull tries again
                    vacuum_lake(lake, keep_s=keep_s)
        is_first = False
        until = time.monotonic() + wait_s
        while time.monotonic() < until and not should_stop():
            time.sleep(_LOOK_S)
