"""Whether anything may have changed where sources lie on this machine's disks.

The kernel says so, through `watchfiles`. It is a hint that comes early and may not come at all: a
network disk tells nothing of what other machines write, and buckets never do. So who follows a lake
looks at it from time to time all the same, and knows no more of a change than that there was one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from indexer.disk.manifest import SourceEntry
from indexer.sources.globs import Glob
from indexer.sources.lake_folder import is_lake
from indexer.sources.names import is_hidden, is_url

INSTALL = (
    "changes on disk are seen by looking alone; to see them at once: pip install 'lakesift[watch]'"
)
_LOOK_UP_S = 0.25  # how often a wait asks whether it should end
_STEP_MS = 200  # how often the kernel's news is collected
_GATHER_MS = 1_000  # news that comes in a row is told at once, after so long at most

_Place = tuple[str, bool, int, int]  # path, whether with all below it, device, inode


class Changes:
    """Listens where a lake's sources lie. Not safe for several threads."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._places: frozenset[_Place] = frozenset()
        self._trouble: str | None = None

    def follow(self, sources: Sequence[SourceEntry]) -> str | None:
        """Listen to the folders of these sources, and no others; those that are listened to
        already go on.

        :returns: a sentence if changes on disk cannot be listened to; they are found by looking.
        """
        places = frozenset(_places(sources))
        if places != self._places:
            self.close()
            self._places, self._trouble, self._stop = places, None, threading.Event()
            for is_deep in (True, False):
                paths = sorted(path for path, deep, *_ in places if deep is is_deep)
                if paths:
                    self._listen(paths, is_deep)
        return self._trouble

    def hear(self, paths: Iterable[str]) -> None:
        """These files or folders changed; called by a thread that listens."""
        if any(map(may_matter, paths)):
            self._changed.set()

    def forget(self) -> None:
        """What changed so far is known by now."""
        self._changed.clear()

    def wait(
        self,
        least_s: float,
        most_s: float,
        should_stop: Callable[[], bool],
        *,
        still_s: float = 0.0,
    ) -> bool:
        """Wait until something changed, and so long more that it may stand still, but at least and
        at most so many seconds in all, or until asked to stop.

        :returns: whether something changed.
        """
        started = time.monotonic()
        end = started + most_s
        has_changed = False
        while not should_stop():
            now = time.monotonic()
            if self._changed.is_set() and not has_changed:
                has_changed = True
                end = min(end, max(started + least_s, now + still_s))
            if now >= end:
                break
            pause_s = min(_LOOK_UP_S, end - now)
            if has_changed:
                time.sleep(pause_s)
            else:
                self._changed.wait(pause_s)
        return has_changed

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _listen(self, paths: list[str], is_deep: bool) -> None:
        try:
            from watchfiles import watch
        except ImportError:
            self._trouble = INSTALL
            return
        stop = self._stop

        def listen() -> None:
            try:
                for news in watch(
                    *paths,
                    watch_filter=None,
                    debounce=_GATHER_MS,
                    step=_STEP_MS,
                    stop_event=stop,
                    recursive=is_deep,
                    raise_interrupt=False,
                    force_polling=False,
                    ignore_permission_denied=True,
                ):
                    self.hear({path for _, path in news})
            # its own RuntimeError, too, or a path that is not UTF-8
            except (OSError, RuntimeError, UnicodeError) as error:
                if not stop.is_set():
                    self._trouble = (
                        f"changes below {paths[0]} are seen by looking alone, since the system "
                        f"does not tell of them: {error}"
                    )

        thread = threading.Thread(target=listen, name="changes", daemon=True)
        thread.start()
        self._threads.append(thread)


def may_matter(path: str) -> bool:
    """Whether a change of this file or folder may be one of a source: it is not hidden, and does
    not lie in a lake. Each pass writes into its own lake, which may lie among its photos.
    """
    if is_hidden(os.path.basename(path)):  # noqa: PTH119
        return False
    folder = path
    while len(folder) > 1:
        if _has_the_looks_of_a_lake(folder):
            return False
        folder = os.path.dirname(folder)  # noqa: PTH120
    return True


def _has_the_looks_of_a_lake(folder: str) -> bool:
    # a cheap look first
    return os.path.isdir(f"{folder}/staging") and is_lake(os.fsencode(folder))  # noqa: PTH112


def _places(sources: Iterable[SourceEntry]) -> Iterable[_Place]:
    for entry in sources:
        for text in (entry.uri, entry.columns):
            path = None if text is None or is_url(text) else _path(text)
            if path is None:
                continue
            is_deep = os.path.isdir(path)  # noqa: PTH112
            # editors put a new file in a file's place: its folder tells of that, the file does not
            folder = path if is_deep else os.path.dirname(path)  # noqa: PTH120
            try:
                status = os.stat(folder)  # noqa: PTH116
            except OSError:
                continue  # it is not there now
            yield folder, is_deep, status.st_dev, status.st_ino


def _path(text: str) -> str | None:
    """Of a glob the folder that it starts from."""
    path = text.removeprefix("@")
    try:
        glob = Glob.split(path, os.path.exists)
    except ValueError:
        return None
    return path if glob is None else glob.root or "/"
