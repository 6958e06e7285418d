"""Who pushes a lake now. Milvus has no locks, so a push says that it is under way, and says so anew
every two seconds; another one that finds this waits to see whether it is still said.

Two that begin at the same instant see each other, and both give up. One that was stopped for longer
than others wait finds its word taken away, and goes no further.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from indexer.engines.milvus.records import Records
from indexer.errors import EngineError, LakeError

BEAT_S = 2.0
# Of which nothing is heard for so long is dead.
DEAD_S = 10.0


class Claim:
    """Of one push, for as long as it lasts."""

    def __init__(self, records: Records, *, is_alone: bool) -> None:
        """
        :param is_alone: nobody but this process can be there.
        :raises EngineError: if another process pushes.
        """
        self._records, self._name = records, secrets.token_hex(8)
        self._stopping = threading.Event()
        # Milvus Lite takes one writer of a collection at a time.
        self.writing = threading.Lock()
        self._say(0)
        try:
            self._wait_for_others(is_alone=is_alone)
        except BaseException:
            records.remove_claims([self._name])
            raise
        self._thread = threading.Thread(target=self._beat, name="pushing", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """:raises EngineError: if another push took this one for dead."""
        if self._records.claim(self._name) is None:
            raise self._refused(
                f"another process has taken over, since nothing was heard of this push for {DEAD_S:.0f} s; "
                "what is there is whole, push again"
            )

    def end(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._records.remove_claims([self._name])

    def _wait_for_others(self, *, is_alone: bool) -> None:
        others = self._others()
        if is_alone:
            own = os.getpid()
            dead = {name for name, said in others.items() if said["process"] != own}
            self._records.remove_claims(dead)
            others = {name: said for name, said in others.items() if name not in dead}
        deadline = time.monotonic() + DEAD_S
        while others:
            if time.monotonic() > deadline:
                self._records.remove_claims(others)
                return
            time.sleep(min(BEAT_S, DEAD_S) / 4)
            for name, said in self._others().items():
                if others.get(name) != said:
                    raise self._refused(
                        f"another process pushes {self._records.lake} just now; wait for it to end"
                    )
            others = {name: others[name] for name in self._others() if name in others}

    def _others(self) -> dict[str, dict[str, int]]:
        return {name: said for name, said in self._records.claims().items() if name != self._name}

    def _say(self, beat: int) -> None:
        self._records.write_claim(self._name, {"process": os.getpid(), "beat": beat})

    def _beat(self) -> None:
        beat = 0
        while not self._stopping.wait(BEAT_S):
            beat += 1
            try:
                with self.writing:
                    # One that was taken away is not to come back.
                    if self._records.claim(self._name) is not None:
                        self._say(beat)
            except LakeError:
                continue  # the push itself will see, or it is there again with the next

    def _refused(self, reason: str) -> EngineError:
        return EngineError(self._records.connection.url, reason)


@contextmanager
def claimed(records: Records, *, is_alone: bool) -> Iterator[Claim]:
    """:raises EngineError: if another process pushes this lake."""
    claim = Claim(records, is_alone=is_alone)
    try:
        yield claim
    finally:
        claim.end()
