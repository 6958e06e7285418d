"""The Model Context Protocol over standard input and output, by its official SDK."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from indexer import __version__
from indexer.config import ReadLimits
from indexer.embed.model_cache import cache_folder
from indexer.errors import LakeError
from service.api.serving.hub import Hub, Models, name_lakes
from service.api.serving.open_filters import OpenFilters
from service.mcp.tools import MAX_HITS, MAX_PICTURES, Tools
from service.pictures.decoders import DecoderPool
from service.pictures.thumbnails import Thumbnails

INSTRUCTIONS = """Images of data lakes, found by what they show. `lakes` says what there is; `search` takes plain words
(English for the model that ships; -word for what is unwanted) and SQL in `where`; `show` gives pictures. A hit's z says
how far it stands out from the rest: below about 3 it may be chance, so look at pictures before you say that something
is there. Nothing here changes a lake."""
READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)

Answer = TypeVar("Answer")
Lake = Annotated[str | None, Field(description="May be left out where there is one lake.")]
Where = Annotated[
    str | None,
    Field(description="SQL over the lake's columns: width_px > 640 AND caption LIKE '%cat%'"),
]
FilterName = Annotated[str | None, Field(description="Only rows that this filter decided on.")]
Decision = Annotated[
    str | None,
    Field(
        description="With a filter: keep, ask, drop or undecided (rows without a decision); left out: keep."
    ),
]


def serve(folders: Sequence[Path], *, trust_model: bool = False) -> None:
    """Answer until standard input ends.

    :param trust_model: as `Models` has it.
    :raises LakeNotFound, LakeDamaged: if a lake cannot be opened.
    """
    decoders = DecoderPool(ReadLimits(decode_timeout_s=20.0))
    hub = Hub.open(name_lakes(folders), Models(trust_model=trust_model))
    hub.start()
    try:
        server_of(Tools(hub, OpenFilters(hub), Thumbnails(cache_folder(), decoders))).run("stdio")
    finally:
        hub.close()
        decoders.close()


def server_of(tools: Tools) -> MCPServer[Any]:
    """A server with these tools and no other."""
    server: MCPServer[Any] = MCPServer(
        "lakesift", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING"
    )

    @server.tool(annotations=READS)
    def lakes() -> dict[str, Any]:
        """The lakes: how many images, which columns `where` takes, which filters there are."""
        return _told(tools.lakes)

    @server.tool(annotations=READS)
    def search(
        query: Annotated[
            str | None, Field(description="What the picture shows: a ward -baby")
        ] = None,
        like: Annotated[list[int], Field(description="Rows that hits should be like.")] = [],  # noqa: B006
        lake: Lake = None,
        where: Where = None,
        filter: FilterName = None,
        decision: Decision = None,
        k: Annotated[int, Field(ge=1, le=MAX_HITS, description="Hits wanted.")] = 10,
        diversity: Annotated[
            float,
            Field(
                ge=0,
                le=1,
                description="Above 0: hits that differ from each other; for words try 0.1.",
            ),
        ] = 0.0,
        explain: Annotated[
            bool, Field(description="True: what each word group and row adds to each score.")
        ] = False,
    ) -> dict[str, Any]:
        """Find images by words, by rows they should be like, or both; best first."""
        return _told(
            lambda: tools.search(query, like, lake, where, filter, decision, k, diversity, explain)
        )

    @server.tool(annotations=READS)
    def count(
        lake: Lake = None, where: Where = None, filter: FilterName = None, decision: Decision = None
    ) -> dict[str, Any]:
        """How many images pass `where`, and were decided so by a filter."""
        return _told(lambda: tools.count(lake, where, filter, decision))

    @server.tool(annotations=READS, structured_output=False)
    def show(
        row_ids: Annotated[list[int], Field(min_length=1, max_length=MAX_PICTURES)],
        lake: Lake = None,
    ) -> list[Any]:
        """Pictures of rows, with what is known of them."""
        parts: list[Any] = []
        for row, picture in _told(lambda: tools.pictures(row_ids, lake)):
            parts.append(json.dumps(row, ensure_ascii=False))
            parts.append(
                picture if isinstance(picture, str) else Image(data=picture, format="jpeg")
            )
        return parts

    @server.tool(annotations=READS)
    def filter_status(
        name: Annotated[str | None, Field(description="Left out: all filters of the lake.")] = None,
        lake: Lake = None,
    ) -> dict[str, Any]:
        """What a filter looks for, how many answers it has, what it promises and decided."""
        return _told(lambda: tools.filter_status(name, lake))

    return server


def _told(answer: Callable[[], Answer]) -> Answer:
    """:raises ToolError: for each of a caller's mistakes, with its sentence."""
    try:
        return answer()
    except LakeError as error:
        raise ToolError(str(error)) from None
