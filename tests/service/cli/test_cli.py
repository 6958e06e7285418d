"""The command as a person meets it:
what goes to stdout, what to stderr, and with which exit code.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.cli import upkeep
from service.cli.arguments import parser
from service.cli.main import main
from service.lake import Lake
from tests.conftest import sample_folders
from tests.indexer import recordings

VERBS = ["index", "sync", "search", "info", "doctor", "models", "train", "vacuum", "compact", "key"]
Capture = pytest.CaptureFixture[str]


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "service.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, env={**os.environ, **(env or {})}, timeout=120
    )


def answer(capsys: Capture, *arguments: str) -> dict[str, object]:
    capsys.readouterr()
    assert main(list(arguments)) == 0
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def complaint(capsys: Capture, code: int, *arguments: str) -> str:
    """stderr of a command that must fail with this exit code and print nothing else."""
    capsys.readouterr()
    assert main(list(arguments)) == code
    out, err = capsys.readouterr()
    assert out == ""
    return str(err)


def photo(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), colour, np.uint8)).save(path)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


# -- help


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps_with_defaults_and_two_examples(verb: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    examples = re.findall(r"^  (lakesift .*)$", text.partition("examples:\n")[2], re.M)
    assert len(examples) == 2
    for example in examples:
        parser().parse_args(shlex.split(example)[1:])  # an example that does not parse exits with 2
    for name in re.findall(r"\n  (--[a-z0-9-]+)", text):
        said = text[text.index(name, text.index("\noptions:")) :].split("\n  -", 1)[0]
        assert len(said.split()) > 2, f"{verb} {name} has no help"


def test_help_answers_without_heavy_modules() -> None:
    code = (
        "import sys; from service.cli.arguments import parser; import service.cli.main; parser().format_help(); "
        "print([m for m in ('numpy', 'pyarrow', 'faiss', 'onnxruntime', 'duckdb', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_wrong_usage_exits_with_2() -> None:
    assert run("search").returncode == 2
    assert run("nonsense").returncode == 2
    assert run("search", "x.lake", "cat", "-k", "0").returncode == 2


# -- the main job, on real photos


def test_search_finds_the_cat_in_real_photos(photo_lake: Path, capsys: Capture) -> None:
    hits = answer(capsys, "search", str(photo_lake), "a cat", "--json")["hits"]
    assert isinstance(hits, list)
    assert Path(hits[0]["uri"]).name == "chelsea.png"
    assert len(hits) == 10
    assert hits[0]["score"] >= hits[1]["score"]
    assert set(hits[0]) == {"row_id", "score", "z", "uri", "width_px", "height_px", "columns"}
    assert (hits[0]["width_px"], hits[0]["height_px"], hits[0]["z"]) == (451, 300, None)


def test_a_typed_query_says_what_was_understood(photo_lake: Path, capsys: Capture) -> None:
    lake = str(photo_lake)
    hits = answer(capsys, "search", lake, "a cat -rocket", "--json")["hits"]
    assert hits == answer(capsys, "search", lake, "a cat", "--not-text", "rocket", "--json")["hits"]
    assert hits != answer(capsys, "search", lake, "--text", "a cat -rocket", "--json")["hits"]
    for query, line in (
        ("a cat -rocket", "wanted: a cat; unwanted: rocket\n"),
        ("a cat", ""),
        ('"a cat -rocket"', ""),
    ):
        assert main(["search", lake, query, "--paths"]) == 0
        assert capsys.readouterr().err == line


def test_a_minus_in_a_text_that_is_taken_as_it_is_is_told(
    photo_lake: Path, capsys: Capture
) -> None:
    for text, note in (
        (
            "a room -baby",
            "note: 'a room -baby' is taken as it is; what you do not want: --not-text \"baby\"\n",
        ),
        ("an x-ray at -5 degrees", ""),
    ):
        assert main(["search", str(photo_lake), "--text", text, "--paths"]) == 0
        assert capsys.readouterr().err == note


def test_search_without_a_query_lists_the_rows_that_pass(photo_lake: Path, capsys: Capture) -> None:
    lake = str(photo_lake)
    hits = answer(capsys, "search", lake, "a cat", "--all", "--json")["hits"]
    assert isinstance(hits, list)
    wide = sorted((hit for hit in hits if hit["width_px"] >= 500), key=lambda hit: hit["row_id"])
    assert len(wide) > 2
    where = ("--where", "width_px >= 500")
    document = answer(capsys, "search", lake, *where, "--all", "--json")
    without = [{k: v for k, v in hit.items() if k not in ("score", "z")} for hit in wide]
    assert document == {"snapshot": document["snapshot"], "rows": without, "next_cursor": None}
    assert main(["search", lake, *where, "-k", "2"]) == 0
    out, err = capsys.readouterr()
    head, *rows = out.splitlines()
    assert head == "    row         size  path"
    assert [row.split()[0] for row in rows] == [str(hit["row_id"]) for hit in wide[:2]]
    assert err == f"2 of {len(wide)} rows that pass; --all shows every one\n"
    assert main(["search", lake, *where, "--all", "--paths"]) == 0
    assert capsys.readouterr() == ("".join(f"{hit['uri']}\n" for hit in wide), "")
    assert main(["search", lake, "--where", "width_px < 0"]) == 0
    assert capsys.readouterr() == ("", "no row passes\n")
    said = complaint(capsys, 2, "search", lake, *where, "--collapse")
    assert said.startswith("lakesift: --collapse: rows without a query have no order by likeness")


def test_the_head_stands_with_its_table(photo_lake: Path, capsys: Capture) -> None:
    assert main(["search", str(photo_lake), "a cat", "-k", "1"]) == 0
    out, err = capsys.readouterr()
    head, hit = out.splitlines()
    assert (head.split(), err) == (["score", "z", "row", "size", "path"], "")
    assert head.index("path") == hit.index("/")


def test_search_document_names_its_snapshot(photo_lake: Path, capsys: Capture) -> None:
    document = answer(capsys, "search", str(photo_lake), "a rocket", "-k", "1", "--json")
    assert list(document) == ["snapshot", "hits", "next_cursor"]
    assert document["snapshot"] == answer(capsys, "info", str(photo_lake), "--json")["snapshot"]


def test_paths_are_one_a_line_and_nothing_else(photo_lake: Path) -> None:
    done = run("search", str(photo_lake), "a cup of coffee", "--paths", "-k", "2")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 2
    assert Path(lines[0]).name == "coffee.png"


def test_all_hits_are_one_document_a_line_each(photo_lake: Path, capsys: Capture) -> None:
    lake = str(photo_lake)
    rows = answer(capsys, "info", lake, "--json")["images"]
    assert main(["search", lake, "a cat", "--all", "--json"]) == 0
    printed = capsys.readouterr().out
    document = json.loads(printed)
    assert list(document) == ["snapshot", "hits", "next_cursor"]
    assert len(document["hits"]) == rows == len(printed.splitlines()) - 2
    assert json.loads(printed.splitlines()[1].rstrip(",")) == document["hits"][0]
    scores = [hit["score"] for hit in document["hits"]]
    assert scores == sorted(scores, reverse=True)
    nothing = answer(capsys, "search", lake, "a cat", "--where", "width_px < 0", "--all", "--json")
    assert (nothing["hits"], nothing["next_cursor"]) == ([], None)


def test_collapse_shows_copies_once(tmp_path: Path, capsys: Capture) -> None:
    """The photo again at half its size, and again as it is;
    a flat picture twice, and one of another colour.
    """
    folders = [Path(folder) / "chelsea.png" for folder in sample_folders()]
    with Image.open(next(path for path in folders if path.exists())) as cat:
        (tmp_path / "p").mkdir()
        cat.save(tmp_path / "p" / "cat.png")
        cat.save(tmp_path / "p" / "again.png")
        cat.resize((cat.width // 2, cat.height // 2)).save(tmp_path / "p" / "small.jpg")
    for name, colour in (("red", (255, 0, 0)), ("red too", (255, 0, 0)), ("blue", (0, 0, 255))):
        photo(tmp_path / "p" / f"{name}.png", colour)
    lake = str(tmp_path / "l")
    main(["index", str(tmp_path / "p"), "--into", lake])
    hits = answer(capsys, "search", lake, "a cat", "--all", "--collapse", "--json")["hits"]
    assert isinstance(hits, list)
    names = {row["row_id"]: Path(row["uri"]).stem for row in answer_rows(capsys, lake)}
    groups = [{names[row_id] for row_id in (hit["row_id"], *hit["collapsed"])} for hit in hits]
    assert groups[0] == {"cat", "again", "small"}
    assert sorted(groups[1:], key=len) == [{"blue"}, {"red", "red too"}]
    assert main(["search", lake, "a cat", "--collapse", "-k", "1"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("(and 2 like it)")


def test_max_per_shows_the_best_of_each_value(tmp_path: Path, capsys: Capture) -> None:
    """Of two sizes, the best photo each; a flag that is no COLUMN=N is told, and a column that is
    not there.
    """
    (tmp_path / "p").mkdir()
    for name, size in (("red", (8, 8)), ("blue", (8, 8)), ("green", (16, 8))):
        photo(tmp_path / "p" / f"{name}.png", (255, 0, 0) if name == "red" else (0, 0, 255), size)
    lake = str(tmp_path / "l")
    main(["index", str(tmp_path / "p"), "--into", lake])
    everything = answer(capsys, "search", lake, "red", "--json")["hits"]
    some = answer(capsys, "search", lake, "red", "--max-per", "width_px=1", "--json")["hits"]
    assert isinstance(everything, list) and isinstance(some, list)
    firsts = [next(hit for hit in everything if hit["width_px"] == width) for width in (8, 16)]
    assert some == sorted(firsts, key=lambda hit: -hit["score"])
    with pytest.raises(SystemExit) as wrong:
        main(["search", lake, "red", "--max-per", "width_px"])
    assert wrong.value.code == 2
    assert "--max-per: 'width_px' is no COLUMN=N, as camera=2" in capsys.readouterr().err
    assert main(["search", lake, "red", "--max-per", "widht_px=1"]) == 2
    assert (
        "there is no column widht_px; did you mean width_px or height_px?"
        in capsys.readouterr().err
    )


def answer_rows(capsys: Capture, lake: str) -> list[dict[str, Any]]:
    hits = answer(capsys, "search", lake, "a cat", "--all", "--json")["hits"]
    assert isinstance(hits, list)
    assert all("collapsed" not in hit for hit in hits)
    return hits


def test_search_by_image_and_by_unwanted_image(photo_lake: Path, capsys: Capture) -> None:
    where = [str(path) for path in _sample("motorcycle_left.png", "motorcycle_right.png")]
    wanted = answer(capsys, "search", str(photo_lake), "--image", where[0], "-k", "2", "--json")[
        "hits"
    ]
    assert isinstance(wanted, list)
    assert [Path(hit["uri"]).name for hit in wanted] == [
        "motorcycle_left.png",
        "motorcycle_right.png",
    ]
    assert wanted[0]["score"] == pytest.approx(1, abs=1e-3)
    unwanted = answer(
        capsys,
        "search",
        str(photo_lake),
        "a motorcycle",
        "--not-image",
        where[0],
        "--all",
        "--json",
    )["hits"]
    assert isinstance(unwanted, list)
    assert Path(unwanted[-1]["uri"]).name in ("motorcycle_left.png", "motorcycle_right.png")
    assert len(unwanted) == 31


def _sample(*names: str) -> list[Path]:
    from tests.conftest import sample_folders

    return [Path(sample_folders()[0]) / name for name in names]


def test_builtin_never_imports_torch(photo_lake: Path) -> None:
    code = (
        "import sys; from service.cli.main import main; "
        f"main(['search', {str(photo_lake)!r}, 'a cat', '-k', '1']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_where_narrows_before_the_top_k(photo_lake: Path, capsys: Capture) -> None:
    found = answer(
        capsys,
        "search",
        str(photo_lake),
        "a cat",
        "--where",
        "width_px = 640 AND format = 'jpeg'",
        "--json",
    )["hits"]
    assert isinstance(found, list)
    assert sorted(Path(hit["uri"]).name for hit in found) == [
        "china.jpg",
        "flower.jpg",
        "rocket.jpg",
    ]


def test_odd_names_survive_print0(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "photos")
    names = [b"new\nline.png", b"quo\"te's.png", b"not \xff utf8.png", b"-dash.png"]
    photo(tmp_path / "photos" / "plain.png", (200, 40, 40))
    for name in names:
        shutil.copyfile(os.path.join(folder, b"plain.png"), os.path.join(folder, name))  # noqa: PTH118
    lake = str(tmp_path / "odd.lake")
    assert run("index", str(tmp_path / "photos"), "--into", lake).returncode == 0
    found = run("search", lake, "red", "--print0").stdout
    expected = {os.path.join(folder, name) for name in [*names, b"plain.png"]}  # noqa: PTH118
    assert set(found.rstrip(b"\0").split(b"\0")) == expected


# -- index and sync


def test_index_reports_in_json_and_in_words(tmp_path: Path, capsys: Capture) -> None:
    photo(tmp_path / "p" / "a.png", (10, 200, 10))
    (tmp_path / "p" / "b.jpg").write_bytes(b"no image")
    report = answer(capsys, "index", str(tmp_path / "p"), "--into", str(tmp_path / "l"), "--json")
    assert (report["rows"], report["new"], report["skipped"], report["interrupted"]) == (
        1,
        1,
        1,
        False,
    )
    skipped = report["newly_skipped"]
    assert isinstance(skipped, list)
    assert skipped[0]["uri"] == str(tmp_path / "p" / "b.jpg")
    assert main(["sync", str(tmp_path / "l")]) == 0
    assert re.search(
        r"indexed: 1 image \(1 unchanged, 1 skipped\) in [\d.]+ s -> ", capsys.readouterr().err
    )


def test_sync_tells_which_rows_could_not_be_recomputed(tmp_path: Path, capsys: Capture) -> None:
    lake, lost = str(tmp_path / "l"), photo(tmp_path / "p" / "b.png", (200, 10, 10))
    photo(tmp_path / "p" / "a.png", (10, 200, 10))
    main(["index", str(tmp_path / "p"), "--into", lake])
    lost.unlink()
    lost.symlink_to(tmp_path / "on a disk that is away.png")
    reason = "a symbolic link to something that is not there"
    report = answer(capsys, "sync", lake, "--recompute", "phash", "--recompute", "camera", "--json")
    assert (report["rows"], report["recomputed"]) == (2, 0)
    assert report["not_recomputed"] == [{"uri": str(lost), "reason": reason}]
    assert main(["sync", lake, "--recompute", "phash"]) == 0
    assert f"kept as it was {lost}: {reason}\n" in capsys.readouterr().err


def test_the_sources_of_another_lake_with_their_tables(tmp_path: Path, capsys: Capture) -> None:
    for folder in ("p", "q"):
        photo(tmp_path / folder / "a.png", (10, 200, 10))
    (tmp_path / "wards.csv").write_text("path,ward\na.png,7\n")
    old, new = str(tmp_path / "old.lake"), str(tmp_path / "new.lake")
    wards = str(tmp_path / "wards.csv")
    answer(capsys, "index", str(tmp_path / "p"), "--into", old, "--columns", wards, "--json")
    answer(capsys, "index", str(tmp_path / "q"), "--into", old, "--json")
    answer(capsys, "index", "--sources-of", old, "--into", new, "--json")
    facts = [answer(capsys, "info", lake, "--json") for lake in (old, new)]
    assert facts[0]["sources"] == facts[1]["sources"] == [str(tmp_path / "p"), str(tmp_path / "q")]
    hits = {hit["uri"]: hit["columns"].get("ward") for hit in answer_rows(capsys, new)}
    assert hits == {str(tmp_path / "p" / "a.png"): 7, str(tmp_path / "q" / "a.png"): None}
    said = complaint(capsys, 2, "index", "--into", new)
    assert (
        "SOURCE: name what to index: a folder, a glob, a URL or a list; or --sources-of a lake"
        in said
    )
    said = complaint(capsys, 2, "index", "--sources-of", old, "--columns", wards, "--into", new)
    assert (
        "--columns: a table is for the SOURCEs that are named; those of another lake keep their own"
        in said
    )
    said = complaint(capsys, 1, "index", "--sources-of", str(tmp_path / "p"), "--into", new)
    assert f"{tmp_path}/p is not a lake" in said
    (tmp_path / "q" / "a.png").unlink()
    (tmp_path / "q").rmdir()
    said = complaint(
        capsys, 1, "index", "--sources-of", old, "--into", str(tmp_path / "third.lake")
    )
    assert f"{tmp_path}/q: there is no such file or folder" in said
    assert not (tmp_path / "third.lake").exists()


def test_what_is_taken_of_recordings(tmp_path: Path, capsys: Capture) -> None:
    lake, drives = str(tmp_path / "l"), tmp_path / "drives"
    said = [recordings.speed(0, 1.5)]
    for number in range(3):
        photo(tmp_path / "frame.png", (10, 200, 10 * number))
        data = (tmp_path / "frame.png").read_bytes()
        said.append(recordings.photo(number * 300_000_000, data))
    drives.mkdir()
    (drives / "a.mcap").write_bytes(recordings.mcap_of(said))
    asked = ["--every", "500ms", "--join", "/speed/data", "--within", "0.1s"]
    report = answer(capsys, "index", str(drives), "--into", lake, *asked, "--json")
    assert report["new"] == 2
    assert [hit["columns"].get("speed_data") for hit in answer_rows(capsys, lake)] in (
        [1.5, None],
        [None, 1.5],
    )
    into = ("index", str(drives), "--into", lake)
    for arguments, why in (
        (("--join", "speed"), "--join: 'speed' is no topic and field, as /battery/percentage"),
        (("--join", "/a/b_c", "--join", "/a_b/c"), "--join: two would be the column a_b_c"),
    ):
        assert why in complaint(capsys, 2, *into, *arguments)
    with pytest.raises(SystemExit):
        main([*into, "--every", "5h"])
    assert "'5h' is no time of whole milliseconds; write 0.5s, 500ms" in capsys.readouterr().err
    said_of_none = complaint(capsys, 2, "index", "--sources-of", lake, "--every", "1s", *into[2:])
    assert "--every: it is for the SOURCEs that are named" in said_of_none


def test_info_lists_skipped_files_with_their_reason(tmp_path: Path, capsys: Capture) -> None:
    photo(tmp_path / "p" / "a.png", (10, 200, 10))
    (tmp_path / "p" / "empty.jpg").touch()
    main(["index", str(tmp_path / "p"), "--into", str(tmp_path / "l")])
    facts = answer(capsys, "info", str(tmp_path / "l"), "--skipped", "--json")
    files = facts["skipped_files"]
    assert isinstance(files, list)
    assert [(file["uri"], file["reason"]) for file in files] == [
        (str(tmp_path / "p" / "empty.jpg"), "empty file")
    ]
    assert (facts["images"], facts["model"], facts["dim"]) == (1, "builtin", 512)


def test_info_says_what_its_numbers_and_dates_are(
    photo_lake: Path, tmp_path: Path, capsys: Capture
) -> None:
    facts = answer(capsys, "info", str(photo_lake), "--json")
    assert main(["info", str(photo_lake)]) == 0
    lines = dict(
        re.split(r"  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines()
    )
    committed = datetime.fromisoformat(str(facts["committed_at"])).astimezone(UTC)
    assert lines["committed"] == f"{committed:%Y-%m-%d %H:%M:%S} UTC, by {facts['made_by']}"
    assert lines["images"] == str(facts["images"])
    assert lines["model"] == "builtin, 512 dimensions"
    assert (lines["columns"], lines["skipped"], lines["problems"]) == ("none", "0 files", "none")
    assert re.fullmatch(r"\d+\.\d kB", lines["size"])


@pytest.mark.parametrize("hours", ["-1", "nan", "inf", "1e9"])
def test_vacuum_keeps_no_strange_number_of_hours(hours: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["vacuum", "my.lake", f"--keep-hours={hours}"])
    assert exited.value.code == 2
    assert f"--keep-hours: {hours} is not from 0 to a million hours" in capsys.readouterr().err


def test_compact_and_vacuum(tmp_path: Path, capsys: Capture) -> None:
    lake = str(tmp_path / "l")
    for number in range(3):
        photo(tmp_path / "p" / f"{number}.png", (10, 60 * number, 10))
        main(["index", str(tmp_path / "p"), "--into", lake])
    facts = answer(capsys, "compact", lake, "--json")
    assert (facts["segments_before"], facts["segments"], facts["rows"]) == (3, 1, 3)
    assert answer(capsys, "vacuum", lake, "--json")["files"] == 0  # younger than an hour
    assert answer(capsys, "vacuum", lake, "--keep-hours", "0", "--json")["files"] == 3
    hits = answer(capsys, "search", lake, "green", "--json")["hits"]
    assert isinstance(hits, list) and len(hits) == 3


def test_doctor_finds_a_whole_lake_well(photo_lake: Path, capsys: Capture) -> None:
    findings = answer(capsys, "doctor", str(photo_lake), "--deep", "--json")
    assert findings["ok"] is True
    listed = findings["findings"]
    assert isinstance(listed, list)
    assert [finding["what"] for finding in listed] == [
        "machine", "decoder", "files", "rows", "vectors", "source", "source", "model"
    ]  # fmt: skip


def test_doctor_says_what_a_precision_costs_and_gains(photo_lake: Path, capsys: Capture) -> None:
    """`builtin` has one precision, whatever is asked for: nothing changes."""
    findings = answer(capsys, "doctor", str(photo_lake), "--precision", "int8", "--json")
    listed = findings["findings"]
    assert isinstance(listed, list)
    found = listed[-1]
    photos = r"int8 on (\d+) of your photos: median cosine 1\.0000 to what the lake has"
    stay = r"100% of the 10 nearest neighbours stay"
    speed = r"(\d+\.\d\d) times as fast here \(([\d,]+) images/s\)"
    said = re.fullmatch(f"{photos}, {stay}; {speed}", found["detail"])
    assert found["what"] == "precision" and said is not None, found
    assert int(said[1]) > 10 and float(said[2]) > 0


def test_doctor_fails_on_a_flipped_byte(photo_lake: Path, tmp_path: Path, capsys: Capture) -> None:
    lake = tmp_path / "copy.lake"
    shutil.copytree(photo_lake, lake)
    vectors = next(lake.glob("segments/*/vectors.faiss"))
    data = bytearray(vectors.read_bytes())
    data[len(data) // 2] ^= 1
    vectors.write_bytes(data)
    capsys.readouterr()
    assert main(["doctor", str(lake)]) == 1
    assert f"BAD  files: {vectors} is damaged" in capsys.readouterr().out


def test_models_lists_builtin_first(capsys: Capture) -> None:
    models = answer(capsys, "models", "--json")["models"]
    assert isinstance(models, list)
    assert models[0] == {"name": "builtin", "on_disk": True}
    assert any(model["name"] == "open_clip:ViT-B-32/laion2b_s34b_b79k" for model in models)


# -- every mistake is one sentence


def test_mistakes_are_one_sentence(photo_lake: Path, tmp_path: Path, capsys: Capture) -> None:
    lake, nowhere = str(photo_lake), str(tmp_path / "nowhere")
    assert "is not a lake (it has no manifest.json); make one with" in complaint(
        capsys, 1, "search", nowhere, "cat"
    )
    assert "is not a lake" in complaint(capsys, 1, "sync", nowhere)
    assert not Path(nowhere).exists()
    assert "give at least one text, image or row" in complaint(capsys, 2, "search", lake)
    assert "it is empty; say what you look for" in complaint(capsys, 2, "search", lake, " ")
    assert "there is no column widht_px; did you mean width_px" in complaint(
        capsys, 2, "search", lake, "cat", "--where", "widht_px > 3"
    )
    assert "--row: there is no row 99 in this lake" in complaint(
        capsys, 2, "search", lake, "--row", "99"
    )
    assert "--min-z: z scores need 100" in complaint(
        capsys, 2, "search", lake, "cat", "--min-z", "3"
    )
    assert f"{nowhere}: " in complaint(capsys, 1, "search", lake, "--image", nowhere)
    assert "is not of the form OLD=NEW" in complaint(capsys, 2, "sync", lake, "--root", "/old")
    assert "'colour' is not computed from the images; there are phash, width_px" in complaint(
        capsys, 2, "sync", lake, "--recompute", "colour"
    )
    assert nowhere in complaint(capsys, 1, "index", nowhere, "--into", str(tmp_path / "l"))
    assert not (tmp_path / "l").exists()
    (tmp_path / "empty").mkdir()
    assert "there are no image files in it" in complaint(
        capsys, 1, "index", str(tmp_path / "empty"), "--into", str(tmp_path / "l")
    )


def test_another_model_is_refused(photo_lake: Path, tmp_path: Path, capsys: Capture) -> None:
    photo(tmp_path / "p" / "a.png", (1, 2, 3))
    said = complaint(
        capsys,
        1,
        "index",
        str(tmp_path / "p"),
        "--into",
        str(photo_lake),
        "--model",
        "open_clip:ViT-B-32/openai",
    )
    assert (
        "was built with builtin, but this is open_clip:ViT-B-32/openai; leave out --model" in said
    )


def test_a_foreign_folder_is_not_made_a_lake(tmp_path: Path, capsys: Capture) -> None:
    photo(tmp_path / "p" / "a.png", (1, 2, 3))
    said = complaint(capsys, 1, "index", str(tmp_path / "p"), "--into", str(tmp_path / "p"))
    assert "is not empty and not a lake (it has a.png); choose another folder" in said


def test_a_closed_pipe_is_no_error(photo_lake: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m service.cli search {shlex.quote(str(photo_lake))} cat --all --paths"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_missing_source_keeps_its_rows_and_exits_with_1(tmp_path: Path, capsys: Capture) -> None:
    photo(tmp_path / "p" / "a.png", (10, 200, 10))
    main(["index", str(tmp_path / "p"), "--into", str(tmp_path / "l")])
    (tmp_path / "p").rename(tmp_path / "q")
    assert "its 1 row was kept (if it should go, use --allow-empty)" in complaint(
        capsys, 1, "sync", str(tmp_path / "l")
    )
    report = answer(
        capsys, "sync", str(tmp_path / "l"), "--root", f"{tmp_path}/p={tmp_path}/q", "--json"
    )
    assert (report["rows"], report["new"], report["moved"]) == (1, 0, 1)


def test_compact_leaves_the_rows_of_deleted_photos_behind(tmp_path: Path, capsys: Capture) -> None:
    lake = str(tmp_path / "l")
    for number in range(3):
        photo(tmp_path / "p" / f"{number}.png", (10, 60 * number, 10))
    main(["index", str(tmp_path / "p"), "--into", lake])
    (tmp_path / "p" / "1.png").unlink()
    main(["sync", lake])
    assert answer(capsys, "info", lake, "--json")["deleted_rows"] == 1
    facts = answer(capsys, "compact", lake, "--json")
    assert (facts["segments_before"], facts["segments"], facts["rows"]) == (1, 1, 2)
    assert answer(capsys, "info", lake, "--json")["deleted_rows"] == 0


@pytest.fixture
def sigint() -> Iterator[Callable[[Any], object]]:
    """Sets what Ctrl-C does, for one test. At first that depends on who started the tests:
    in a job that a script put into the background it is ignored.
    """
    before = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, before)


def test_what_ctrl_c_did_before_a_run_it_does_after_it(
    tmp_path: Path, sigint: Callable[[Any], object]
) -> None:
    photo(tmp_path / "p" / "a.png", (10, 200, 10))
    for handler in (signal.SIG_IGN, signal.default_int_handler):
        sigint(handler)
        assert main(["index", str(tmp_path / "p"), "--into", str(tmp_path / "l")]) == 0
        assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_that_a_loading_module_turns_into_its_own_error_is_an_interruption(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, sigint: Callable[[Any], object]
) -> None:
    """As compiled modules do: ImportError: initialization failed."""

    def loads(arguments: argparse.Namespace) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None
        return 0

    def fails(arguments: argparse.Namespace) -> int:
        raise ImportError("a real one")

    sigint(signal.default_int_handler)
    monkeypatch.setattr(upkeep, "_models", loads)
    assert complaint(capsys, 130, "models") == "lakesift: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(upkeep, "_models", fails)
    with pytest.raises(ImportError, match="a real one"):
        main(["models"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_behind_standard_output_is_named() -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "service.cli", "models"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=120)
    said = b"lakesift: standard output, or the lake: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_a_search_in_a_lake_without_images_says_so(tmp_path: Path, capsys: Capture) -> None:
    """As between the beginning of a first run and its first commit."""
    only = photo(tmp_path / "photos" / "a.png", (255, 0, 0))
    assert main(["index", str(tmp_path / "photos"), "--into", str(tmp_path / "my.lake")]) == 0
    only.unlink()
    assert main(["sync", str(tmp_path / "my.lake"), "--allow-empty"]) == 0
    capsys.readouterr()
    assert main(["search", str(tmp_path / "my.lake"), "a cat"]) == 0
    lake = tmp_path / "my.lake"
    note = f"note: {lake} holds no image yet; `lakesift index` and `sync` fill it\nnothing found\n"
    assert capsys.readouterr().err == note


def test_a_search_that_finds_nothing_says_why(photo_lake: Path, capsys: Capture) -> None:
    rows = Lake.open(photo_lake).rows
    said = f"`where` excludes all {rows} images"
    search = ["search", str(photo_lake), "a cat", "--where", "width_px > 999999"]
    for shape in ([], ["--paths"]):
        assert main([*search, *shape]) == 0
        assert capsys.readouterr() == ("", f"nothing found: {said}\n")
    assert main([*search, "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["hits"], document["nothing"]["message"], err) == ([], said, "")


def test_words_that_the_model_cannot_read_are_named(photo_lake: Path, capsys: Capture) -> None:
    said = "the model cannot read “собака”; it reads English"
    assert main(["search", str(photo_lake), "собака", "-k", "1"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"note: {said}"
    assert main(["search", str(photo_lake), "собака", "-k", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hint"] == said
