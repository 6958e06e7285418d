"""What the service says of the formats that decisions are handed over as."""

from __future__ import annotations

from fastapi.testclient import TestClient

from service.formats.format_list import FORMATS


def test_the_formats_are_those_of_the_command_with_what_can_be_downloaded(
    client: TestClient,
) -> None:
    formats = client.get("/v1/formats").json()["formats"]
    assert [format["name"] for format in formats] == [
        "txt", "csv", "parquet", "coco", "yolo", "label_studio", "cvat", "fiftyone", "webdataset"
    ]  # fmt: skip
    assert all(format["downloads"] for format in formats)
    assert [format["name"] for format in formats if format["copies"]] == ["webdataset"]
    assert formats[5] == {
        "name": "label_studio",
        "title": "Label Studio",
        "writes": "tasks with the decision as prediction",
        "reads": "Label Studio's JSON export",
        "downloads": True,
        "copies": False,
    }


def test_an_export_offers_just_those_that_can_be_downloaded(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    export = paths["/v1/lakes/{lake}/filters/{name}/export"]["get"]
    asked = next(each for each in export["parameters"] if each["name"] == "format")
    assert asked["schema"]["enum"] == list(FORMATS)
    assert asked["schema"]["default"] == "csv"
    assert list(export["responses"]["200"]["content"]) == [
        "text/plain", "text/csv", "application/vnd.apache.parquet", "application/json",
        "application/zip", "application/x-tar",
    ]  # fmt: skip
