"""The application: what is opened when it starts,
what stands before its routes, what is closed when it ends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from indexer import __version__
from indexer.config import ReadLimits
from indexer.embed import Embedder
from indexer.embed.model_cache import cache_folder
from indexer.engines.engine import Recalled
from indexer.engines.opening import open_engine
from indexer.trust import state_folder
from service.api import errors
from service.api.access_log import AccessLog
from service.api.config import ServeConfig
from service.api.door.guard import Guard
from service.api.door.heads import Heads
from service.api.door.limits import Limits
from service.api.door.work import OneAtATime
from service.api.metrics import Measured, Metrics
from service.api.routes import (
    about,
    clip_retrieval,
    compare,
    docs,
    doctor,
    embeddings,
    facets,
    filter_results,
    filters,
    formats,
    groups,
    health,
    images,
    lakes,
    map,
    page,
    pick,
    saved,
    scores,
    search,
    search_many,
    session,
    strange,
    suggestions,
    syncs,
    tags,
)
from service.api.serving.hub import Hub, Models, name_lakes
from service.api.serving.keys import KeyStore
from service.api.serving.mapped_memory import MappedMemory
from service.api.serving.open_filters import OpenFilters
from service.api.serving.recall_watch import RecallWatch
from service.api.serving.shared_arrays import SharedArrays
from service.api.serving.syncs import Syncs
from service.api.signing import Signer, secret_of
from service.api.traces import Traced, Traces
from service.pictures.decoders import DecoderPool, decoders_of_one
from service.pictures.fetches import Fetches
from service.pictures.gone import hashes_gone
from service.pictures.originals import Originals
from service.pictures.thumbnails import Thumbnails

DESCRIPTION = """Find images in a data lake by text, by example, by metadata.

Every error is `{"error": {"code", "message", "field"}}`; 4xx are the caller's, with a sentence that names the way out.
Paging: send `next_cursor` back, with the same query or alone; all pages come from one snapshot, whatever is committed
meanwhile. Images are named by `row_id` alone, which is never used again for another image.

Nobody keeps the others out: 429 where too many requests, uploads or streams are under way, or too many of them are
yours; 408 where a body comes too slowly; 431 where address and headers are too large; 503 `where_too_slow` where a
`where` takes too long. An answer of which nothing is read for a minute is cut off. HEAD answers wherever GET does."""

DECODE_TIMEOUT_S = 20.0  # somebody waits for it
SPARE_THREADS = 16


def create_app(
    folders: Sequence[Path] | Mapping[str, Path],
    config: ServeConfig | None = None,
    *,
    embedder: Embedder | None = None,
    keys: KeyStore | None = None,
    arrays: SharedArrays | None = None,
) -> FastAPI:
    """An ASGI app that serves these lakes. They are opened here,
    so that a wrong folder fails now and not later.

    :param folders: the lakes' folders, by name or to be named by `name_lakes`.
    :param config: None: from the environment.
    :param embedder: the model of every lake, if it is loaded already; None loads each lake's own.
    :param keys: None: the user's own key store.
    :param arrays: of the workers that serve together; None: this process serves alone.
    :raises LakeNotFound, LakeDamaged: if a lake cannot be opened.
    """
    config = config or ServeConfig.from_env()
    named = folders if isinstance(folders, Mapping) else name_lakes(folders)
    arrays = SharedArrays() if arrays is None else arrays
    traces = Traces.to_collector() if config.traces else None
    metrics = Metrics(arrays.folder)
    models = Models(
        embedder,
        batched=metrics.batched,
        looked_up=metrics.looked_up,
        trust_model=config.trust_model,
    )
    decoders = DecoderPool(
        ReadLimits(max_pixels=config.max_pixels, decode_timeout_s=DECODE_TIMEOUT_S),
        decoders=decoders_of_one(arrays.workers),
    )
    # The rest of the requests under way is left to what needs no store.
    fetches = Fetches(
        config.max_busy * 3 // 4 // arrays.workers, patience_s=config.fetch_patience_s
    )
    thumbnails = Thumbnails(
        cache_folder(),
        decoders,
        max_cache_bytes=config.thumbnail_cache_bytes,
        writers=arrays.workers,
        originals=Originals(fetches),
    )
    hub = Hub.open(
        named,
        models,
        moved=lambda before, after: thumbnails.forget(hashes_gone(before, after)),
        engine=open_engine(config.engine) if config.engine else None,
        outage="503" if config.engine_outage == "503" else "own",
        candidates=config.engine_candidates,
    )
    app = FastAPI(
        title="lakesift",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,  # FastAPI's own load scripts from another host; routes/docs.py has ours
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    state = app.state
    state.config, state.metrics, state.hub = config, metrics, hub
    state.traces = traces
    state.ready_told = None  # what `/readyz` said last to those without a key
    state.is_leaving = False  # True: it was told to end, and answers what is under way
    state.keys = keys or KeyStore(state_folder())
    state.signer = Signer(secret_of(config.cursor_secret, state.keys.folder))
    state.syncs = Syncs(state.keys.folder, trust_model=config.trust_model)
    state.decoders, state.thumbnails = decoders, thumbnails
    state.filters = OpenFilters(hub)
    state.mapped = MappedMemory()
    state.picking = OneAtATime("images are being picked")
    state.comparing = OneAtATime("sets are being compared")
    state.examining = OneAtATime("a lake is being looked at")
    state.straying = OneAtATime("strange images are being looked for")
    state.recalls = RecallWatch(
        metrics.recalled,
        lambda: metrics.under_way == 0,
        was_read=state.mapped.was_read,
        tell_of_engine=partial(_keep_recall, metrics, hub),
    )
    metrics.watch(hub)
    errors.install(app)
    ours = (
        search,
        search_many,
        lakes,
        about,
        suggestions,
        syncs,
        doctor,
        facets,
        scores,
        tags,
        groups,
        pick,
        compare,
        strange,
        map,
        saved,
        images,
        filters,
        filter_results,
        formats,
        session,
        health,
        docs,
        page,
    )
    for module in (*ours, embeddings, clip_retrieval):
        app.include_router(module.router)
    app.mount("/page", page.files(), name="page")
    # Added last stands first: what is refused by limits and guard is counted too.
    app.add_middleware(Heads)
    app.add_middleware(Guard, config=config, keys=state.keys, arrays=arrays)
    if config.allow_origins:
        # It answers what a browser asks before it lets such a page send a key.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(config.allow_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-api-key"],
        )
    app.add_middleware(Limits, config=config, arrays=arrays)
    app.add_middleware(Measured, metrics=metrics)
    if config.access_log:
        app.add_middleware(AccessLog)
    if traces is not None:
        app.add_middleware(Traced, traces=traces)
    return app


def _keep_recall(metrics: Metrics, hub: Hub, lake: str, measured: Sequence[Recalled]) -> None:
    metrics.engine_recalled(lake, measured)
    if measured and (engine := hub.lake(lake).engine) is not None:
        engine.add_recalled(measured)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Searches, decoding and thumbnails wait in threads; more requests than this are refused before
    # they get one. The spare ones are for what is answered however busy it is: the page's files,
    # sign-in, metrics.
    anyio.to_thread.current_default_thread_limiter().total_tokens = (
        app.state.config.max_busy + SPARE_THREADS
    )
    app.state.hub.start()
    app.state.mapped.start()
    app.state.recalls.start()
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(app.state.recalls.close)
        await anyio.to_thread.run_sync(app.state.mapped.close)
        await anyio.to_thread.run_sync(app.state.hub.close)
        await anyio.to_thread.run_sync(app.state.decoders.close)
        if app.state.traces is not None:
            await anyio.to_thread.run_sync(app.state.traces.close)
