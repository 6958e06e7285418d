"""The application: what is opened when it starts, what stands before its routes, what is closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI

from indexer import __version__
from indexer.config import ReadLimits
from indexer.embed import Embedder
from indexer.embed.model_cache import cache_folder
from service.api import errors
from service.api.config import ServeConfig
from service.api.guard import Guard
from service.api.limits import Limits
from service.api.metrics import Measured, Metrics
from service.api.open_filters import OpenFilters
from service.api.routes import docs, filters, health, images, lakes, page, search, session
from service.decoders import DecoderPool
from service.hub import Hub, Models, name_lakes
from service.keys import KeyStore, state_folder
from service.thumbnails import Thumbnails

DESCRIPTION = """Find images in a data lake by text, by example, by metadata.

Every error is `{"error": {"code", "message", "field"}}`; 4xx are the caller's, with a sentence that names the way out.
Paging: send `next_cursor` back, with the same query or alone; all pages come from one snapshot, whatever is committed
meanwhile. Images are named by `row_id` alone, which is never used again for another image."""

DECODE_TIMEOUT_S = 20.0  # somebody waits for it
SPARE_THREADS = 16


def create_app(
    folders: Sequence[Path] | Mapping[str, Path],
    config: ServeConfig | None = None,
    *,
    embedder: Embedder | None = None,
    keys: KeyStore | None = None,
) -> FastAPI:
    """An ASGI app that serves these lakes. They are opened here, so that a wrong folder fails now and not later.

    :param folders: the lakes' folders, by name or to be named by `name_lakes`.
    :param config: None: from the environment.
    :param embedder: the model of every lake, if it is loaded already; None loads each lake's own.
    :param keys: None: the user's own key store.
    :raises LakeNotFound, LakeDamaged: if a lake cannot be opened.
    """
    config = config or ServeConfig.from_env()
    named = folders if isinstance(folders, Mapping) else name_lakes(folders)
    metrics = Metrics()
    models = Models(embedder, batched=metrics.batched, looked_up=metrics.looked_up)
    hub = Hub.open(named, models)
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
    state.keys = keys or KeyStore(state_folder())
    state.decoders = DecoderPool(ReadLimits(max_pixels=config.max_pixels, decode_timeout_s=DECODE_TIMEOUT_S))
    state.thumbnails = Thumbnails(
        cache_folder(), state.decoders, max_cache_bytes=config.thumbnail_cache_bytes
    )
    state.filters = OpenFilters(hub)
    metrics.watch(hub)
    errors.install(app)
    for module in (search, lakes, images, filters, session, health, docs, page):
        app.include_router(module.router)
    app.mount("/page", page.files(), name="page")
    # Added last stands first: what is refused by limits and guard is counted too.
    app.add_middleware(Guard, config=config, keys=state.keys)
    app.add_middleware(Limits, config=config)
    app.add_middleware(Measured, metrics=metrics)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Searches, decoding and thumbnails wait in threads; more requests than this are refused before they get one. The
    # spare ones are for what is answered however busy it is: the page's files, sign-in, metrics.
    anyio.to_thread.current_default_thread_limiter().total_tokens = app.state.config.max_busy + SPARE_THREADS
    app.state.hub.start()
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(app.state.hub.close)
        await anyio.to_thread.run_sync(app.state.decoders.close)
