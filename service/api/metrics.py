"""What the service counts, in Prometheus's form at /metrics.
One registry an app, so that two apps do not mix.

Workers write what they count into files that each scrape adds up, also those of workers that died:
whichever worker answers tells of all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:  # a supervisor of workers loads no lakes
    from indexer.engines.engine import Recalled
    from service.api.serving.hub import Hub, ServedLake
    from service.api.serving.shared_embedder import Kind

LATENCY_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)
COUNTED = "counted"  # in the folder that workers share


class Metrics:
    """The counters of one app."""

    def __init__(self, folder: Path | None = None) -> None:
        """:param folder: of what the workers of one service count, as `counted_in` names it to a
        process before it begins; None: this process counts alone.
        """
        self._folder = folder
        self._lakes = _Lakes(())
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "lakesift_requests",
            "Requests answered",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "lakesift_request_seconds",
            "From the first byte in to the last byte out",
            ["route"],
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "lakesift_requests_in_flight",
            "Requests being answered",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._batches = Histogram(
            "lakesift_embed_batch_size",
            "Items a call of the model",
            ["kind"],
            buckets=BATCH_BUCKETS,
            registry=self._registry,
        )
        self._lookups = Counter(
            "lakesift_embed_lookups",
            "Items to embed, by whether their vector was still at hand",
            ["kind", "kept"],
            registry=self._registry,
        )
        self._near = Counter(
            "lakesift_near_searches",
            "Searches that looked into a few groups alone",
            ["lake"],
            registry=self._registry,
        )
        self._recall_wanted = Counter(
            "lakesift_recall_wanted",
            "Of such searches that were done again exactly: rows among the 10 nearest",
            ["lake", "made_of"],
            registry=self._registry,
        )
        self._recall_found = Counter(
            "lakesift_recall_found",
            "Those of them that the search had found",
            ["lake", "made_of"],
            registry=self._registry,
        )
        self._on_engine = Counter(
            "lakesift_engine_searches",
            "Searches of lakes with an engine, by what named the candidates: it, or while it was away the own index",
            ["lake", "by"],
            registry=self._registry,
        )
        self._engine_wanted = Counter(
            "lakesift_engine_recall_wanted",
            "Of searches on an engine that were done again exactly: rows among the 10 or 100 nearest",
            ["lake", "made_of", "nearest"],
            registry=self._registry,
        )
        self._engine_found = Counter(
            "lakesift_engine_recall_found",
            "Those of them that were among the engine's candidates",
            ["lake", "made_of", "nearest"],
            registry=self._registry,
        )
        # Changed by the event loop alone, so that other threads may read it.
        self.under_way = 0

    def batched(self, kind: Kind, size: int) -> None:
        self._batches.labels(kind).observe(size)

    def looked_up(self, kind: Kind, kept: bool) -> None:
        self._lookups.labels(kind, "yes" if kept else "no").inc()

    def searched_near(self, lake: str) -> None:
        self._near.labels(lake).inc()

    def recalled(self, lake: str, made_of: str, found: int, wanted: int) -> None:
        """:param found: of the wanted rows, those that a search of a few groups had found."""
        self._recall_wanted.labels(lake, made_of).inc(wanted)
        self._recall_found.labels(lake, made_of).inc(found)

    def searched_on_engine(self, lake: str, *, is_outage: bool) -> None:
        self._on_engine.labels(lake, "own" if is_outage else "engine").inc()

    def engine_recalled(self, lake: str, measured: Sequence[Recalled]) -> None:
        for each in measured:
            labels = (lake, each.made_of, str(each.nearest))
            self._engine_wanted.labels(*labels).inc(each.wanted)
            self._engine_found.labels(*labels).inc(each.found)

    def watch(self, hub: Hub) -> None:
        """Read the lakes' facts whenever somebody asks for them."""
        self._lakes = _Lakes(hub.lakes)
        self._registry.register(self._lakes)

    def text(self) -> bytes:
        if self._folder is None:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, str(self._folder / COUNTED))  # type: ignore[no-untyped-call]
        together.register(self._lakes)
        return generate_latest(together)


class _Lakes(Collector):
    """What is so of each lake now, as this process has it."""

    def __init__(self, lakes: Sequence[ServedLake]) -> None:
        self._lakes = lakes

    def collect(self) -> Iterator[GaugeMetricFamily]:
        facts: tuple[tuple[str, str, Callable[[ServedLake], int]], ...] = (
            ("lakesift_rows", "Live rows", lambda served: served.lake.rows),
            ("lakesift_snapshot", "Current snapshot", lambda served: served.lake.snapshot.number),
            ("lakesift_problems", "Problems of a lake", lambda served: len(served.problems)),
        )
        for name, help_text, fact in facts:
            family = GaugeMetricFamily(name, help_text, labels=["lake"])
            for served in self._lakes:
                family.add_metric([served.name], float(fact(served)))
            yield family


def counted_in(folder: Path) -> dict[str, str]:
    """The variable by which a process counts in files there, set before it begins."""
    counted = folder / COUNTED
    counted.mkdir(mode=0o700, exist_ok=True)
    return {"PROMETHEUS_MULTIPROC_DIR": str(counted)}


def forget(folder: Path, process: int) -> None:
    """What a process that died was about is no more; what it had done counts on."""
    mark_process_dead(process, str(folder / COUNTED))  # type: ignore[no-untyped-call]


class Measured:
    """ASGI middleware, the outermost:
    counts and times every request by its route, refused ones too.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.in_flight.inc()
        self._metrics.under_way += 1
        try:
            await self._app(scope, receive, watched)
        finally:
            self._metrics.in_flight.dec()
            self._metrics.under_way -= 1
            route = getattr(
                scope.get("route"), "path", "other"
            )  # never the path itself: callers choose those
            method = (
                scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "DELETE") else "other"
            )
            self._metrics.requests.labels(route, method, status).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
