"""Contact sheets, pixel by pixel: what is where, how large,
and what stands in for a picture that cannot be had.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import service
from indexer.errors import BadRequest
from service import Hit, Lake, contact_sheet
from service.search.browse import browse
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk, png, write

WHITE, GREY = (255, 255, 255), (208, 208, 208)
WIDTHS = count(120)
LABELS_PX = 2 * 11  # below an image of 100 px: two lines of 9 * 5 // 4 px


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Four colours. Widths never used before:
    small copies of these bytes are in nobody's cache yet.
    """
    desk = Desk(tmp_path)
    width = next(WIDTHS)
    for name, colour in (("a.png", RED), ("b.png", GREEN), ("c.png", BLUE), ("d.png", YELLOW)):
        desk.add(name, colour, size=(width, width))
    desk.index()
    return desk


def hits_of(desk: Desk, text: str = "red", **query: object) -> list[Hit]:
    with Lake.open(desk.lake, desk.model) as lake:
        return lake.search(text, **query)  # type: ignore[arg-type]


def names(hits: list[Hit]) -> list[str]:
    return [Path(hit.uri).name for hit in hits]


def near(sheet: Image.Image, x: int, y: int, colour: tuple[int, int, int]) -> bool:
    """JPEG and resampling leave a colour nearly what it was."""
    return bool(np.abs(np.array(sheet.getpixel((x, y)), np.int16) - colour).max() <= 6)


def ink(sheet: Image.Image, x: int, y: int, width: int, height: int) -> int:
    """Pixels darker than mid grey in a rectangle."""
    return int((np.asarray(sheet.convert("L"))[y : y + height, x : x + width] < 128).sum())


def test_images_stand_left_to_right_then_down(desk: Desk) -> None:
    """Red against red, yellow, then green and blue, which tie: by row_id."""
    hits = hits_of(desk)
    assert names(hits) == ["a.png", "d.png", "b.png", "c.png"]
    sheet = contact_sheet(hits, columns=3, size_px=100)
    assert sheet.mode == "RGB"
    assert sheet.size == (8 + 3 * 108, 8 + 2 * (100 + LABELS_PX + 8))
    for column, colour in enumerate((RED, YELLOW, GREEN)):
        left = 8 + 108 * column
        assert near(sheet, left, 8, colour) and near(sheet, left + 99, 107, colour)
        assert sheet.getpixel((left - 1, 50)) == WHITE and sheet.getpixel((left + 100, 50)) == WHITE
        assert ink(sheet, left, 108, 100, LABELS_PX) > 20  # its name and figure
    second_row = 8 + 100 + LABELS_PX + 8
    assert near(sheet, 58, second_row + 50, BLUE)
    assert sheet.getpixel((8 + 108 + 50, second_row + 50)) == WHITE  # nobody's place


def test_fewer_images_than_columns_make_a_narrower_sheet(desk: Desk) -> None:
    assert contact_sheet(hits_of(desk, k=2), size_px=64).size == (8 + 2 * 72, 8 + 64 + 2 * 11 + 8)


def test_the_defaults_are_five_columns_of_160_px(desk: Desk) -> None:
    sheet = contact_sheet([*hits_of(desk), *hits_of(desk)])
    assert sheet.size == (8 + 5 * 168, 8 + 2 * (160 + 2 * 15 + 8))


def test_sides_keep_their_proportion_and_small_images_their_size(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("wide.png", RED, size=(400, 200))
    desk.add("small.png", RED, size=(20, 10))
    desk.index()
    hits = sorted(hits_of(desk), key=lambda hit: hit.uri)  # equal scores: small, wide
    sheet = contact_sheet(hits, size_px=100)
    # 20 x 10 at the foot of its cell, in its middle
    assert near(sheet, 8 + 40, 98, RED) and near(sheet, 8 + 59, 107, RED)
    assert [sheet.getpixel(at) for at in ((8 + 39, 100), (8 + 60, 100), (58, 97))] == [WHITE] * 3
    # 100 x 50
    assert near(sheet, 116, 58, RED) and near(sheet, 215, 107, RED)
    assert sheet.getpixel((166, 57)) == WHITE


def test_an_image_that_is_gone_is_shown_while_its_small_copy_is_kept(desk: Desk) -> None:
    hits = hits_of(desk, k=1)
    before = contact_sheet(hits, size_px=100)
    (desk.photos / "a.png").unlink()
    assert contact_sheet(hits, size_px=100).tobytes() == before.tobytes()


def test_what_cannot_be_had_is_a_grey_cell_and_the_others_are_shown(desk: Desk) -> None:
    hits = hits_of(desk)
    (desk.photos / "a.png").unlink()
    width = hits[0].columns["width_px"]
    # as many bytes as before, and another picture
    write(desk.photos / "d.png", png(BLUE, (width, width)))
    sheet = contact_sheet(hits, columns=4, size_px=100)
    for left in (8, 116):
        corners = [(left, 8), (left + 99, 8), (left, 107), (left + 99, 107)]
        assert [sheet.getpixel(corner) for corner in corners] == [GREY] * 4
        assert ink(sheet, left, 8, 100, 100) > 30  # why
        assert ink(sheet, left, 108, 100, LABELS_PX) > 20  # which
    assert near(sheet, 224 + 50, 50, GREEN) and near(sheet, 332 + 50, 50, BLUE)


def test_reasons_differ_and_stay_in_their_cell(desk: Desk) -> None:
    """At 32 px no word fits: it is cut, and nothing is written over the neighbour."""
    hits = hits_of(desk, k=2)
    (desk.photos / "a.png").unlink()
    (desk.photos / "d.png").write_bytes(b"short")
    gone, changed = (contact_sheet([hit], size_px=160) for hit in hits)
    assert gone.getpixel((8, 8)) == changed.getpixel((8, 8)) == GREY
    assert gone.crop((8, 8, 168, 168)).tobytes() != changed.crop((8, 8, 168, 168)).tobytes()
    small = contact_sheet(hits, size_px=32)
    assert small.getpixel((8, 8)) == small.getpixel((48, 8)) == GREY
    assert ink(small, 0, 0, 8, small.height) == ink(small, 40, 0, 8, small.height) == 0
    assert ink(small, 8, 8, 32, 32) > 0


def test_long_names_are_cut(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("w" * 200 + ".png", RED)
    desk.add("x\n\x1b[31m.png", RED)  # a newline and a terminal's code: still one line
    desk.index()
    hits = hits_of(desk)
    sheet = contact_sheet(hits, size_px=100)
    assert sheet.size == (8 + 2 * 108, 8 + 100 + LABELS_PX + 8)
    assert ink(sheet, 0, 0, 8, sheet.height) == ink(sheet, 108, 0, 8, sheet.height) == 0
    assert ink(sheet, 8, 108, 100, 11) > 100


@pytest.mark.parametrize(("name", "shown"), [("é ü.png", "e u.png"), ("猫\n.png", "??.png")])
def test_letters_that_the_font_lacks_are_not_shown_as_boxes(
    desk: Desk, name: str, shown: str
) -> None:
    (hit,) = hits_of(desk, k=1)
    labels = {
        contact_sheet([replace(hit, uri=f"/photos/{uri}")], size_px=100)
        .crop((0, 108, 116, 119))
        .tobytes()
        for uri in (name, shown)
    }
    assert len(labels) == 1


def test_a_row_has_its_number_where_a_hit_has_its_figure(desk: Desk) -> None:
    with Lake.open(desk.lake, desk.model) as lake:
        rows = browse(lake.snapshot, k=2).rows
        hits = lake.search("red", k=1)
    of_rows, of_hits = contact_sheet(rows, size_px=100), contact_sheet(hits, size_px=100)
    assert near(of_rows, 58, 50, RED) and near(of_rows, 166, 50, GREEN)
    picture_and_name, figure = (8, 0, 108, 119), (8, 119, 108, 130)
    assert of_rows.crop(picture_and_name).tobytes() == of_hits.crop(picture_and_name).tobytes()
    assert of_rows.crop(figure).tobytes() != of_hits.crop(figure).tobytes()


def test_z_is_shown_where_there_is_one_and_how_many_were_folded(desk: Desk) -> None:
    (hit,) = hits_of(desk, k=1)
    assert hit.z is None
    figures = set()
    for z, score, collapsed in (
        (None, 0.25, None),
        (None, 0.5, None),
        (2.5, 0.25, None),
        (2.5, 0.5, ()),
        (2.5, 0.5, (7, 8)),
    ):
        shown = replace(hit, score=score, z=z, collapsed=collapsed)
        figures.add(contact_sheet([shown], size_px=160).crop((0, 168 + 15, 176, 206)).tobytes())
    assert len(figures) == 4  # where z is shown, the score is not


def test_no_images_are_one_empty_cell() -> None:
    sheet = contact_sheet([], size_px=100)
    assert sheet.size == (8 + 108, 8 + 100 + LABELS_PX + 8)
    assert sheet.getpixel((8, 8)) == GREY and ink(sheet, 8, 8, 100, 100) > 30


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"columns": 0}, "columns: 0 is not a number of columns; it must be at least 1"),
        ({"size_px": 31}, "size_px: 31 is not in 32..1024"),
        ({"size_px": 1025}, "size_px: 1025 is not in 32..1024"),
    ],
)
def test_mistakes_are_sentences(options: dict[str, int], sentence: str) -> None:
    with pytest.raises(BadRequest) as caught:
        contact_sheet([], **options)
    assert str(caught.value) == sentence


def test_a_sheet_too_large_to_show_is_refused_before_anything_is_read(desk: Desk) -> None:
    hits = hits_of(desk, k=1) * 100
    with pytest.raises(BadRequest) as caught:
        contact_sheet(hits, columns=10, size_px=1024)
    # lines of 1024 // 13 * 5 // 4 = 97 px
    assert str(caught.value) == (
        "hits: a sheet of 100 images would be 10,328 x 12,268 px; show fewer, or make size_px smaller"
    )


def test_it_is_exported_as_a_function() -> None:
    from service.pictures import contact_sheets

    assert service.contact_sheet is contact_sheets.contact_sheet
