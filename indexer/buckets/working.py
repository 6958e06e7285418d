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
        folder, or the folder here is of another lake.
    """
    bucket, layout = Bucket.open(url), Layout(folder)
    origins = read_origins(layout)
    way_out = (
        f"it is of another lake, or of a run that another machine's came before; name another folder with --work "
        f"({folder} stays as it is)"
    )
    if bucket.url in origins:
        way_out = (
            f"another machine published meanwhile; keep what {folder} alone has with `lakesift publish {folder} URL` "
            "to another folder of the bucket, if you want it, then delete it, and run the same command again"
        )
    try:
        return pull_lake(
            url,
            folder,
            config=config,
            progress=progress,
            should_stop=should_stop,
            way_out=way_out,
        )
    except LakeNotFound:
        if layout.manifest.exists() and bucket.url in origins:
            raise BucketError(
                bucket.url,
                f"the lake is no longer there, and its working copy {folder} still is: `lakesift publish {folder} "
                f"{url}` brings it back; delete that folder to begin anew",
            ) from None
        if layout.manifest.exists() and origins:
            raise BucketError(
                bucket.url,
                f"nothing is there yet, and {folder} is a copy of {min(origins)}: name another folder with --work; "
                f"`lakesift publish {folder} {url}` begins this lake with what it has",
            ) from None
        check_not_foreign(bucket, bucket.names())
    return None
