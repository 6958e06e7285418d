"""The hashes that tell a moved image from a new one, and a touched one from a changed one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from indexer.errors import UnreadableImage
from indexer.images import hash_bytes
from indexer.run.context import Context
from indexer.sources import ImageFile
from indexer.sources.pace import Pace

BATCH = 1_000


def hash_candidates(run: Context) -> None:
    """Hash what may be a known image under another name, or the same one touched."""
    candidates = run.plan.to_hash()
    pace = Pace(run.config.readers)
    run.bytes_of.stores.on_busy = pace.slow_down
    with ThreadPoolExecutor(pace.most) as pool:
        while batch := list(islice(candidates, BATCH)):
            hashes = pool.map(lambda file: _hash(run, file, pace), batch)
            run.plan.add_hashes([pair for pair in hashes if pair is not None])
            run.progress.advance(len(batch))
            if run.should_stop():
                return


def _hash(run: Context, file: ImageFile, pace: Pace) -> tuple[str, str] | None:
    if file.refused is not None:
        return None
    most = run.config.limits.max_bytes
    try:
        with pace:
            data = run.bytes_of.read(file.address, most, size_bytes=file.size_bytes)
    except UnreadableImage:
        # it will fail again when it is to be embedded, and be skipped with its reason
        return None
    return file.address.key, hash_bytes(data)
