"""Lakes by the Model Context Protocol, asked by the official SDK's client.

Rows 1 to 4 are blue, green, red and yellow; "red" scores 1 with red, 0.7071 with yellow.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp import StdioServerParameters, stdio_client
from mcp.client import Client
from PIL import Image

from indexer.config import ReadLimits
from service.api.serving.hub import Hub, Models
from service.api.serving.open_filters import OpenFilters
from service.mcp.server import server_of
from service.mcp.tools import Tools
from service.pictures.decoders import DecoderPool
from service.pictures.thumbnails import Thumbnails
from service.relevance import Filters
from service.search.decided import WANTED
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk

Ask = Callable[..., Any]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    for name, colour in (
        ("a-blue", BLUE),
        ("b-green", GREEN),
        ("c-red", RED),
        ("d-yellow", YELLOW),
    ):
        desk.add(f"{name}.png", colour)
    desk.index()
    return desk


@pytest.fixture
def tools(desk: Desk, tmp_path: Path) -> Iterator[Tools]:
    decoders = DecoderPool(ReadLimits())
    hub = Hub.open({"my": desk.lake}, Models(desk.model))
    yield Tools(hub, OpenFilters(hub), Thumbnails(tmp_path / "cache", decoders))
    decoders.close()
    hub.close()


@pytest.fixture
def ask(tools: Tools) -> Ask:
    """Calls a tool; what it answers, or the sentence it refuses with."""

    async def call(name: str, said: dict[str, Any]) -> Any:
        async with Client(server_of(tools)) as client:
            answer = await client.call_tool(name, said)
        said_back: list[Any] = list(answer.content)
        if answer.is_error:
            return said_back[0].text
        return answer.structured_content or said_back

    return lambda tool, /, **said: asyncio.run(call(tool, said))


def test_a_search_says_where_images_lie(ask: Ask, desk: Desk) -> None:
    answer = ask("search", query="red", k=2)
    assert answer["lake"] == "my" and answer["more"] is True
    first, second = answer["hits"]
    assert (first["row_id"], first["place"]) == (3, str(desk.photos / "c-red.png"))
    assert (first["score"], second["row_id"]) == (1.0, 4)
    # vectors are kept in half precision
    assert second["score"] == pytest.approx(0.5**0.5, abs=2e-4)
    assert "sha256" not in first["columns"]


def test_a_search_explains_and_mixes_where_it_is_asked(ask: Ask) -> None:
    """red - green is (1, -1, 0) / sqrt(2): red's share of yellow's score is 1/2, green's -1/2."""
    answer = ask("search", query="red -green", where="row_id = 4", explain=True)
    [hit] = answer["hits"]
    assert hit["explain"] == [
        {"value": "red", "weight": 1.0, "share": pytest.approx(0.5, abs=2e-4)},
        {"value": "green", "weight": -1.0, "share": pytest.approx(-0.5, abs=2e-4)},
    ]
    assert "explain" not in ask("search", query="red -green")["hits"][0]
    # to red: yellow .707, blue and green 0; with 1, what is least like those before it
    assert [hit["row_id"] for hit in ask("search", query="red", k=2)["hits"]] == [3, 4]
    mixed = ask("search", query="red", k=2, diversity=1)["hits"]
    assert [hit["row_id"] for hit in mixed] == [3, 1]


def test_rows_are_examples_and_where_narrows(ask: Ask) -> None:
    answer = ask("search", like=[3], where="row_id <> 3", k=1)
    assert [hit["row_id"] for hit in answer["hits"]] == [4]
    assert ask("count", where="row_id > 1") == {"lake": "my", "images": 3, "of": 4}


def test_pictures_come_with_what_is_known(ask: Ask, desk: Desk) -> None:
    (desk.photos / "b-green.png").unlink()
    said, picture, said_of_gone, why_gone = ask("show", row_ids=[3, 2])
    assert json.loads(said.text)["row_id"] == 3
    assert (picture.type, picture.mime_type) == ("image", "image/jpeg")
    with Image.open(io.BytesIO(base64.b64decode(picture.data))) as shown:
        red, green, blue = np.asarray(shown.convert("RGB"))[2, 2]
    assert red > 200 and green < 60 and blue < 60
    assert json.loads(said_of_gone.text)["row_id"] == 2
    assert why_gone.text.endswith("it is not there any more; run `lakesift sync`")


def test_filters_are_read(ask: Ask, desk: Desk, tools: Tools) -> None:
    lake = tools.hub.lakes[0]
    Filters(lake.lake, lake.embedder).create("reds", keep_texts=["red"])
    assert [each["name"] for each in ask("filter_status")["filters"]] == ["reds"]
    one = ask("filter_status", name="reds")
    assert (one["name"], one["applied"]) == ("reds", None)
    (lake_facts,) = ask("lakes")["lakes"]
    assert (lake_facts["images"], lake_facts["filters"]) == (4, ["reds"])
    assert lake_facts["columns"]["width_px"] == "int32"


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        ("search", {}, "give at least one text, image or row"),
        ("search", {"query": "red", "lake": "yours"}, "there is no lake 'yours' here; there is my"),
        ("search", {"query": "red", "where": "width > 3"}, "width_px"),
        ("search", {"query": "red", "k": 51}, "50"),
        ("search", {"query": "red", "filter": "reds"}, "reds"),
        ("search", {"query": "red", "decision": "keep"}, "name the filter"),
        (
            "search",
            {"query": "red", "filter": "reds", "decision": "kept"},
            "none of keep, ask, drop and undecided",
        ),
        ("show", {"row_ids": [99]}, "99"),
        ("show", {"row_ids": []}, "at least 1"),
        ("filter_status", {"name": "reds"}, "reds"),
    ],
)
def test_a_mistake_is_a_sentence(ask: Ask, name: str, said: dict[str, Any], sentence: str) -> None:
    answer = ask(name, **said)
    assert isinstance(answer, str) and sentence in answer


def test_every_tool_says_that_it_only_reads(tools: Tools) -> None:
    async def listed() -> list[Any]:
        async with Client(server_of(tools)) as client:
            return list((await client.list_tools()).tools)

    found = asyncio.run(listed())
    assert {tool.name for tool in found} == {"lakes", "search", "count", "show", "filter_status"}
    assert all(tool.annotations.read_only_hint for tool in found)
    decisions = [
        tool.input_schema["properties"]["decision"]["description"]
        for tool in found
        if tool.name in ("search", "count")
    ]
    assert len(decisions) == 2
    assert all(wanted in said for said in decisions for wanted in WANTED)


def test_the_command_is_what_a_program_starts(photo_lake: Path) -> None:
    """`lakesift mcp` as a program would start it: the sample photos, by the model that ships."""

    async def find() -> Any:
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "service.cli", "mcp", str(photo_lake)]
        )
        async with Client(stdio_client(command)) as client:
            return await client.call_tool("search", {"query": "a cat", "k": 1})

    answer = asyncio.run(find())
    assert not answer.is_error
    assert "chelsea" in answer.structured_content["hits"][0]["place"]
