"""A runner whose images are read and embedded by the workers of a Ray cluster (Ray Data).

    tasks -> [chunks, held here] -> one read of them, on this node -> [actors: a model and this
    machine's own `Pipeline` each] -> results, in the order of the tasks

Where to run what, how many at once, holding back where they pile up, and starting anew what died
with its machine: all of it is Ray's. A chunk is held here until its results have come, so that it
can be embedded again; the driver itself is gone on with as any run is, from the last commit.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import socket
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from indexer.config import IndexConfig
from indexer.disk.manifest import Manifest
from indexer.embed import Embedder
from indexer.embed.models import load_embedder
from indexer.errors import LakeError
from indexer.images.decoder import ReadSettings
from indexer.run.embedding.pipeline import Pipeline
from indexer.run.embedding.tasks import Result, Task
from indexer.sources.bytes_of import BytesOf
from indexer.trust import TRUST_SITES, named_sites

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

INSTALL = "pip install 'lakesift[ray]'"
CORES = 4  # of a worker, where the cluster has no GPUs
# Images of a chunk, which a worker embeds one at a time: so many, or so many batches of the model.
LEAST_CHUNK = 64
BATCHES = 4
_CONNECT_S = 10.0
MOST_RESTARTS = 20  # of one worker
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
AHEAD = 4  # chunks that are held, beside one for each worker and what it has next

LoadEmbedder = Callable[[Manifest | None], Embedder]  # as `indexer.sync` has it


@dataclass(frozen=True, slots=True)
class _Work:
    """What a worker is told once."""

    load: Callable[[], Embedder]  # called on the worker
    fingerprint: dict[str, Any]  # of the run's model
    settings: ReadSettings
    readers: int
    batch_size: int
    careful: bool
    cores: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """How much of a cluster is used."""

    workers: int
    cores: float  # of each; below 1: several share one
    gpus: float  # of each


def connect(address: str | None, workers: int = 0) -> Cluster:
    """Join a cluster, or start one of this machine.

    :param address: of Ray's head, as "10.0.0.1:6379" or "auto"; None: RAY_ADDRESS, or the cluster
        that runs on this machine, or one that is started and ends with this process.
    :param workers: 0: one for each GPU; where there is none, one for each CORES cores.
    :raises LakeError: if Ray is not installed, or there is no cluster.
    """
    # Of a cluster that is started here: nothing is told to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # What it tells of itself is no user's business; what fails is told here.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        from ray.data import DataContext
    except ImportError:
        raise LakeError(f"--runner ray needs Ray, which is not installed; {INSTALL}") from None
    try:
        if not ray.is_initialized():
            _check_reachable(address or os.environ.get("RAY_ADDRESS"))
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=False if address is None else None,
                configure_logging=True,
            )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = address or os.environ.get("RAY_ADDRESS") or "this machine"
        raise LakeError(f"there is no Ray cluster at {where}: {_first_line(error)}") from error
    DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # told here, in a sentence
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cores, gpus = float(there.get("CPU", 1)), int(there.get("GPU", 0))
    count = workers or gpus or max(1, int(cores) // CORES)
    each = cores / count
    return Cluster(count, float(int(each)) if each >= 1 else each, min(1.0, gpus / count))


def _check_reachable(address: str | None) -> None:
    """Ray itself tries for minutes.

    :raises OSError, ValueError: if nothing listens there.
    """
    if address is None or address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise ValueError("give its head as HOST:PORT, as 10.0.0.1:6379")
    socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()


class RayRunner:
    """Embeds on a cluster that is joined; see `tasks.Runner`."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        config: IndexConfig | None = None,
        exact: bool = False,
        careful: bool = True,
        precision: str | None = None,
        device: str | None = None,
        load: Callable[[], Embedder] | None = None,
    ) -> None:
        """:param exact, precision, device: as the run has them.
        :param careful: False: the user named the places (`BytesOf`).
        :param load: what each worker calls for its model, pickled by value; None: the model of the
            run, by its name.
        """
        self._cluster, self._config = cluster, config or IndexConfig.from_env()
        self._exact, self._careful = exact, careful
        self._precision, self._device, self._load = precision, device, load
        self._embedder: Embedder | None = None

    def noting(self, load: LoadEmbedder) -> LoadEmbedder:
        """What is given to the run, so that its model is what the workers' have to be."""

        def noted(manifest: Manifest | None) -> Embedder:
            self._embedder = load(manifest)
            return self._embedder

        return noted

    def _work(self) -> _Work:
        embedder, config = self._embedder, self._config
        assert embedder is not None, "the run loads its model first"
        by_name = partial(
            load_embedder, embedder.model_id, self._precision, self._device, remembered=False
        )
        return _Work(
            self._load or by_name,
            dict(embedder.fingerprint),
            ReadSettings(embedder.input_shape, config.limits, self._exact),
            config.readers,
            config.batch_size or embedder.batch_size,
            self._careful,
            config.decoders or max(1, round(self._cluster.cores)),
        )

    def run(self, tasks: Iterable[Task]) -> Iterator[list[Result]]:
        """See `tasks.Runner`.

        :raises LakeError: if the cluster is lost, or a worker has no model that fits the lake.
        """
        import ray

        held = _held_here(self._cluster.workers * 2 + AHEAD)
        work = self._work()
        feeding = _Feeding(iter(tasks), held, max(LEAST_CHUNK, BATCHES * work.batch_size))
        feeding.start()
        try:
            for number, (results, failure) in enumerate(self._batches(held, work)):
                if failure is not None:
                    raise LakeError(failure)
                held.forget.remote(number)
                yield results
            if feeding.error is not None:
                raise feeding.error
        finally:
            feeding.stop()
            ray.kill(held)

    def _batches(self, held: Any, work: _Work) -> Iterator[tuple[list[Result], str | None]]:
        import ray
        from ray.data import ActorPoolStrategy
        from ray.exceptions import RayError

        cluster = self._cluster
        chunks = ray.data.read_datasource(
            _datasource(held),
            override_num_blocks=1,
            num_cpus=0,
            label_selector={"ray.io/node-id": ray.get_runtime_context().get_node_id()},
        )
        with warnings.catch_warnings():
            # There is no other way to say so before 2.64, where this one goes.
            warnings.filterwarnings("ignore", message=".*ray_remote_args")
            done = chunks.map_batches(
                _Worker,
                fn_constructor_args=(work,),
                batch_size=1,
                batch_format="numpy",
                compute=ActorPoolStrategy(
                    min_size=1, initial_size=cluster.workers, max_size=cluster.workers
                ),
                num_cpus=cluster.cores,
                num_gpus=cluster.gpus or None,
                runtime_env={"env_vars": _environment(work)},
                # By itself Ray starts for ever what dies at each start, as for want of memory.
                max_restarts=MOST_RESTARTS,
                max_task_retries=MOST_RESTARTS,
            )
        context = done.context
        context.execution_options.preserve_order = True
        # Else what is read waits until it makes a large block, while no more is read before it is
        # done.
        context.target_max_block_size = 1
        expected = 0
        try:
            for block in done.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                numbers = block.column("number").to_pylist()
                for number, data in zip(numbers, block.column("results"), strict=True):
                    if number != expected:
                        raise LakeError(
                            f"Ray gave chunk {number:,} in the place of chunk {expected:,}: please report it"
                        )
                    expected += 1
                    yield pickle.loads(data.as_py())
        except RayError as error:
            raise LakeError(
                f"a worker of the Ray cluster failed: {_last_line(error)}; all of its machines need this version of "
                "lakesift, its model, and memory for it. What was committed stays: the same command goes on"
            ) from error


def _environment(work: _Work) -> dict[str, str]:
    """What the user said on this machine counts on the workers."""
    return {"LAKESIFT_CORES": str(work.cores), TRUST_SITES: ",".join(sorted(named_sites()))}


class _Feeding(threading.Thread):
    """Hands tasks over, as far ahead as is held."""

    def __init__(self, tasks: Iterator[Task], held: Any, chunk: int) -> None:
        """:param chunk: how many make one."""
        super().__init__(name="feeding", daemon=True)
        self._tasks, self._held, self._chunk = tasks, held, chunk
        self._stopping = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        import ray
        from ray.exceptions import RayError

        try:
            while not self._stopping.is_set():
                chunk = list(islice(self._tasks, self._chunk))
                ray.get(self._held.add.remote(pickle.dumps(chunk) if chunk else None))
                if not chunk:
                    return
        except RayError:  # it was killed, or the cluster is gone, which is found out elsewhere
            return
        except BaseException as error:  # noqa: BLE001 - raised again by `run`, once all before it is done
            self.error = error
            self._held.add.remote(None)

    def stop(self) -> None:
        self._stopping.set()


def _held_here(most: int) -> Any:
    """An actor on this node: chunks by number, from the first whose results are not here."""
    import asyncio

    import ray

    class Held:
        def __init__(self) -> None:
            self._chunks: dict[int, bytes | None] = {}
            self._first = self._next = 0
            self._changed = asyncio.Condition()

        async def add(self, chunk: bytes | None) -> None:
            """:param chunk: None: there are no more."""
            async with self._changed:
                await self._changed.wait_for(lambda: self._next - self._first < most)
                self._chunks[self._next] = chunk
                self._next += 1
                self._changed.notify_all()

        async def get(self, number: int) -> bytes | None:
            """Its tasks, none of one whose results are here; None: it is the end."""
            async with self._changed:
                await self._changed.wait_for(lambda: number < self._next)
                return self._chunks.get(number, _NOTHING)

        async def forget(self, number: int) -> None:
            async with self._changed:
                while self._first <= number:
                    self._chunks.pop(self._first, None)
                    self._first += 1
                self._changed.notify_all()

    actor = ray.remote(Held).options(
        num_cpus=0,
        max_concurrency=1_000,
        label_selector={"ray.io/node-id": ray.get_runtime_context().get_node_id()},
    )
    return actor.remote()


_NOTHING = pickle.dumps([])


def _datasource(held: Any) -> Any:
    from ray.data import Datasource
    from ray.data.block import BlockMetadata
    from ray.data.datasource import ReadTask

    class Chunks(Datasource):
        """One read, which gives chunks as they come."""

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[Any]:
            unknown = BlockMetadata(
                num_rows=None, size_bytes=None, input_files=None, exec_stats=None
            )
            return [ReadTask(partial(_chunks, held), unknown)]

    return Chunks()  # type: ignore[no-untyped-call]


def _chunks(held: Any) -> Iterator[pa.Table]:
    import pyarrow as pa
    import ray

    number = 0
    while (chunk := ray.get(held.get.remote(number))) is not None:
        yield pa.table({"number": [number], "tasks": pa.array([chunk], pa.large_binary())})
        number += 1


class _Worker:
    """A model and a pipeline on some machine of the cluster."""

    def __init__(self, work: _Work) -> None:
        self._pipeline: Pipeline | None = None
        self._failure: str | None = None
        try:
            self._pipeline = self._opened(work)
        except LakeError as error:
            self._failure = f"a worker on {os.uname().nodename}: {error}"

    def _opened(self, work: _Work) -> Pipeline:
        embedder = work.load()
        if dict(embedder.fingerprint) != work.fingerprint:
            raise LakeError(
                f"its {embedder.model_id} is not the model of this run ({embedder.fingerprint} here, "
                f"{work.fingerprint} there); install the same version of lakesift and the same weights everywhere"
            )
        return Pipeline(
            embedder,
            work.settings,
            decoders=work.cores,
            readers=work.readers,
            batch_size=work.batch_size,
            bytes_of=BytesOf(careful=work.careful),
        )

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        tasks = pickle.loads(batch["tasks"][0])
        return {"number": [int(batch["number"][0])], "results": [pickle.dumps(self._done(tasks))]}

    def _done(self, tasks: list[Task]) -> tuple[list[Result], str | None]:
        """What came of each, or why no image can be embedded here."""
        if self._pipeline is None:
            return [], self._failure
        try:
            return [result for some in self._pipeline.run(tasks) for result in some], None
        except LakeError as error:
            return [], f"a worker on {os.uname().nodename}: {error}"


def _last_line(error: BaseException) -> str:
    """Where Ray tells of what happened elsewhere, that comes last."""
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__
