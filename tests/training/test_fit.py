"""Training, for real: small sets, the packaged model and the pretrained parts, real graphs out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.embed.builtin import PACKAGED, BuiltinEmbedder
from indexer.errors import BadRequest
from training.arrays import LITE2
from training.datasets import read
from training.efficientnet_lite import last_block
from training.fit import FitReport, fit
from training.model_files import read_arrays
from training.wordings import wordings

COLOURS = {"glorp": (220, 30, 30), "zindle": (30, 30, 220)}  # words that no model knows


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 plain images of two made-up classes:
    15 to learn from and 5 to validate on, of each; and a broken one.
    """
    root = tmp_path_factory.mktemp("data") / "colours"
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for number in range(20):
            folder = root / ("train" if number < 15 else "validate") / name
            folder.mkdir(parents=True, exist_ok=True)
            noise = rng.integers(-25, 26, (64, 64, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    (root / "train" / "glorp" / "broken.png").write_bytes(b"\x89PNG nothing")
    return root


Progress = list[tuple[str, int, int]]


def trained(
    data: Path, out: Path, base: str, steps: int, fine_tune: int = 0
) -> tuple[FitReport, Progress]:
    progress: Progress = []

    def note(stage: str, done: int, total: int) -> None:
        progress.append((stage, done, total))

    sets = [read(data, 0)]
    report = fit(
        sets,
        out,
        base=base,
        name="mine",
        seed=0,
        steps=steps,
        fine_tune=fine_tune,
        on_progress=note,
    )
    return report, progress


@pytest.fixture(scope="module")
def adapted(
    colours: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, FitReport, Progress]:
    out = tmp_path_factory.mktemp("out") / "my.model"
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr("training.rounding.MOST_TEXTS", 256)  # half of the time is rounding
        return out, *trained(colours, out, "builtin", 60)


def test_a_finished_model_learns_words_it_did_not_know(
    adapted: tuple[Path, FitReport, Progress], colours: Path
) -> None:
    out, report, _ = adapted
    assert (report.examples, report.unreadable) == (30, 1)
    assert report.measures == {"colours top-1": 1.0}
    model = BuiltinEmbedder(out)
    images = [np.array(Image.open(colours / "validate" / name / "19.png")) for name in COLOURS]
    scores = (
        model.embed_images(images)
        @ model.embed_texts([f"a photo of a {name}" for name in COLOURS]).T
    )
    assert scores[0, 0] > scores[0, 1] and scores[1, 1] > scores[1, 0]


def test_what_it_knew_stays(adapted: tuple[Path, FitReport, Progress]) -> None:
    before, after = BuiltinEmbedder(), BuiltinEmbedder(adapted[0])
    texts = ["a dog", "a hospital room", "a red car on a street", "a kitchen"]
    kept = (before.embed_texts(texts) * after.embed_texts(texts)).sum(axis=1)
    assert kept.min() > 0.9
    assert before.fingerprint != after.fingerprint  # and yet it is another model


def test_progress_has_an_end(adapted: tuple[Path, FitReport, Progress]) -> None:
    stages = {stage: (done, total) for stage, done, total in adapted[2]}
    assert stages["learning"] == (60, 60)
    assert stages["looking at colours"] == (10, 10)  # of the validate split, which came last


def test_the_folder_says_what_it_is(adapted: tuple[Path, FitReport, Progress]) -> None:
    out, _, _ = adapted
    assert json.loads((out / "model.json").read_text())["name"] == "mine"
    card = (out / "MODEL_CARD.md").read_text()
    assert "lakesift train colours --base builtin --seed 0 --steps 60 --out my.model" in card
    assert "| colours top-1 | 1.000 |" in card
    assert "- colours (source not stated): not stated" in (out / "LICENSE").read_text()
    assert "MiniLM" in (out / "NOTICE").read_text()


def test_the_same_seed_gives_the_same_model(
    adapted: tuple[Path, FitReport, Progress], colours: Path, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        trained(colours, tmp_path / name, "builtin", 5)
    first, second = BuiltinEmbedder(tmp_path / "first"), BuiltinEmbedder(tmp_path / "second")
    assert np.abs(first.embed_texts(["a dog"]) - second.embed_texts(["a dog"])).max() < 1e-4


def test_from_the_pretrained_parts(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the packaged model was made, but for less to read: heads that know nothing, three wordings
    of all classes, and fewer texts that say what rounding must keep (`test_rounding`).
    """
    monkeypatch.setattr("training.fit.wordings", lambda name: wordings(name)[:3])
    monkeypatch.setattr("training.rounding.MOST_TEXTS", 128)
    report, _ = trained(colours, tmp_path / "new.model", "imagenet", 30)
    assert report.measures == {"colours top-1": 1.0}
    model = BuiltinEmbedder(tmp_path / "new.model")
    assert model.dim == 512
    assert sum(path.stat().st_size for path in (tmp_path / "new.model").iterdir()) < 25_000_000


def test_the_last_block_learns_too(
    colours: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    adapted: tuple[Path, FitReport, Progress],
) -> None:
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "tuned.model"
    report, progress = trained(colours, out, "builtin", 20, fine_tune=3)
    assert (report.examples, report.unreadable) == (30, 1)
    assert report.measures == {"colours top-1": 1.0}
    assert ("fine-tuning", 3, 3) in progress and ("pooling colours", 30, 30) in progress
    assert "--steps 20 --fine-tune 3 --out tuned.model" in (out / "MODEL_CARD.md").read_text()
    before, after = read_arrays(PACKAGED).image.backbone, read_arrays(out).image.backbone
    changed = {name for name in before if np.abs(before[name] - after[name]).max() > 1e-6}
    tuned = {f"{part.name}.{kind}" for part in last_block(LITE2) for kind in ("weight", "bias")}
    assert changed == tuned
    (maps, _) = sorted(
        (tmp_path / "cache" / "maps").iterdir(), key=lambda path: -path.stat().st_size
    )
    # the broken image is a row of zeros
    assert np.load(maps, mmap_mode="r").shape == (31, 208, 9, 9)


def test_no_room_for_what_the_last_block_takes(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path))
    # 31 images to learn from and 10 to validate on, 208 x 9 x 9 halves each: 1.04 MB, and 0.34 MB.
    full = type(shutil.disk_usage("/"))(10**12, 10**12 - 1_200_000, 1_200_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    looked_at: Progress = []
    with pytest.raises(
        BadRequest, match=r"2 MB of features go there, and 1 MB are free; name another"
    ):
        fit(
            [read(colours, 0)],
            tmp_path / "out",
            base="builtin",
            name="mine",
            seed=0,
            steps=1,
            fine_tune=1,
            on_progress=lambda *step: looked_at.append(step),
        )
    assert (looked_at, list((tmp_path / "maps").iterdir())) == ([], []), (
        "the first set alone would fit"
    )


def test_a_cache_that_cannot_be_written(
    colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LAKESIFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadRequest, match=r"file.maps: cannot be written \(Not a directory\)"):
        trained(colours, tmp_path / "out", "builtin", 1, fine_tune=1)


def test_a_folder_that_is_there_is_refused(colours: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(BadRequest, match="is there already"):  # before anything is learnt
        trained(colours, tmp_path, str(PACKAGED), 1)


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(BadRequest, match=r"fewer than 2 images to learn from; give more"):
        trained(tmp_path / "data", tmp_path / "out", "builtin", 1)
