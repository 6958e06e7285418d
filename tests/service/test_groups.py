"""A lake with groups: searches that may miss a row look into a few, all others are as before."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.lakes import PhotoLike, write_synthetic_lake
from indexer.arrays import Vectors
from indexer.config import IndexConfig
from indexer.disk import codes
from indexer.disk import groups as stored_groups
from indexer.disk.groups import FILES
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, publish, read_manifest
from indexer.disk.tables import Place, write_tombstones
from indexer.embed import Embedder
from indexer.errors import BadRequest, ModelUnavailable
from indexer.report import Silent, SyncReport
from indexer.run.grouping import making, probes
from indexer.run.grouping.making import add_groups, with_groups
from indexer.run.grouping.probes import Probes
from indexer.run.writing.compact import compact_lake, vacuum_lake
from service import Hit, Lake
from service.cli.main import main
from service.search import searched
from service.search.query import MaxPer, Query
from service.search.ranking import Ranking
from service.snapshot.groups import pieces, probe

DIM, ROWS = 24, 3_000
DRAWN = PhotoLike(DIM, groups=60)
PHOTOS = DRAWN.photos(6, np.random.default_rng(9))
TEXTS = DRAWN.texts(6, np.random.default_rng(10))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PROBES", 300)
    monkeypatch.setattr(searched, "_MOST", 1.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments; every seventh row is gone; groups of all of it."""
    folder = tmp_path_factory.mktemp("groups") / "my.lake"
    whole = write_synthetic_lake(folder, ROWS, DIM, segment_rows=ROWS // 3, vectors=DRAWN.photos)
    dead = [Place(s.id, at) for s in whole.segments for at in range(0, s.rows, 7)]
    publish(Layout(folder), replace(whole, tombstones=(write_tombstones(Layout(folder), dead),)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(probes, "PROBES", 300)
        grouped(folder)
    return folder


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Path:
    """A lake of one's own."""
    import shutil

    return Path(shutil.copytree(made, tmp_path / "my.lake"))


def no_model() -> Embedder:
    raise ModelUnavailable("synthetic", "nobody has it")


def grouped(lake: Path) -> Manifest:
    texts = Probes(DRAWN.texts(300, np.random.default_rng(4)), "texts drawn")
    return add_groups(Layout(lake), current(lake), no_model, texts=texts)


def current(lake: Path) -> Manifest:
    return read_manifest(Layout(lake))[0]


def folders(lake: Path) -> list[str]:
    return sorted(path.name for path in (lake / "groups").iterdir())


def depth_of(lake: Lake, query: Query) -> int | None:
    """Groups that a search looks into; None: it is exact."""
    how = lake.understand(query).searched
    return None if how is None else how.depth


def by(vector: Vectors, **options: object) -> Query:
    return Query(vectors=[(vector, 1.0)]).with_options(options)


def brute(lake: Lake, vector: NDArray[np.float32], depth: int) -> list[tuple[float, int]]:
    """Score and row_id of each live row of the nearest groups, best first, without their code: by
    the centre that each row is nearest to.
    """
    groups = lake.snapshot.groups
    assert groups is not None
    centres = groups.stored.centres.astype(np.float64)
    chosen = np.argsort(np.square(centres - vector.astype(np.float64)).sum(1))[:depth]
    held = {name for name, _ in groups.stored.about.segments}
    found = Ranking(lake.snapshot, vector, None).top(None)
    kept = []
    for score, part, position, row_id in zip(
        found.scores, found.parts, found.positions, found.row_ids, strict=True
    ):
        of = lake.snapshot.parts[part]
        x = of.vectors.take(np.array([position]))[0].astype(np.float64)
        home = int(np.argmin(np.square(centres - x).sum(1)))
        if home in chosen or of.segment.entry.id not in held:
            kept.append((float(score), int(row_id)))
    return kept


@pytest.mark.parametrize("depth", [1, 3, 64])
def test_rows_of_the_nearest_groups_are_found_as_by_an_exact_search(lake: Path, depth: int) -> None:
    with Lake.open(lake) as opened:
        for vector in (*PHOTOS[:2], *TEXTS[:2]):
            found = Ranking(opened.snapshot, vector, None, None, depth).top(10)
            want = brute(opened, vector, depth)[:10]
            assert list(zip(found.scores.tolist(), found.row_ids.tolist(), strict=True)) == want


def test_with_every_group_it_is_the_exact_answer_bit_for_bit(lake: Path) -> None:
    with Lake.open(lake) as opened:
        assert opened.snapshot.groups is not None
        every = len(opened.snapshot.groups)
        for vector in (*PHOTOS, *TEXTS):
            for count in (1, 10, 300):
                one = Ranking(opened.snapshot, vector, None, None, every).top(count)
                other = Ranking(opened.snapshot, vector, None).top(count)
                assert one.row_ids.tolist() == other.row_ids.tolist()
                assert one.scores.tobytes() == other.scores.tobytes()


def test_what_is_promised_is_found(lake: Path) -> None:
    """On queries that it was not measured with."""
    random = np.random.default_rng(77)
    with Lake.open(lake) as opened:
        groups = opened.snapshot.groups
        assert groups is not None
        for kind, vectors in (
            ("image", DRAWN.photos(200, random)),
            ("text", DRAWN.texts(200, random)),
        ):
            depths = groups.stored.about.depths[kind]  # type: ignore[index]
            depth = depths.depth_for(0.9, 10)
            assert depth is not None
            assert depth < len(groups)
            shares = []
            for vector in vectors:
                near = Ranking(opened.snapshot, vector, None, None, depth).top(10)
                exact = Ranking(opened.snapshot, vector, None).top(10)
                shares.append(np.isin(exact.row_ids, near.row_ids).mean())
            # Three standard errors of these 200 beneath what was measured of 300 others.
            assert np.mean(shares) > 0.9 - 3 * np.std(shares) / 200**0.5
            assert abs(np.mean(shares) - depths.recall(depth)[0]) < 0.05


def test_images_and_texts_have_depths_of_their_own(lake: Path) -> None:
    with Lake.open(lake) as opened:
        groups = opened.snapshot.groups
        assert groups is not None
        about = groups.stored.about
        assert (about.depths["image"].made_of, about.depths["image"].queries) == ("rows", 300)
        assert (about.depths["text"].made_of, about.depths["text"].queries) == ("texts drawn", 300)
        for depths in about.depths.values():
            for table in (depths.recall_at_10, depths.least_at_10, depths.recall_at_100):
                assert all(one <= other + 1e-9 for one, other in pairwise(table))
            assert depths.groups[-1] == len(groups)
            assert depths.recall_at_10[-1] == 1.0
            assert all(
                least < mean
                for least, mean in zip(depths.least_at_10, depths.recall_at_10, strict=True)
            )
        image = depth_of(opened, Query(row_ids=[(5, 1.0)], recall=0.9))
        assert image == about.depths["image"].depth_for(0.9, 10)
        text = about.depths["text"].depth_for(0.9, 10)
        assert image is not None and text is not None
        mixed = depth_of(opened, by(PHOTOS[0], recall=0.9))
        assert mixed == max(image, text), "nobody knows what a vector was made of"
        hundred = depth_of(opened, Query(row_ids=[(5, 1.0)], recall=0.9, k=100))
        assert hundred == about.depths["image"].depth_for(0.9, 100)


def test_it_is_exact_unless_less_is_asked_for(lake: Path) -> None:
    with Lake.open(lake) as opened:
        page = opened.search_page(by(PHOTOS[0]))
        assert page.searched is None
        said = opened.search_page(by(PHOTOS[0], recall=0.9)).searched
        assert said is not None
        assert said.to_json()["exact"] is False
        assert set(said.to_json()["recall_at_10"]) == {"image", "text"}
        exactly = opened.search_page(by(PHOTOS[0], recall=0.9, exact=True))
        assert exactly.searched is not None
        assert exactly.searched.to_json() == {"exact": True}
        assert exactly.hits == page.hits
        whole = opened.search_page(by(PHOTOS[0], recall=1.0))
        assert whole.searched is not None
        assert whole.searched.to_json() == {"exact": True}
        for bad in (0.0, -0.5, 1.5, float("nan")):
            with pytest.raises(BadRequest, match="is no share of the nearest"):
                opened.search_query(by(PHOTOS[0], recall=bad))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"where": "width_px >= 640"}, "a search with where is always exact"),
        ({"min_z": 1.0}, "a search with min_z is always exact"),
        ({"max_per": MaxPer("camera", 2)}, "a search with max_per is always exact"),
        ({"moments": {"gap_s": 5}}, "a search with moments is always exact"),
        ({"k": None}, "a search for more than 2,200 hits is always exact"),
        ({"k": 2_201}, "a search for more than 2,200 hits is always exact"),
        ({"recall": 0.9999}, "a recall of 0.9999 would take more than half of the groups"),
    ],
)
def test_what_was_not_measured_stays_exact(
    lake: Path, options: dict[str, object], why: str
) -> None:
    with Lake.open(lake) as opened:
        page = opened.search_page(by(PHOTOS[0], **{"recall": 0.9, **options}))
        assert page.searched is not None
        assert page.searched.to_json() == {"exact": True, "why": why}
        assert page.hits == opened.search_query(by(PHOTOS[0], **options | {"recall": None}))


def test_a_lake_too_small_for_groups_is_not_told_to_make_them(tmp_path: Path) -> None:
    """1,000 rows are the fewest that `compact --groups` groups."""
    whys = []
    for rows in (999, 1_000):
        folder = tmp_path / f"{rows}.lake"
        write_synthetic_lake(folder, rows, DIM, segment_rows=rows, vectors=DRAWN.photos)
        with Lake.open(folder) as opened:
            how = opened.search_page(by(PHOTOS[0], recall=0.9)).searched
        assert how is not None
        whys.append(how.to_json()["why"])
    assert whys == [
        "a lake below 1,000 rows has no groups, and is searched as fast without",
        "the lake has no groups; `lakesift compact LAKE --groups` makes them",
    ]


def test_near_copies_fold_among_what_is_found(lake: Path) -> None:
    with Lake.open(lake) as opened:
        assert depth_of(opened, by(PHOTOS[0], recall=0.9, collapse=True)) is not None
        groups = opened.snapshot.groups
        assert groups is not None
        hits = opened.search_query(by(PHOTOS[0], recall=0.9, collapse=True))
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert len(hits) == 10


def test_pages_of_any_size_hold_each_row_once(lake: Path) -> None:
    """What was found in few groups comes first; then all others, exactly."""
    live = current(lake).live_rows
    with Lake.open(lake) as opened:
        query = replace(by(PHOTOS[1]), recall=0.5, depth=2)
        seen: list[int] = []
        for k in (10, 1, 200, 5, 2_000, 2_000):
            page = opened.search_page(replace(query, k=k, offset=len(seen)))
            assert page.searched is not None and page.searched.depth == 2
            seen += [hit.row_id for hit in page.hits]
        assert len(seen) == len(set(seen)) == live
        first = [row_id for _, row_id in brute(opened, PHOTOS[1], 2)]
        assert seen[: len(first)] == first


def test_a_next_page_keeps_the_depth_of_the_first(lake: Path) -> None:
    with Lake.open(lake) as opened:
        asked = opened.understand(Query(row_ids=[(5, 1.0)], recall=0.9))
        assert asked.searched is not None
        portable = asked.portable
        assert (portable.depth, portable.exact) == (asked.searched.depth, False)
        again = opened.understand(Query.from_json(json.loads(json.dumps(portable.to_json()))))
        assert again.searched == replace(asked.searched, kind=None)
        exactly = opened.understand(Query(row_ids=[(5, 1.0)], recall=0.9, where="width_px > 0"))
        assert (exactly.portable.depth, exactly.portable.exact) == (None, True)


def test_rows_that_came_later_are_found_and_those_that_went_are_not(lake: Path) -> None:
    before = current(lake)
    other = lake.with_name("other.lake")
    new = write_synthetic_lake(other, 50, DIM, segment_rows=50, seed=3, vectors=DRAWN.photos)
    entry = new.segments[0]
    (other / "segments" / entry.id).rename(lake / "segments" / entry.id)
    publish(Layout(lake), replace(before, segments=(*before.segments, entry)))
    with Lake.open(lake) as opened:
        assert opened.snapshot.groups is not None
        assert opened.snapshot.groups.others == [3]
        part = opened.snapshot.parts[3]
        for position in (0, 49):
            vector = part.vectors.take(np.array([position]))[0]
            found = Ranking(opened.snapshot, vector, None, None, 1).top(1)
            assert (found.parts.tolist(), found.positions.tolist()) == ([3], [position])
        best = Ranking(opened.snapshot, PHOTOS[0], None).top(3)
    gone = [
        Place(before.segments[p].id, int(at))
        for p, at in zip(best.parts, best.positions, strict=True)
        if p < 3
    ]
    assert gone
    tombstones = (*before.tombstones, write_tombstones(Layout(lake), gone))
    publish(Layout(lake), replace(before, tombstones=tombstones))
    with Lake.open(lake) as opened:
        found = Ranking(opened.snapshot, PHOTOS[0], None, None, 64).top(10)
        assert (
            found.row_ids.tolist()
            == Ranking(opened.snapshot, PHOTOS[0], None).top(10).row_ids.tolist()
        )
        assert not set(best.row_ids[best.parts < 3]) & set(found.row_ids)


def test_equal_rows_tie_as_in_an_exact_search(tmp_path: Path) -> None:
    def copies(count: int, random: np.random.Generator) -> Vectors:
        return np.repeat(DRAWN.photos(count // 100, random), 100, axis=0)

    folder = tmp_path / "copies.lake"
    write_synthetic_lake(folder, 2_000, DIM, segment_rows=1_000, vectors=copies)
    grouped(folder)
    with Lake.open(folder) as opened:
        for row_id in (1, 950, 1_700):
            place = opened.snapshot.find(row_id)
            assert place is not None
            vector = place[0].vectors.take(np.array([place[1]]))[0]
            vector = np.asarray(vector / np.linalg.norm(vector), np.float32)
            for count in (7, 100, 130):
                near = Ranking(opened.snapshot, vector, None, None, 45).top(count)
                exact = Ranking(opened.snapshot, vector, None).top(count)
                assert near.row_ids.tolist() == exact.row_ids.tolist()
                assert near.scores.tobytes() == exact.scores.tobytes()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_damaged_groups_are_told_and_searches_go_on_exactly(
    lake: Path, name: str, damage: str
) -> None:
    manifest = current(lake)
    assert manifest.groups is not None
    path = Layout(lake).groups_folder(manifest.groups.id) / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes(data[:-1] if damage == "cut" else flipped)
    with Lake.open(lake) as opened:
        [problem] = opened.problems
        assert problem.startswith(f"{path} is damaged: ")
        assert problem.endswith(
            "; searches go on exactly without it, and the next `lakesift sync` makes it anew"
        )
        page = opened.search_page(by(PHOTOS[0], recall=0.9))
        assert page.searched is not None
        assert page.searched.to_json() == {
            "exact": True,
            "why": "the lake has no groups; `lakesift compact LAKE --groups` makes them",
        }
        assert page.hits == opened.search(vector=PHOTOS[0])


def test_damaged_groups_are_made_anew_by_the_next_run(lake: Path) -> None:
    manifest = current(lake)
    assert manifest.groups is not None
    (Layout(lake).groups_folder(manifest.groups.id) / FILES[0]).unlink()
    report = compact_lake(lake, max_segments=3, load_model=no_model)
    assert (len(report.problems), len(report.notes)) == (1, 1)
    assert report.grouped == sum(entry.rows for entry in current(lake).segments)
    with Lake.open(lake) as opened:
        assert opened.problems == ()
        assert opened.snapshot.groups is not None


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("centres.npy", np.zeros((64, 3), np.float32)),
        ("centres.npy", np.full((64, DIM), np.nan, np.float32)),
        ("starts.npy", np.arange(65)),
        ("starts.npy", np.zeros(0, np.int64)),
        ("places.npy", np.zeros(ROWS, np.uint16)),
        ("places.npy", np.arange(ROWS, dtype=np.float32)),
        ("places.npy", np.full(ROWS, 60_000, np.uint16)),
        ("places.npy", np.array([None], object)),
    ],
)
def test_groups_that_a_manifest_vouches_for_but_are_none(
    lake: Path, name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> None:
    """As a stranger's lake may have them."""
    from indexer.disk.checks import check_of

    manifest = current(lake)
    assert manifest.groups is not None
    path = Layout(lake).groups_folder(manifest.groups.id) / name
    np.save(path, array, allow_pickle=True)
    files = {**manifest.groups.files, name: check_of(path)}
    publish(Layout(lake), replace(manifest, groups=replace(manifest.groups, files=files)))
    with Lake.open(lake) as opened:
        [problem] = opened.problems
        assert "searches go on exactly" in problem
        assert opened.snapshot.groups is None
        assert len(opened.search(vector=PHOTOS[0])) == 10


def test_vacuum_keeps_groups_in_use_and_deletes_others(lake: Path) -> None:
    [name] = folders(lake)
    (lake / "groups" / "01JUNK").mkdir()
    vacuum_lake(lake, keep_s=0)
    assert folders(lake) == [name]
    compact_lake(lake, max_segments=3, groups=False)
    assert folders(lake) == [name], "an older snapshot names them"
    vacuum_lake(lake, keep_s=0)
    assert folders(lake) == []


def test_a_reader_moves_to_groups_and_away_from_them(lake: Path) -> None:
    with Lake.open(lake) as opened:
        groups = opened.snapshot.groups
        assert groups is not None
        publish(Layout(lake), current(lake))
        assert opened.reload()
        assert opened.snapshot.groups is not None
        assert opened.snapshot.groups.stored is groups.stored, "not opened twice"
        less = opened.snapshot.without({groups.stored.id: "broken"})
        assert (less.groups, less.problems) == (None, ["broken"])
        first = opened.snapshot.parts[0].segment.entry.id
        fewer = opened.snapshot.without({first: "gone"})
        assert fewer.groups is not None
        found = Ranking(fewer, PHOTOS[0], None, None, 64).top(10)
        assert found.row_ids.tolist() == Ranking(fewer, PHOTOS[0], None).top(10).row_ids.tolist()
        compact_lake(lake, max_segments=3, groups=False)
        assert opened.reload()
        assert opened.snapshot.groups is None


def test_a_run_makes_groups_of_a_very_large_lake_and_a_full_disk_is_a_note(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, report = Layout(lake), SyncReport(str(lake))
    bare = publish(layout, replace(current(lake), groups=None))
    small, large = IndexConfig(), IndexConfig(groups_from_rows=1_000)
    monkeypatch.setenv("LAKESIFT_GROUPS_FROM_ROWS", "1000")
    assert with_groups(layout, bare, small, report, Silent(), no_model) == bare

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(making, "write_codes", full)
        assert with_groups(layout, bare, large, report, Silent(), no_model) == bare
    assert report.notes == [
        "no groups were made, so that searches stay exact (No space left on device); "
        "the next `lakesift sync` tries again"
    ]
    assert list((lake / "staging").iterdir()) == []
    # Ctrl-C, as the third time that it is asked for: nothing is left of it.
    asked = iter([False, False])
    stopped = with_groups(
        layout, bare, large, report, Silent(), no_model, lambda: next(asked, True)
    )
    assert (stopped, report.interrupted) == (bare, True)
    assert not list(layout.staging.iterdir())
    made = with_groups(layout, bare, large, report, Silent(), no_model)
    assert made.groups is not None
    assert (made.grouped_rows, made.groups.recall) == (ROWS, 0.99)
    assert report.notes[1].startswith("texts were not measured: ")
    assert report.notes[1].endswith("; such searches stay exact")
    assert with_groups(layout, made, large, report, Silent(), no_model) == made, "they are whole"
    with Lake.open(lake) as opened:
        assert opened.snapshot.groups is not None
        about = opened.snapshot.groups.stored.about
        assert list(about.depths) == ["image"]
        assert about.notes[0].startswith("texts were not measured: ")
        how = opened.understand(by(PHOTOS[0])).searched
        assert how is not None
        assert how.to_json() == {
            "exact": True,
            "why": "searches by text were not measured on this lake",
        }
        assert depth_of(opened, Query(row_ids=[(5, 1.0)], recall=0.9)) is not None


def test_groups_that_lack_a_fifth_are_made_anew(lake: Path) -> None:
    manifest = current(lake)
    config, layout = IndexConfig(), Layout(lake)
    lacking = publish(layout, replace(manifest, segments=manifest.segments[:2]))
    assert lacking.groups is not None
    fewer = replace(lacking.groups, segments=lacking.groups.segments[:1])
    report = SyncReport(str(lake))
    assert with_groups(layout, lacking, config, report, Silent(), no_model) == lacking
    lacking = publish(layout, replace(lacking, groups=replace(fewer, recall=0.95)))
    anew = with_groups(layout, lacking, config, report, Silent(), no_model)
    assert anew.groups is not None
    assert anew.groups.id != fewer.id
    ids = tuple(entry.id for entry in lacking.segments)
    assert (anew.groups.segments, anew.groups.recall) == (ids, 0.95)


def test_the_command_makes_tells_sets_and_drops_them(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(lake), "--row", "5", "--recall", "0.9", "-k", "2"]) == 0
    assert " of 64 groups, which finds 0.9" in capsys.readouterr().err
    assert main(["compact", str(lake), "--max-segments", "3", "--recall", "0.9"]) == 0
    assert "rows in groups" in capsys.readouterr().err
    assert main(["info", str(lake)]) == 0
    assert "searches that ask for no recall get 0.9" in capsys.readouterr().out
    assert main(["search", str(lake), "--row", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["searched"]["exact"] is False
    assert main(["search", str(lake), "--row", "5", "--json", "--exact-search"]) == 0
    assert json.loads(capsys.readouterr().out)["searched"] == {"exact": True}
    assert main(["compact", str(lake), "--no-groups", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["grouped"] == 0
    assert main(["compact", str(lake), "--recall", "0.9"]) == 2
    assert "the lake has no groups; make them, too: --groups" in capsys.readouterr().err


def test_a_lake_too_small_gets_none_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "small.lake"
    write_synthetic_lake(folder, 200, DIM, segment_rows=200, vectors=DRAWN.photos)
    assert main(["compact", str(folder), "--groups"]) == 0
    assert "is too small for groups; searches stay exact" in capsys.readouterr().err
    assert current(folder).groups is None


def test_hits_have_their_z_and_their_rows(lake: Path) -> None:
    with Lake.open(lake) as opened:
        near: list[Hit] = opened.search(row_id=5, recall=0.9)
        exact = {hit.row_id: hit for hit in opened.search(row_id=5, k=100)}
        assert all(hit == exact[hit.row_id] for hit in near)
        assert near[0].z is not None


def test_the_doctor_measures_what_searches_find(
    lake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compact_lake(lake, max_segments=3, recall=0.9, load_model=no_model)
    main(["doctor", str(lake), "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    rows, texts = (each for each in findings if each["what"] == "groups")
    assert rows["ok"]
    assert "40 searches by image that ask for a recall of 0.9 looked into " in rows["detail"]
    assert "of 64 groups, and found 0." in rows["detail"] or "found 1.0" in rows["detail"]
    assert texts["detail"].startswith("searches by text were not looked at: ")

    from service.search import comparing

    with Lake.open(lake) as opened:
        well = comparing.compare_rows(opened.snapshot, no_model)
        assert well is not None and well.is_well
        monkeypatch.setattr(comparing, "compare", lambda asked: (7, 10))
        badly = comparing.compare_rows(opened.snapshot, no_model)
        assert badly is not None
        assert badly.found == pytest.approx(0.7)
        assert (badly.off, badly.is_well) == (0, False)


@pytest.mark.parametrize(
    "said",
    [
        b"no json",
        b"[]",
        b'{"format": 2}',
        b'{"format": 1, "segments": [["a", "b"]], "depths": {}, "notes": []}',
        b'{"format": 1, "segments": [["a", 0]], "depths": {}, "notes": []}',
        b'{"format": 1, "segments": [["a", 3000]], "depths": {"text": 3}, "notes": []}',
        b'{"format": 1, "segments": [["a", 3000]], "depths": {"text": {"groups": [2, 1], "recall_at_10": '
        b'[1, 1], "recall_at_100": [1, 1], "least_at_10": [1, 1], "least_at_100": [1, 1], "queries": 1, '
        b'"made_of": "rows"}}, "notes": []}',
        b'{"format": 1, "segments": [["a", 2999]], "depths": {}, "notes": []}',
    ],
)
def test_what_is_said_about_groups_is_not_believed_unseen(lake: Path, said: bytes) -> None:
    from indexer.disk.checks import check_of

    manifest = current(lake)
    assert manifest.groups is not None
    path = Layout(lake).groups_folder(manifest.groups.id) / "about.json"
    path.write_bytes(said)
    files = {**manifest.groups.files, "about.json": check_of(path)}
    publish(Layout(lake), replace(manifest, groups=replace(manifest.groups, files=files)))
    with Lake.open(lake) as opened:
        assert len(opened.problems) == 1
        assert opened.snapshot.groups is None
        assert len(opened.search(vector=PHOTOS[0], recall=0.9)) == 10


def test_groups_of_another_lake_hold_none_of_its_rows(lake: Path) -> None:
    manifest = current(lake)
    about = json.loads((Layout(lake).groups_folder(folders(lake)[0]) / "about.json").read_bytes())
    assert manifest.groups is not None
    about["segments"] = [["another", rows] for _, rows in about["segments"]]
    from indexer.disk.checks import check_of

    path = Layout(lake).groups_folder(manifest.groups.id) / "about.json"
    path.write_text(json.dumps(about))
    files = {**manifest.groups.files, "about.json": check_of(path)}
    publish(Layout(lake), replace(manifest, groups=replace(manifest.groups, files=files)))
    with Lake.open(lake) as opened:
        assert opened.problems == ()
        assert opened.snapshot.groups is None


@pytest.mark.parametrize("many", [0.0, 1e9])
def test_however_the_second_half_is_read_the_answer_is_the_exact_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: float
) -> None:
    """Of all rows in one piece after the other, or of those that are left; in many small blocks."""
    for module in (codes, stored_groups, pieces):
        monkeypatch.setattr(module, "CODE_ROWS", 256)
    monkeypatch.setattr(pieces, "PARALLEL_FROM_ROWS", 500)
    monkeypatch.setattr(probe, "_MANY", many)
    folder = tmp_path / "blocks.lake"
    write_synthetic_lake(folder, 2_000, DIM, segment_rows=1_500, vectors=DRAWN.photos)
    grouped(folder)
    with Lake.open(folder) as opened:
        assert opened.snapshot.groups is not None
        assert len(opened.snapshot.groups.stored.codes.blocks) == 8
        for vector in (*PHOTOS, *TEXTS):
            for count in (1, 10, 150):
                one = Ranking(opened.snapshot, vector, None, None, 10**6).top(count)
                other = Ranking(opened.snapshot, vector, None).top(count)
                assert one.row_ids.tolist() == other.row_ids.tolist()
                assert one.scores.tobytes() == other.scores.tobytes()
            near = Ranking(opened.snapshot, vector, None, None, 5).top(10)
            found = zip(near.scores.tolist(), near.row_ids.tolist(), strict=True)
            assert list(found) == brute(opened, vector, 5)[:10]


@pytest.mark.parametrize(("gone", "is_exact"), [(300, False), (301, True)])
def test_when_more_than_a_tenth_is_gone_what_was_measured_counts_no_more(
    lake: Path, gone: int, is_exact: bool
) -> None:
    """3,000 rows, of which each seventh was gone already when they were measured."""
    whole = current(lake)
    assert whole.groups is not None
    assert whole.groups.dead == 3 * 143
    living = [Place(s.id, at) for s in whole.segments for at in range(s.rows) if at % 7]
    entry = write_tombstones(Layout(lake), living[:gone])
    publish(Layout(lake), replace(whole, tombstones=(*whole.tombstones, entry)))
    assert making.are_due(current(lake), IndexConfig()) is is_exact
    with Lake.open(lake) as opened:
        query = by(PHOTOS[0], recall=0.9)
        assert (depth_of(opened, query) is None) is is_exact
        if not is_exact:
            return
        page = opened.search_page(query)
        assert page.searched is not None
        assert page.searched.why == (
            "many rows are gone since the lake's groups were measured; `lakesift compact LAKE "
            "--groups` measures them anew, as does the next sync"
        )
        grouped(lake)
        opened.reload()
        assert depth_of(opened, query) is not None
    assert not making.are_due(current(lake), IndexConfig())
