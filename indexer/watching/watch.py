"""Follow a lake's sources: sync, wait until something may have changed, sync again.

Each pass is a `sync` like any other, so the lake is held for writing only while one runs, and
nothing is lost if one dies. Between two passes nothing is kept but the model and what was told.

How long is waited, so that neither disks nor people are worn out:
  - after a change on disk until things stand still, and as long as the last pass took; twice as
    long after each such pass that found nothing, as while a log is written among the photos, or a
    recording goes on for an hour;
  - else for the interval, and nine times as long as the last pass took, so that looking takes at
    most a tenth of the time;
  - while something cannot be read ever longer, up to ten intervals.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from indexer.config import IndexConfig
from indexer.disk.layout import Layout
from indexer.disk.manifest import Fingerprint, Manifest, read_manifest
from indexer.embed import Embedder
from indexer.errors import LakeError, LakeLocked
from indexer.report import Progress, SyncReport
from indexer.run.writing.compact import vacuum_lake
from indexer.sync import LoadEmbedder, sync
from indexer.watching.changes import Changes

INTERVAL_S = 30.0
STILL_S = 2.0  # a file that was modified this shortly ago is still being written
KEEP_S = 86_400.0  # old snapshots are kept for a day
VACUUM_EVERY_S = 3_600.0
# after so long with a file on its way in every pass, rows whose file is gone wait no longer
PATIENCE_S = 600.0
_LOCKED_S = 5.0  # another writer is asked again this soon
_MOST_INTERVALS = 10  # between two passes while something cannot be read


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass came to, without what the pass before told as well."""

    report: SyncReport | None  # None: it could not be made, and failure says why
    failure: str | None = None
    is_mended: bool = False  # what could not be read before can be read again

    @property
    def is_news(self) -> bool:
        """Whether there is anything to tell."""
        return self.report is None or self.is_mended or self.report.is_news


def watch(
    lake: Path,
    load_embedder: LoadEmbedder,
    *,
    interval_s: float = INTERVAL_S,
    keep_s: float | None = KEEP_S,
    roots: Mapping[str, str] | None = None,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    exact: bool = False,
    recompute: Sequence[str] = (),
    changes: Changes | None = None,
) -> Iterator[Pass]:
    """Bring a lake up to date with its sources again and again, until asked to stop; yields after
    each pass that was made, and where one failed otherwise than the one before.

    What `roots`, `recompute` and of the config `allow_empty`, `drop_damaged` and `retry_skipped`
    ask for is done once, by the first pass.

    :param load_embedder: as for `sync`; the model is kept from pass to pass.
    :param interval_s: seconds between two looks at the sources, where nothing says sooner that
        something changed.
    :param keep_s: after a pass that changed something, and at most once an hour, snapshots that
        were current longer ago than so many seconds are deleted, and the files that only they
        need; None: nothing is.
    :param should_stop: asked often; True ends the pass after a last commit, and then the watch.
    :param changes: says when something changed on disk; None: the system does.
    :raises LakeError: as `sync`, if the first pass fails; later failures are yielded, and so is
        another writer.
    """
    first = config or IndexConfig.from_env()
    first = first if first.still_s else replace(first, still_s=STILL_S)
    follower = _Follower(lake, interval_s, keep_s, changes or Changes())
    model = _Kept(load_embedder)
    try:
        while True:
            is_first = not follower.began
            now = first if is_first else _later(first)

            def once(config: IndexConfig, is_first: bool = is_first) -> SyncReport:
                return sync(
                    lake,
                    model,
                    roots=roots if is_first else None,
                    config=config,
                    progress=progress,
                    should_stop=should_stop,
                    exact=exact,
                    recompute=recompute if is_first else (),
                )

            done = follower.make_pass(now, once)
            if done is not None:
                yield done
            if not should_stop():
                follower.wait(should_stop)
            if should_stop():
                return
    finally:
        follower.close()


def _later(config: IndexConfig) -> IndexConfig:
    """Without what is asked for once: a disk that is pulled out later must not empty the lake."""
    return replace(config, allow_empty=False, drop_damaged=False, retry_skipped=False)


class _Follower:
    """What is known from pass to pass."""

    def __init__(
        self, lake: Path, interval_s: float, keep_s: float | None, changes: Changes
    ) -> None:
        self.began = False  # a pass was made
        self._lake, self._interval_s, self._keep_s = lake, interval_s, keep_s
        self._changes = changes
        self._told = _Told()
        self._failed = 0  # passes in a row after which something could not be read
        self._least_s = self._most_s = 0.0  # how long is waited after this pass
        self._is_called = False  # this pass is made since something changed, or is in motion
        self._in_vain = 0  # passes in a row that were called for, and found nothing
        self._still_s = STILL_S
        self._stood_still_at = time.monotonic()
        self._vacuumed_at: float | None = None
        self._snapshot = -1

    def make_pass(
        self, config: IndexConfig, once: Callable[[IndexConfig], SyncReport]
    ) -> Pass | None:
        """None where it failed as the one before did.

        :raises LakeError: as `watch`.
        """
        started = time.monotonic()
        self._still_s = config.still_s
        waits = started - self._stood_still_at < PATIENCE_S
        trouble: list[str] = []
        try:
            sources = read_manifest(Layout(self._lake))[0].sources
            deaf = self._changes.follow([entry for entry in sources if not entry.is_imported])
            trouble = [deaf] if deaf else []
            self._changes.forget()
            report = once(replace(config, waits_for_writers=config.waits_for_writers and waits))
        except LakeLocked as error:
            self._least_s = self._most_s = min(self._interval_s, _LOCKED_S)
            return Pass(None, str(error)) if self._told.is_new_failure(error) else None
        except LakeError as error:
            if not self.began:
                raise
            self._failed += 1
            self._is_called = False
            self._set_wait(time.monotonic() - started)
            self._told.problems = True
            return Pass(None, str(error)) if self._told.is_new_failure(error) else None
        self.began = True
        if not report.in_motion or not waits:
            self._stood_still_at = time.monotonic()
        self._failed = self._failed + 1 if report.problems else 0
        report.notes += trouble
        self._vacuum(report, config)
        is_mended = self._told.problems and not report.problems
        self._told.leave_new(report)
        self._in_vain = self._in_vain + 1 if self._is_called and not report.changed_rows else 0
        self._is_called = bool(report.in_motion)
        self._set_wait(report.seconds)
        return Pass(report, is_mended=is_mended)

    def wait(self, should_stop: Callable[[], bool]) -> None:
        least_s, most_s = self._least_s, self._most_s
        if self._changes.wait(least_s, most_s, should_stop, still_s=self._still_s):
            self._is_called = True

    def close(self) -> None:
        self._changes.close()

    def _set_wait(self, took_s: float) -> None:
        intervals = min(2**self._failed, _MOST_INTERVALS)
        soon_s = max(self._still_s, took_s)
        longest_s = max(self._interval_s, 9 * took_s, soon_s)
        self._least_s = min(soon_s * 2 ** min(self._in_vain, 10), longest_s)
        self._most_s = max(self._interval_s * intervals, longest_s)
        if self._is_called:
            self._most_s = self._least_s

    def _vacuum(self, report: SyncReport, config: IndexConfig) -> None:
        now = time.monotonic()
        is_due = self._vacuumed_at is None or now - self._vacuumed_at >= VACUUM_EVERY_S
        is_same, self._snapshot = report.snapshot == self._snapshot, report.snapshot
        if self._keep_s is None or is_same or not is_due or report.interrupted:
            return
        self._vacuumed_at = now
        try:
            vacuum_lake(self._lake, keep_s=self._keep_s, use_lock=config.use_lock)
        except LakeError as error:
            report.notes.append(f"old snapshots were not deleted: {error}")


class _Kept:
    """The model, loaded when it is first needed and kept while the lake's is the same."""

    def __init__(self, load: LoadEmbedder) -> None:
        self._load = load
        self._embedder: Embedder | None = None
        self._of: tuple[str, Fingerprint] | None = None

    def __call__(self, manifest: Manifest | None) -> Embedder:
        of = None if manifest is None else (manifest.model_id, dict(manifest.fingerprint))
        if self._embedder is None or of is None or of != self._of:
            self._embedder, self._of = self._load(manifest), of
        return self._embedder


class _Told:
    """What the last pass told, so that a store that fails for a night is one line."""

    def __init__(self) -> None:
        self.problems = False
        self._last: set[str] = set()
        self._failure: str | None = None

    def is_new_failure(self, error: LakeError) -> bool:
        key = _key(str(error))
        is_new, self._failure = key != self._failure, key
        return is_new

    def leave_new(self, report: SyncReport) -> None:
        """Take out of a report what the one before had as well."""
        if report.interrupted:
            return
        said: set[str] = set()

        def new(sentences: Iterable[str]) -> list[str]:
            keys = {sentence: _key(sentence) for sentence in sentences}
            said.update(keys.values())
            return [sentence for sentence, key in keys.items() if key not in self._last]

        self.problems = bool(report.problems)
        report.problems, report.notes = new(report.problems), new(report.notes)
        skipped = {f"{uri}: {reason}": (uri, reason) for uri, reason in report.newly_skipped}
        report.newly_skipped = [skipped[sentence] for sentence in new(skipped)]
        self._last, self._failure = said, None


def _key(sentence: str) -> str:
    """The same of sentences of one place that differ in their numbers alone: how many rows are
    kept, how long was waited, what a store calls its answer.
    """
    place, colon, what = sentence.partition(": ")
    return place + colon + re.sub(r"\w*\d\w*", "0", what)
