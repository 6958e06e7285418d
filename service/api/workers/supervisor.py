"""Starts the workers, starts another one where one died, ends them all. Answers no request itself.

Workers are programs started afresh and isolated (`indexer.processes`), as decoders are, but in the
caller's folder and with its environment: they are the service, and find by relative paths what one
process would find. None outlives the supervisor: each ends when the system closes its line.
"""

from __future__ import annotations

import logging
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from indexer.errors import BadRequest, LakeError
from indexer.processes import python_command
from service.api.config import ServeConfig
from service.api.metrics import counted_in, forget
from service.api.server import GRACE_S
from service.api.serving.shared_arrays import SharedArrays
from service.api.workers.messages import DRAIN, END, END_NOW, Duty, Lines, Report

log = logging.getLogger(__name__)

MOST_WORKERS = 64
WORKER = "service.api.workers.worker"
# After their GRACE_S; `docker stop` kills after 10 s.
KILL_AFTER_S = GRACE_S + 4.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # before a worker is replaced, doubled at each time
STEADY_S = 30.0  # a worker that lived as long is replaced after the first pause again


def supervise(
    lakes: Sequence[Path],
    config: ServeConfig,
    listening: socket.socket,
    *,
    opened: Callable[[Sequence[str]], None],
    serving: Callable[[], None],
) -> None:
    """Serve with config.workers processes until Ctrl-C or SIGTERM.

    :param opened: told what the first worker opened, for people.
    :param serving: told once, when all answer.
    :raises LakeError: what the first worker raised, where it cannot serve: no other was started.
    """
    # The folder goes before a SIGTERM has its usual effect.
    with _signals() as told, _folder() as folder:
        _Supervisor(lakes, config, listening, folder, told, opened, serving).run()


def check_workers(config: ServeConfig) -> None:
    """:raises BadRequest: if so many cannot be had, here or at all."""
    if not 1 <= config.workers <= MOST_WORKERS:
        raise BadRequest(
            "--workers",
            f"{config.workers} is no number of processes to answer with; those are 1 to "
            f"{MOST_WORKERS}",
        )
    if config.workers == 1:
        return
    if os.name == "nt":
        raise BadRequest(
            "--workers", "processes cannot share a port on Windows; leave it out, and one answers"
        )
    if config.workers > config.max_connections:
        raise BadRequest(
            "--workers",
            f"{config.workers} processes cannot share {config.max_connections} connections, which "
            "LAKESIFT_MAX_CONNECTIONS allows; take fewer of them, or allow more",
        )


class _Worker:
    """One of the workers as its supervisor sees it."""

    def __init__(self, number: int, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        self.number = number
        self.process = process
        self.line = line
        self.began = time.monotonic()
        self.heard = Lines()
        self.refused: LakeError | None = None
        self.has_opened = False

    def end(self, line: bytes = END) -> None:
        if self.has_opened:
            self.tell(line)
        else:  # nobody is answered by it yet, and to load all libraries takes seconds
            self.process.terminate()

    def tell(self, line: bytes) -> None:
        with suppress(OSError):  # it is gone, which is heard in its turn
            self.line.sendall(line)

    def how_it_ended(self) -> str:
        if self.refused is not None:
            return str(self.refused)
        code = self.process.returncode
        if code < 0:
            with suppress(ValueError):
                return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with exit code {code}"


class _Supervisor:
    def __init__(
        self,
        lakes: Sequence[Path],
        config: ServeConfig,
        listening: socket.socket,
        folder: Path,
        told: socket.socket,
        opened: Callable[[Sequence[str]], None],
        serving: Callable[[], None],
    ) -> None:
        """:param told: the numbers of the signals that came, a byte each."""
        self._lakes = tuple(map(os.fspath, lakes))
        self._config = config
        self._listening = listening
        self._folder = folder
        self._told = told
        self._tell_opened = opened
        self._tell_serving = serving
        # Never one of those that answer: what it reads is theirs.
        self._arrays = SharedArrays(folder, 0, config.workers)
        self._environment = {**os.environ, **counted_in(folder)}
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._again_at: dict[int, float] = {}  # when the place of one that died is filled
        self._pauses: dict[int, float] = {}
        self._has_opened = False
        # those of whom it is not known yet whether they will serve; None: all are known
        self._awaited: set[int] | None = set(range(config.workers))
        self._kill_at: float | None = None  # not None: they are being ended

    def run(self) -> None:
        self._selector.register(self._told, selectors.EVENT_READ, self._signalled)
        try:
            self._start(0)
            while self._workers or (self._kill_at is None and self._again_at):
                for key, _ in self._selector.select(self._wait_s()):
                    key.data()
                self._keep_time()
        finally:
            for worker in self._workers.values():
                worker.process.kill()
                worker.process.wait()
                worker.line.close()
            self._selector.close()

    def _start(self, number: int, *, replaces: bool = False) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # In a group of their own: Ctrl-C on a terminal reaches the supervisor alone.
            process = subprocess.Popen(
                python_command(WORKER, str(theirs.fileno()), str(self._listening.fileno())),
                stdin=subprocess.DEVNULL,
                env=self._environment,
                pass_fds=(theirs.fileno(), self._listening.fileno()),
                process_group=0,
            )
        worker = _Worker(number, process, ours)
        self._workers[number] = worker
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._hear(worker))
        duty = Duty(self._lakes, self._config, str(self._folder), number, replaces)
        worker.tell(duty.to_line())

    def _wait_s(self) -> float | None:
        times = [*self._again_at.values(), *([] if self._kill_at is None else [self._kill_at])]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _keep_time(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            for worker in self._workers.values():
                log.warning("worker %d does not end, and is killed", worker.number + 1)
                worker.process.kill()
            self._kill_at = now + KILL_AFTER_S
        for number in [number for number, at in self._again_at.items() if now >= at]:
            del self._again_at[number]
            self._start(number, replaces=True)

    def _signalled(self) -> None:
        for number in self._told.recv(64):
            is_again = self._kill_at is not None
            if is_again and number == signal.SIGTERM:
                continue
            drain_s = self._config.drain_s if number == signal.SIGTERM else 0.0
            for worker in self._workers.values():
                if is_again:
                    worker.tell(END_NOW)
                else:
                    worker.end(DRAIN if drain_s else END)
            self._again_at.clear()
            if not is_again:
                self._kill_at = time.monotonic() + drain_s + KILL_AFTER_S

    def _hear(self, worker: _Worker) -> None:
        try:
            piece = worker.line.recv(65_536)
        except OSError:
            piece = b""
        if not piece:
            self._is_gone(worker)
        for line in worker.heard.of(piece):
            self._reported(worker, Report.from_line(line))

    def _reported(self, worker: _Worker, report: Report) -> None:
        if report.kind == "refused":
            worker.refused = report.error()
        elif report.kind == "serving":
            self._is_known(worker.number)
        else:
            worker.has_opened = True
            self._introduce(report.sentences)

    def _introduce(self, sentences: Sequence[str]) -> None:
        """The first worker can serve: tell it, and start the others."""
        if self._has_opened:
            return
        self._has_opened = True
        self._tell_opened(sentences)
        for number in range(1, self._config.workers):
            if self._kill_at is None:
                self._start(number)

    def _is_known(self, number: int) -> None:
        if self._awaited is not None:
            self._awaited.discard(number)
            if not self._awaited and self._kill_at is None:
                self._awaited = None
                self._tell_serving()

    def _is_gone(self, worker: _Worker) -> None:
        self._selector.unregister(worker.line)
        worker.line.close()
        del self._workers[worker.number]
        try:
            worker.process.wait(KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        self._arrays.alive[worker.number] = 0
        self._arrays.connections[worker.number] = 0
        forget(self._folder, worker.process.pid)
        if self._kill_at is not None:
            return
        if not self._has_opened:
            raise worker.refused or LakeError(
                f"the first worker did not come to serve: {worker.how_it_ended()}"
            )
        lived_s = time.monotonic() - worker.began
        before = 0.0 if lived_s >= STEADY_S else self._pauses.get(worker.number, 0.0)
        pause = min(2 * before or FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._pauses[worker.number] = pause
        self._again_at[worker.number] = time.monotonic() + pause
        log.warning(
            "worker %d (process %d) is gone: %s; another takes its place in %g s",
            worker.number + 1,
            worker.process.pid,
            worker.how_it_ended(),
            pause,
        )
        self._is_known(worker.number)


@contextmanager
def _folder() -> Iterator[Path]:
    """Of what the workers share: small files, written for as long as they answer."""
    folder = Path(tempfile.mkdtemp(prefix="lakesift-workers-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Ctrl-C and SIGTERM as bytes to wait for; afterwards SIGTERM has its usual effect."""
    ours, theirs = socket.socketpair()
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        came.append(number)
        with suppress(OSError):
            theirs.send(bytes([number]))

    theirs.setblocking(False)
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with ours, theirs:
            yield ours
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if signal.SIGTERM in came:
        signal.raise_signal(signal.SIGTERM)
