"""Many small pictures on one: what a search found, to look at in a notebook.

Strangers' images are decoded as for the page, in decoder processes; here only the JPEGs of the
thumbnails are.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

from PIL import Image, ImageDraw, ImageFont

from indexer.embed.model_cache import cache_folder
from indexer.errors import BadRequest, ImageGone, ImageUnreachable, UnreadableImage
from indexer.sources.guard import Reach
from service.pictures.decoders import DecoderPool
from service.pictures.originals import IndexedImage
from service.pictures.thumbnails import LARGEST_PX, SMALLEST_PX, Thumbnails
from service.search.hits import Hit, Row

GAP_PX = 8  # around every cell
MAX_SHEET_PIXELS = 50_000_000  # 150 MB; a notebook keeps it, and sends it to the browser
PAPER, INK, EMPTY, EMPTY_INK = "#ffffff", "#333333", "#d0d0d0", "#555555"
REASON_LINES = 3
LABEL_LINES = 2
DOTS = "..."


def contact_sheet(
    hits: Sequence[Hit | Row], *, columns: int = 5, size_px: int = 160
) -> Image.Image:
    """The images of hits or rows, left to right, then down;
    a notebook shows it when it is a cell's last value.

    Below each stand its name and, for a hit, its z (its score, where it has no z). An image that is
    gone and of which no small copy is kept, or that cannot be read or decoded, is a grey cell with
    the reason.

    :param columns: images side by side, at least 1; fewer where there are fewer images.
    :param size_px: the longer side of an image, 32 to 1024; smaller images are not enlarged.
    :returns: RGB.
    :raises BadRequest: if columns or size_px is out of range, or the sheet would have over 50 Mpx.
    """
    if columns < 1:
        raise BadRequest("columns", f"{columns} is not a number of columns; it must be at least 1")
    if not SMALLEST_PX <= size_px <= LARGEST_PX:
        raise BadRequest("size_px", f"{size_px} is not in {SMALLEST_PX}..{LARGEST_PX}")
    sheet = _Sheet(min(columns, max(len(hits), 1)), size_px)
    width, height = sheet.size(len(hits))
    if width * height > MAX_SHEET_PIXELS:
        raise BadRequest(
            "hits",
            f"a sheet of {len(hits):,} images would be {width:,} x {height:,} px; show fewer, or make size_px smaller",
        )
    paper = Image.new("RGB", (width, height), PAPER)
    for number, (hit, picture) in enumerate(zip(hits, _pictures(hits, size_px), strict=True)):
        sheet.put(paper, number, picture, (_name(hit), _figure(hit)))
    if not hits:
        sheet.put(paper, 0, "nothing to show", ("", ""))
    return paper


@dataclass(frozen=True)
class _Sheet:
    """Where everything is, and how it is drawn."""

    columns: int
    size_px: int

    @cached_property
    def font(self) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        return ImageFont.load_default(max(9, self.size_px // 13))

    @property
    def line_px(self) -> int:
        return max(9, self.size_px // 13) * 5 // 4

    @property
    def cell_height_px(self) -> int:
        return self.size_px + LABEL_LINES * self.line_px

    def size(self, images: int) -> tuple[int, int]:
        rows = max(1, -(-images // self.columns))
        return (
            GAP_PX + self.columns * (self.size_px + GAP_PX),
            GAP_PX + rows * (self.cell_height_px + GAP_PX),
        )

    def put(
        self, paper: Image.Image, number: int, picture: Image.Image | str, labels: tuple[str, str]
    ) -> None:
        """:param picture: or the reason why there is none."""
        row, column = divmod(number, self.columns)
        x = GAP_PX + column * (self.size_px + GAP_PX)
        y = GAP_PX + row * (self.cell_height_px + GAP_PX)
        draw = ImageDraw.Draw(paper)
        if isinstance(picture, str):
            draw.rectangle((x, y, x + self.size_px - 1, y + self.size_px - 1), fill=EMPTY)
            lines = self._wrap(picture)
            top = y + (self.size_px - len(lines) * self.line_px) // 2
            self._write(draw, x, top, lines, EMPTY_INK)
        else:  # at the foot of its cell, just above its name
            across, up = (self.size_px - picture.width) // 2, self.size_px - picture.height
            paper.paste(picture, (x + across, y + up))
        self._write(draw, x, y + self.size_px, labels, INK)

    def _write(
        self, draw: ImageDraw.ImageDraw, x: int, y: int, lines: Sequence[str], ink: str
    ) -> None:
        for number, line in enumerate(lines):
            fitting = self._cut(line)
            across = (self.size_px - self.font.getlength(fitting)) / 2
            draw.text((x + across, y + number * self.line_px), fitting, fill=ink, font=self.font)

    def _fits(self, text: str) -> bool:
        return self.font.getlength(text) <= self.size_px

    def _cut(self, text: str) -> str:
        """The text, or as much of its beginning as a cell is wide."""
        if self._fits(text):
            return text
        kept = text[: self.size_px]  # no letter is narrower than a pixel
        while kept and not self._fits(kept + DOTS):
            kept = kept[:-1]
        return kept + DOTS

    def _wrap(self, text: str) -> list[str]:
        """The first words, on a few lines."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if not lines[-1] or self._fits(longer):
                lines[-1] = longer
            elif len(lines) == REASON_LINES:
                return [*lines[:-1], lines[-1] + DOTS]
            else:
                lines.append(word)
        return lines


def _pictures(hits: Sequence[Hit | Row], size_px: int) -> list[Image.Image | str]:
    with closing(DecoderPool()) as decoders, ThreadPoolExecutor(2 * decoders.size) as threads:
        thumbnails = Thumbnails(cache_folder(), decoders)
        return list(threads.map(lambda hit: _picture(thumbnails, hit, size_px), hits))


def _picture(thumbnails: Thumbnails, hit: Hit | Row, size_px: int) -> Image.Image | str:
    """The small picture, or why there is none."""
    try:
        jpeg = thumbnails.of(
            IndexedImage.of(hit.columns, Reach(filter(None, [hit.columns["source"]]))), size_px
        )
    except (ImageGone, ImageUnreachable, UnreadableImage) as error:
        return error.reason
    picture = Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB")
    picture.thumbnail((size_px, size_px))
    return picture


def _name(hit: Hit | Row) -> str:
    """In the letters that Pillow's own font has, the plain ones:
    é as e, what has no such form as ?.
    """
    letters = unicodedata.normalize("NFKD", hit.uri.rpartition("/")[2])
    plain = [letter for letter in letters if not unicodedata.combining(letter)]
    return "".join(letter if " " <= letter <= "~" else "?" for letter in plain)


def _figure(hit: Hit | Row) -> str:
    if isinstance(hit, Row):
        return f"row {hit.row_id}"
    figure = f"score {hit.score:.3f}" if hit.z is None else f"z {hit.z:.1f}"
    if hit.moment is not None:
        figure = f"{figure}, {hit.moment}"
    return f"{figure}, and {len(hit.collapsed):,} like it" if hit.collapsed else figure
