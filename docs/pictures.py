"""Takes the pictures of README and docs: `make pictures`. Needs the `dev` extra and Chromium.

The photos are the samples inside scikit-image and scikit-learn. They are few, so each is cut into
twenty views of itself, as a robot passing by would take them; the same at every run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from lakesift import Filters, Lake, SourceEntry, Target, load_embedder, sync
from service.relevance.decisions.answers import AppliedAnswer
from service.relevance.promise.prices import Prices

HERE = Path(__file__).parent
SAMPLES = (("skimage", "data"), ("sklearn", "datasets/images"))
VIEWS = 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# The search: a list, since a name stands in it twice.
QUERY = [
    ("q", "a motorcycle"),
    ("also", "an astronaut"),
    ("also", "an orange flower"),
]
MAX_BYTES = 150_000
# Views of these are photos of things, people and places, which the filter is asked to keep. The
# others are textures, scans, charts, drawings and pictures from instruments.
PHOTOS = {
    "astronaut",
    "camera",
    "chelsea",
    "china",
    "coffee",
    "flower",
    "motorcycle_left",
    "motorcycle_right",
    "rocket",
}


def cut(folder: Path) -> None:
    """Writes the views: two fifths to four fifths of a photo each, 3 to 2."""
    folder.mkdir()
    draws = np.random.default_rng(7)
    for package, inside in SAMPLES:
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None, (
            f"pip install '.[samples]' has {package}"
        )
        photos = sorted((Path(spec.origin).parent / inside).glob("*.*g"))
        for path in photos:
            photo = Image.open(path).convert("RGB")
            for number in range(VIEWS):
                width = min(photo.width, photo.height * 3 // 2) * draws.uniform(0.6, 1.0)
                height = width * 2 / 3
                left, top = (
                    draws.uniform(0, photo.width - width),
                    draws.uniform(0, photo.height - height),
                )
                view = photo.crop(
                    (round(left), round(top), round(left + width), round(top + height))
                )
                view.resize((360, 240)).save(folder / f"{path.stem}_{number:02}.jpg", quality=92)


def answer(row: Any) -> dict[str, Any]:
    """What a person says who looks at a view."""
    name = Path(row.uri).stem.rsplit("_", 1)[0]
    return {"row_id": row.row_id, "label": "yes" if name in PHOTOS else "no", "labeller": "ann"}


def make_filter(lake_folder: Path) -> bytes:
    """Teaches, audits and applies a filter; its report."""
    with Lake.open(lake_folder) as lake:
        scenes = Filters(lake).create(
            "scenes",
            keep_texts=["a photo of a thing, a person or a place"],
            drop_texts=["text on paper", "a texture", "a drawing", "an image from a microscope"],
            target=Target(recall=0.9, confidence=0.95),
        )
        for _ in range(3):
            scenes.label([answer(row) for row in scenes.next(20, "teach").rows])
        while rows := scenes.next(20, "audit", budget=220).rows:
            scenes.label([answer(row) for row in rows])
        applied = scenes.apply()
        assert isinstance(applied, AppliedAnswer), applied.reason
        print(f"kept {applied.kept} of {applied.rows}: {applied.promise}")
        return scenes.report_page(Prices.of(0.8, currency="EUR"))


@contextmanager
def served(lake_folder: Path) -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-c", "from service.cli.main import main; raise SystemExit(main())"]
    server = subprocess.Popen(
        [*command, "serve", str(lake_folder), "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    try:
        yield next(line.split()[2] for line in server.stderr if line.startswith("serving at"))
    finally:
        server.terminate()
        server.communicate(timeout=30)


def save(shot: bytes, name: str) -> None:
    """Writes a screenshot as docs/pictures/NAME.webp."""
    path = HERE / "pictures" / f"{name}.webp"
    Image.open(BytesIO(shot)).convert("RGB").save(path, quality=80, method=6)
    assert path.stat().st_size < MAX_BYTES, f"{path} has {path.stat().st_size} bytes"
    print(path.relative_to(HERE.parent), path.stat().st_size, "bytes")


def take(url: str, report: Path) -> None:
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser_path, f"none of {', '.join(BROWSERS)} is on the PATH"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 720}, color_scheme="light")
        page.goto(f"{url}/?{urlencode(QUERY)}")
        page.wait_for_selector("#grid[aria-busy=false]", state="attached")
        page.wait_for_load_state("networkidle")
        save(page.screenshot(animations="disabled"), "search")
        page.set_viewport_size({"width": 960, "height": 890})
        page.goto(report.as_uri())
        save(page.screenshot(animations="disabled"), "filter")
        browser.close()


def main() -> None:
    with TemporaryDirectory() as folder:
        workshop = Path(folder)
        os.environ["LAKESIFT_CACHE"] = str(workshop / "cache")
        os.environ["LAKESIFT_STATE"] = str(workshop / "state")
        cut(workshop / "photos")
        lake = workshop / "photos.lake"
        sync(lake, lambda _: load_embedder("builtin"), add=[SourceEntry(str(workshop / "photos"))])
        report = workshop / "report.html"
        report.write_bytes(make_filter(lake))
        with served(lake) as url:
            take(url, report)


if __name__ == "__main__":
    main()
