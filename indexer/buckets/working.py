"""A working copy: the folder on this machine in which a lake in a bucket is worked on.

Segments are written, checked and merged on a disk. So the lake is pulled, worked on, and published,
each as far as anything is new. The folder is a lake like any other, and can be deleted whenever
nothing works in it: what was published is in the bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from indexer.buckets.origins import read_origins
from indexer.buckets.publishing import check_not_foreign
from indexer.buckets.pulling import PullReport, pull_lake
from indexer.buckets.store import Bucket
from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.embed.model_cache import cache_folder
from indexer.errors import BucketError, LakeNotFound
from indexer.report import Progress


def default_working_copy(url: str) -> Path:
    """The same for the same URL, in the folder of caches (LAKESIFT_CACHE)."""
    url = Bucket.open(url).url
    mark = hashlib.sha256(url.encode()).hexdigest()[:12]
    return cache_folder() / "buckets" / mark / url.rpartition("/")[2]


def bring_working_copy(
    url: str,
    folder: Path,
    *,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PullReport | None:
    """Bring a working copy to what the bucket has. What it has of its own, as after a run that was
    not published, stays.

    :returns: None where the bucket has no lake yet.
    :raises BucketError: as `pull_lake`, and if the bucket had this lake and has it no more: a lake
        that somebody took away does not come back by itself. If there are other things in its
        folder.
    """
    try:
        return pull_lake(url, folder, config=config, progress=progress, should_stop=should_stop)
    except LakeNotFound:
        bucket, layout = Bucket.open(url), Layout(folder)
        if layout.manifest.exists() and bucket.url in read_origins(layout):
            raise BucketError(
                bucket.url,
                f"the lake is no longer there, and its working copy {folder} still is: `lakesift publish {folder} "
                f"{url}` brings it back; delete that folder to begin anew",
            ) from None
        check_not_foreign(bucket, bucket.names())
    return None
