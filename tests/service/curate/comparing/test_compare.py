"""Two sets of images compared: what is planted is found, and what is not there is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.errors import BadRequest, WhereError
from service.cli.main import main
from service.curate.comparing import compare as comparing
from service.curate.comparing.apart import told_apart
from service.curate.comparing.compare import Comparison, compare
from service.curate.comparing.counts import Counts, q_values
from service.curate.comparing.succession import of_pairs
from service.lake import Lake
from tests.service.lakes import Maker

AXES = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabulary is the three colours."""
    monkeypatch.setattr(comparing, "VOCABULARY", tuple(AXES))


def lake_of(folder: Path, *sites: tuple[str, dict[str, int]], seed: int = 0) -> Lake:
    """So many images round each axis, for each site."""
    maker, random = Maker(folder / "my.lake"), np.random.default_rng(seed)
    for site, colours in sites:
        for colour, count in colours.items():
            for number in range(count):
                vector = np.array(AXES[colour]) + 0.15 * random.normal(size=3)
                maker.add(vector, site=site, film=f"{site}-{number // 20}")
    return maker.open()


def compared(lake: Lake, a: str, b: str | None = None, **options: object) -> Comparison:
    return compare(
        lake.snapshot,
        a,
        b,
        embed=lambda texts: np.array([AXES[text] for text in texts], np.float32),
        **options,  # type: ignore[arg-type]  # as they are said
    )


def test_what_is_planted_is_found(tmp_path: Path) -> None:
    """A has 120 reds and 40 greens, b 60 reds, 40 greens and 60 blues."""
    lake = lake_of(
        tmp_path, ("a", {"red": 120, "green": 40}), ("b", {"red": 60, "green": 40, "blue": 60})
    )
    found = compared(lake, "site = 'a'")
    assert (found.a.rows, found.a.drawn, found.b.rows, found.b.where) == (160, 160, 160, None)
    # A b tells itself by blue, or is a red or green as likely of a: 3/8 + 5/8 of a half or less.
    assert found.apart.p == 1 / 1000
    assert 0.6 < found.apart.auc < 0.8
    blue, red = found.phrases
    assert (blue.words, red.words) == ("blue", "red")
    # Counted in one half alone: of some 80 images each.
    assert blue.counts.in_a == 0 and blue.counts.share_b == pytest.approx(3 / 8, abs=0.12)
    assert red.counts.share_a == pytest.approx(3 / 4, abs=0.12)
    assert red.counts.share_b == pytest.approx(3 / 8, abs=0.12)
    assert blue.counts.of_a + blue.counts.of_b == 160
    assert found.phrases_counted == 2  # green differs in neither half
    # Rows 261 to 320 are b's blues, 1 to 120 a's reds.
    assert len(blue.examples) == 9 and set(blue.examples) <= set(range(261, 321))
    assert set(red.examples) <= set(range(1, 121))
    # 80 of the first half: clusters of 20 and more.
    assert found.clusters_counted == 8
    assert {each.words for each in found.clusters} <= {"blue", "red"}
    best = found.clusters[0]
    assert best.words == "blue" and best.counts.in_a == 0 and best.counts.in_b >= 5
    assert compared(lake, "site = 'a'").to_json() == found.to_json()
    turned = compared(lake, "site = 'b'", "site = 'a'")
    assert {each.words for each in turned.phrases} == {"blue", "red"}


def test_sets_that_are_draws_of_the_same_are_hardly_ever_said_to_differ() -> None:
    """Of 200 pairs of 30, p is at most 0.1 in 20, and at least as small in 8 to 32 (3 standard
    errors); where all of b lie towards the first axis, in nearly all.
    """
    random = np.random.default_rng(3)
    same = differ = 0
    for _ in range(200):
        vectors = random.normal(size=(60, 4)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        is_b, is_second = np.arange(60) >= 30, random.permutation(60) % 2 == 1
        same += told_apart(vectors, is_b, is_second, random, 39).p <= 0.1
        vectors[30:, 0] += 1
        differ += told_apart(vectors, is_b, is_second, random, 39).p <= 0.1
    assert 8 <= same <= 32
    assert differ >= 190


def test_of_clusters_and_phrases_hardly_any_is_there_by_chance(tmp_path: Path) -> None:
    """Where nothing differs, q <= 0.05 tells something in one of twenty comparisons, at most."""
    lake = lake_of(tmp_path, ("a", {"red": 60, "green": 60}), ("b", {"red": 60, "green": 60}))
    found = [compared(lake, "site = 'a'", seed=seed) for seed in range(40)]
    assert sum(bool(each.clusters) for each in found) <= 5
    assert sum(bool(each.phrases) for each in found) <= 5


def test_counts_and_q_by_hand() -> None:
    # Of 8 of 4 and 4 all 4 are in a: 1 of 70 ways, and as many to have none there.
    assert Counts(4, 4, 0, 4).p == pytest.approx(2 / 70)
    assert Counts(2, 4, 2, 4).p == 1.0
    assert Counts(0, 0, 3, 5).p == 1.0 and Counts(0, 0, 3, 5).share_a == 0.0
    # 0.01 * 3, min(0.02 * 3 / 2, ...), 0.9
    assert q_values(np.array([0.9, 0.01, 0.02])).tolist() == pytest.approx([0.9, 0.03, 0.03])


def test_frames_of_one_film_count_once(tmp_path: Path) -> None:
    """Each film has one colour: twenty frames of it are no evidence for another nineteen."""
    lake = lake_of(tmp_path, ("a", {"red": 600}), ("b", {"red": 560, "blue": 40}))
    found = compared(lake, "site = 'a'", one_per="film")
    assert (found.a.rows, found.a.drawn, found.b.drawn) == (600, 30, 28)
    with pytest.raises(BadRequest, match="no column movie") as raised:
        compared(lake, "site = 'a'", one_per="movie")
    assert raised.value.field == "one_per"


def test_how_like_the_next_ones_are_by_hand() -> None:
    axis, other = np.eye(2, dtype=np.float32)
    first, turned = np.array([axis, other]), np.array([other, axis])
    both = np.array([[0.6, 0.8], [0.6, 0.8]], np.float32)  # 0.6 like the axis, 0.8 like the other
    found = of_pairs(both, first, turned)
    # Once 0.2 less like the next than like the tenth, once 0.2 more.
    assert [found.next, found.tenth] == pytest.approx([0.7, 0.7])
    assert not found.hangs_together
    near = np.array([[0.8, 0.6], [0.6, 0.8]], np.float32)  # 0.8 like first, 0.6 like turned
    far = np.array([[0.6, 0.8], [0.0, 1.0]], np.float32)
    # 0.2 more like the next, and 0.2 less: a mean of 0.
    assert not of_pairs(first, near, far).hangs_together
    # 0.2 and 0.8 more: a mean of 0.5 of a standard error of 0.3. Of 18 such pairs it is 0.073.
    far = np.array([[0.6, 0.8], [1.0, 0.0]], np.float32)
    found = of_pairs(first, near, far)
    assert [found.next, found.tenth] == pytest.approx([0.8, 0.3])
    assert not found.hangs_together
    many = [np.tile(each, (9, 1)) for each in (first, near, far)]
    assert of_pairs(*many).hangs_together
    assert not of_pairs(many[0], many[2], many[1]).hangs_together  # it is less like the next
    assert of_pairs(first, first, first).hangs_together  # a camera that stands still


def wandering(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """As a camera that moves on: each vector is the last one and a little more."""
    return np.array([3.0, 0, 0]) + np.cumsum(0.1 * random.normal(size=(count, 3)), axis=0)


def test_frames_are_noticed_and_folders_of_their_own_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, random = Maker(tmp_path / "my.lake"), np.random.default_rng(4)
    for number, vector in enumerate(wandering(random, 200)):
        maker.add(vector, f"/films/a/{number:03d}.png", site="frames")
    for number in range(200):  # folders of forty, each of something else
        vector = np.eye(3)[number // 40 % 3] + 0.3 * random.normal(size=3)
        maker.add(vector, f"/photos/{number // 40}/{number:03d}.png", site="folders")
    lake = maker.open()
    found = compared(lake, "site = 'frames'")
    assert found.a.succession is not None and found.b.succession is not None
    assert found.a.succession.hangs_together
    assert found.a.succession.next > found.a.succession.tenth
    assert not found.b.succession.hangs_together
    assert found.to_json()["a"]["succession"]["hangs_together"] is True
    # Of 59 only 49 have one ten further on; of 80 in two folders 60.
    few = compared(lake, "row_id <= 59", "row_id > 320")
    assert few.a.succession is None
    assert few.b.succession is not None
    model = lake.embedder
    monkeypatch.setattr("service.lake.load_model_of", lambda *_, **__: model)
    for where, who in (("site = 'frames'", "A"), ("site = 'folders'", "B")):
        assert main(["curate", "compare", str(lake.folder), "--a", where, "--json"]) == 0
        [note] = capsys.readouterr().err.splitlines()
        assert note.startswith(f"note: images of {who} hang together"), note


def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = lake_of(tmp_path, ("a", {"red": 30}), ("b", {"blue": 30}))
    with pytest.raises(BadRequest, match="10 images are too few: 20 at least"):
        compared(lake, "row_id <= 10")
    with pytest.raises(BadRequest, match="30 images pass both"):
        compared(lake, "site = 'a'", "row_id > 0")
    with pytest.raises(BadRequest, match="0 is no share"):
        compared(lake, "site = 'a'", q=0)
    with pytest.raises(BadRequest, match="no seed"):
        compared(lake, "site = 'a'", seed=-1)
    with pytest.raises(WhereError):
        compared(lake, "sight = 'a'")
    folder = str(lake.folder)
    assert main(["curate", "compare", folder, "--a", "row_id <= 10"]) == 2
    assert "a: 10 images are too few" in capsys.readouterr().err


def test_a_large_set_is_drawn_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "DRAWN", 25)
    lake = lake_of(tmp_path, ("a", {"red": 40}), ("b", {"blue": 22}))
    found = compared(lake, "site = 'a'")
    assert (found.a.rows, found.a.drawn, found.b.rows, found.b.drawn) == (40, 25, 22, 22)


def test_the_command_tells_and_prints_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_of(tmp_path, ("a", {"red": 60}), ("b", {"red": 30, "blue": 30}))
    model = lake.embedder
    monkeypatch.setattr("service.lake.load_model_of", lambda *_, **__: model)
    command = [
        "curate",
        "compare",
        str(lake.folder),
        "--a",
        "site = 'a'",
        "--phrase",
        "a dark blue",
    ]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["A: 60 images: site = 'a'", "B: 60 images: all others"]
    assert "p 0.001: they differ" in lines[2]
    assert any(line.startswith("  B has more a dark blue: 0.0% of A, ") for line in lines)
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == lake.compare("site = 'a'", phrases=["a dark blue"]).to_json()


def test_sets_that_are_not_told_apart_are_not_said_to_differ_whatever_q_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_of(tmp_path, ("a", {"red": 60}), ("b", {"red": 60}), seed=1)
    model = lake.embedder
    monkeypatch.setattr("service.lake.load_model_of", lambda *_, **__: model)
    assert lake.compare("site = 'a'").apart.p > 0.05
    command = ["curate", "compare", str(lake.folder), "--a", "site = 'a'", "--q", "1"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "nothing shows that they differ" in said and ": they differ" not in said
