"""An item's names, as tools know them, and its form in JSON."""

from __future__ import annotations

from datetime import datetime

import pytest

from service.formats.item import NOT_UTF8, LeftOut
from tests.service.formats.things import item, url

ODD = b"/photos/b \xff.jpg"


def test_a_place_is_the_path_or_the_url() -> None:
    assert item(1, "/photos/ü.jpg").place == "/photos/ü.jpg"
    assert url(1, "s3://shop/a.jpg").place == "s3://shop/a.jpg"


def test_a_path_that_is_not_utf8_is_left_out_with_the_way_out() -> None:
    with pytest.raises(LeftOut) as caught:
        _ = item(1, ODD).place
    assert str(caught.value) == NOT_UTF8
    assert not caught.value.for_now


def test_a_name_below_a_root_has_neither_root_nor_slash() -> None:
    assert item(1, "/data/photos/a.jpg").below("/data") == "photos/a.jpg"
    assert item(1, "/data/photos/a.jpg").below("/data/") == "photos/a.jpg"
    assert url(1, "s3://shop/new/a.jpg").below("s3://shop") == "new/a.jpg"


def test_without_a_root_the_whole_name_counts() -> None:
    assert item(1, "/data/photos/a.jpg").below(None) == "data/photos/a.jpg"
    assert url(1, "s3://shop/new/a.jpg").below(None) == "shop/new/a.jpg"


@pytest.mark.parametrize("root", ["/dat", "/data/photos/a.jpg", "s3://data"])
def test_a_root_that_only_looks_alike_holds_nothing(root: str) -> None:
    with pytest.raises(LeftOut, match=f"^it does not lie below {root}$"):
        item(1, "/data/photos/a.jpg").below(root)


@pytest.mark.parametrize(
    ("path", "format", "suffix"),
    [
        ("/a/x.png", "jpeg", ".jpg"),  # the name lies
        ("/a/x", "heif", ".heic"),
        ("/a/x.JPG", None, ".jpg"),
        ("/a/x.jpg~", None, ".img"),
        ("/a/x.mcap#stream=/camera/raw&t=1.500000", "ppm", ".ppm"),
        ("/a/x", "something new", ".img"),
    ],
)
def test_a_suffix_is_that_of_the_format_then_of_the_name(
    path: str, format: str | None, suffix: str
) -> None:
    assert item(1, path, columns={"format": format}).suffix == suffix


def test_json_has_plain_values_alone() -> None:
    columns = {
        "captured_at": datetime(2024, 5, 6, 7, 8, 9),
        "sharpness": float("nan"),
        "phash": 7,
        "caption": None,
    }
    assert item(5, columns=columns, label="yes", labeller="ann").to_json() == {
        "row_id": 5,
        "uri": "/photos/5.jpg",
        "width_px": 640,
        "height_px": 480,
        "decision": "keep",
        "score": 0.25,
        "probability": 0.9,
        "label": "yes",
        "labeller": "ann",
        "columns": {"captured_at": "2024-05-06T07:08:09", "sharpness": "nan"},
    }
