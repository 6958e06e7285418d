"""What every step of a run is handed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.embed import Embedder
from indexer.images.decoder import ReadSettings
from indexer.report import Progress, SyncReport
from indexer.run.embedding.pipeline import Pipeline, default_decoders
from indexer.run.embedding.unread import Unread
from indexer.run.plan.plan import Plan
from indexer.sources.bytes_of import BytesOf


@dataclass(frozen=True, slots=True)
class Context:
    layout: Layout
    config: IndexConfig
    plan: Plan
    bytes_of: BytesOf
    report: SyncReport  # is told what was done and what went wrong
    progress: Progress
    should_stop: Callable[[], bool]  # asked often; True ends the run after a last commit
    scan_started_us: int  # microseconds since the epoch
    unread: Unread = field(default_factory=Unread)  # is told whose columns could not be read

    def pipeline(self, embedder: Embedder, folder: Path, *, exact: bool) -> Pipeline:
        """The runner of this machine, by the run's knobs.

        :param folder: of the run's own; the lock for large images lies there.
        """
        lock = str(folder / "giants.lock")
        return Pipeline(
            embedder,
            ReadSettings(embedder.input_shape, self.config.limits, exact, lock),
            decoders=self.config.decoders or default_decoders(),
            readers=self.config.readers,
            batch_size=self.config.batch_size or embedder.batch_size,
            bytes_of=self.bytes_of,
        )
