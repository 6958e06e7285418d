"""`lakesift filter` as a person meets it: what it prints where, its exit codes, and an audit from end to end."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from service import filter_arguments
from service.arguments import parser
from service.cli import main
from service.relevance.label_imports import LABEL_FORMATS

ACTIONS = [
    "new",
    "next",
    "label",
    "undo",
    "plan",
    "apply",
    "decide",
    "export",
    "samples",
    "restore",
    "report",
    "conflicts",
    "list",
    "show",
    "diff",
    "copy",
    "delete",
]
Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, code: int, *arguments: object) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["filter", *map(str, arguments)]) == code
    said = capsys.readouterr()
    return said.out, said.err


def told(capsys: Capture, *arguments: object, code: int = 0) -> dict[str, Any]:
    document = json.loads(run(capsys, code, *arguments, "--json")[0])
    assert isinstance(document, dict)
    return document


@pytest.fixture
def lake(photo_lake: Path, tmp_path: Path) -> Path:
    """The sample photos' lake, a copy: filters write into it."""
    import shutil

    shutil.copytree(photo_lake, tmp_path / "my.lake")
    return tmp_path / "my.lake"


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_helps_with_defaults_and_two_examples(action: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["filter", action, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    examples = re.findall(r"^  (lakesift .*)$", text.partition("examples:\n")[2], re.M)
    assert len(examples) == 2
    for example in examples:
        assert parser().parse_args(shlex.split(example)[1:]).action == action


def test_help_names_the_formats_that_there_are() -> None:
    from service.export import FORMATS

    assert set(filter_arguments.FORMATS) == set(FORMATS)
    assert filter_arguments.LABEL_FORMATS == LABEL_FORMATS


def label(capsys: Capture, lake: Path, rows: list[dict[str, Any]], wanted: set[str]) -> None:
    path = lake.parent / "labels.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row_id", "label"])
        writer.writerows(
            [[row["row_id"], "yes" if Path(row["uri"]).name in wanted else "no"] for row in rows]
        )
    run(capsys, 0, "label", lake, "cats", path)


@pytest.fixture
def applied(capsys: Capture, lake: Path) -> Path:
    """The lake with its filter `cats`: taught, audited, applied."""
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat", "--recall", 0.5, "--confidence", 0.5)
    label(capsys, lake, told(capsys, "next", lake, "cats", "-n", 5)["rows"], {"chelsea.png"})
    while rows := told(capsys, "next", lake, "cats", "-n", 10, "--purpose", "audit")["rows"]:
        label(capsys, lake, rows, {"chelsea.png"})
    run(capsys, 0, "apply", lake, "cats")
    return lake


@pytest.mark.parametrize("format", filter_arguments.FORMATS)
def test_every_format_takes_all_that_was_decided_and_a_second_run_has_nothing_to_do(
    format: str, capsys: Capture, applied: Path, tmp_path: Path
) -> None:
    arguments = ["export", applied, "cats", "--decision", "keep", "--decision", "drop", "--chunk", 20]
    left_out = 1 if format == "yolo" else 0  # the one GIF
    out = ["--format", format, "--out", tmp_path / f"out.{format}"]
    report = told(capsys, *arguments, *out, code=left_out)
    assert (report["items"], len(report["files"]), report["already"]) == (30 - left_out, 2, 0)  # 20 and 10
    assert len(report["skipped"]) == left_out
    assert all(Path(name).exists() for name in report["files"])
    again = told(capsys, *arguments, *out, code=left_out)
    assert again == {**report, "already": 2}


def test_an_export_says_who_answered_and_what_comes_next(
    capsys: Capture, applied: Path, tmp_path: Path
) -> None:
    out = tmp_path / "tasks.json"
    _, said = run(capsys, 0, "export", applied, "cats", "--format", "label_studio", "--out", out)
    assert "next: import one file after another" in said
    tasks = json.loads(out.with_name("tasks-00001.json").read_text())
    cat = next(task for task in tasks if task["data"]["uri"].endswith("chelsea.png"))
    assert cat["data"]["label"] == "yes"
    assert cat["data"]["promise"] == "recall at least 0.5, with confidence 0.5"
    _, said = run(capsys, 2, "export", applied, "cats", "--format", "coco", "--out", "-")
    assert said == "lakesift: out: coco cannot go to standard output; name a file or folder\n"


def test_the_report_is_told_and_written(capsys: Capture, applied: Path, tmp_path: Path) -> None:
    out = tmp_path / "cats.html"
    text, _ = run(capsys, 0, "report", applied, "cats", "--price", 0.8, "--currency", "EUR")
    assert "promised: recall at least 0.5, with confidence 0.5" in text
    assert re.search(r"^saved about -?[\d,.]+ EUR \(from ", text, re.M)
    _, said = run(capsys, 0, "report", applied, "cats", "--out", out)
    assert said == f"wrote {out}\n"
    assert out.read_bytes().startswith(b"<!doctype html>")
    _, said = run(capsys, 2, "report", applied, "cats", "--out", out)
    assert "is there already" in said
    run(capsys, 0, "report", applied, "cats", "--out", out, "--overwrite")
    _, said = run(capsys, 2, "report", applied, "cats", "--price", 0)
    assert "an annotation that costs nothing" in said
    _, said = run(capsys, 0, "conflicts", applied, "cats")
    assert said == "0 images in conflict; Krippendorff's alpha -\n"


def paths(lines: str) -> set[str]:
    return {Path(line).name for line in lines.splitlines()}


def test_what_was_dropped_is_looked_at(capsys: Capture, applied: Path, tmp_path: Path) -> None:
    dropped = paths(run(capsys, 0, "export", applied, "cats", "--decision", "drop", "--out", "-")[0])
    lines, said = run(capsys, 0, "samples", applied, "cats", "-n", 99, "--paths")
    assert paths(lines) == dropped
    assert f"{len(dropped)} of {len(dropped)} images that cats@3 decided as drop, at random\n" in said
    lines, said = run(capsys, 0, "samples", applied, "cats", "-n", 2, "--seed", 1)
    assert lines == run(capsys, 0, "samples", applied, "cats", "-n", 2, "--seed", 1)[0]
    line = lines.splitlines()[0]
    like = r"-?[01]\.\d\d row \d+"
    assert re.fullmatch(rf" +\d+ +-?\d\.\d{{3}} +(no|-|[01]\.\d\d) +{like} +{like}  /.*", line), line
    assert "bring one back: lakesift filter restore" in said
    near = told(capsys, "samples", applied, "cats", "--decision", "keep", "--order", "line", "-n", 1)
    assert (near["order"], len(near["rows"])) == ("line", 1)
    sheet = tmp_path / "sheet.jpg"
    _, said = run(capsys, 0, "samples", applied, "cats", "-n", 3, "--sheet", sheet)
    assert f"wrote {sheet}\n" in said
    with Image.open(sheet) as picture:
        assert (picture.format, picture.width) == ("JPEG", 3 * (160 + 8) + 8)
    _, said = run(capsys, 2, "samples", applied, "cats", "--sheet", sheet)
    assert "is there already" in said
    run(capsys, 0, "samples", applied, "cats", "--sheet", sheet, "--overwrite")


def test_what_was_dropped_is_searched_and_brought_back(
    capsys: Capture, applied: Path, tmp_path: Path
) -> None:
    def search(*arguments: object, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        assert main(["search", str(applied), *map(str, arguments)]) == code
        said = capsys.readouterr()
        return said.out, said.err

    dropped = paths(run(capsys, 0, "export", applied, "cats", "--decision", "drop", "--out", "-")[0])
    lines, said = search("a cup of coffee", "--filter", "cats", "--decision", "drop", "--all", "--paths")
    assert (paths(lines), said) == (dropped, "")
    everything = search("a cup of coffee", "--all", "--paths")[0].splitlines()
    assert lines.splitlines() == [line for line in everything if Path(line).name in dropped]
    for arguments, code, sentence in (
        (["--filter", "dogs"], 1, "has no filter 'dogs'"),
        (["--filter", "cats@1"], 2, "cats version 1 was not applied"),
        (["--filter", "cats@9"], 2, "has no version 9"),
        (["--filter", "cats@x"], 2, "is no filter's name, with or without a version"),
        (["--decision", "drop"], 2, "name the filter, too"),
    ):
        _, said = search("a cat", *arguments, code=code)
        assert sentence in said
        assert said.count("\n") == 1
    # The one next to the line: with a yes there the promise still holds.
    best = run(capsys, 0, "samples", applied, "cats", "--order", "line", "-n", 1, "--paths")[0].strip()
    back = tmp_path / "back.txt"
    back.write_text(f"{best}\n/elsewhere/cup.jpg\n\n")
    saved = told(capsys, "restore", applied, "cats", back, code=1)
    assert [problem["about"] for problem in saved["problems"]] == ["/elsewhere/cup.jpg"]
    assert (saved["saved"], len(saved["restored"])) == (1, 1)
    run(capsys, 0, "apply", applied, "cats")
    assert best in search("a cup", "--filter", "cats", "--all", "--paths")[0].splitlines()
    assert best not in search("a cup", "--filter", "cats@3", "--all", "--paths")[0].splitlines()
    run(capsys, 0, "undo", applied, "cats", "--row", saved["restored"][0])
    run(capsys, 0, "apply", applied, "cats")
    assert paths(search("a cup", "--filter", "cats", "--decision", "drop", "--all", "--paths")[0]) == dropped


def test_answers_of_annotation_tools_come_back(capsys: Capture, applied: Path, tmp_path: Path) -> None:
    """Label Studio's own form: the tasks as handed over, each with an annotation; one stranger, one unanswered."""
    out = tmp_path / "tasks.json"
    run(capsys, 0, "export", applied, "cats", "--format", "label_studio", "--out", out, "--decision", "drop")
    tasks = json.loads(out.with_name("tasks-00001.json").read_text())
    choice = {"type": "choices", "value": {"choices": ["drop"]}, "from_name": "decision", "to_name": "image"}
    for number, task in enumerate(tasks):
        task["id"] = number
        task["annotations"] = [{"completed_by": {"email": "ann@example.org"}, "result": [choice]}]
    tasks[0]["annotations"] = []
    tasks[1]["data"] |= {"uri": "/elsewhere/dog.jpg", "image": "/data/local-files/?d=elsewhere/dog.jpg"}
    back = tmp_path / "back.json"
    back.write_text(json.dumps(tasks))
    text, said = run(capsys, 1, "label", applied, "cats", back, "--format", "label_studio", "--json")
    saved = json.loads(text)
    assert (saved["saved"], saved["unanswered"]) == (len(tasks) - 2, 1)
    assert [problem["about"] for problem in saved["problems"]] == ["/elsewhere/dog.jpg"]
    assert "1 images have no answer in it" in said
    for format in ("coco", "cvat"):
        _, said = run(capsys, 2, "label", applied, "cats", back, "--format", format)
        assert f"{back} is no {format} file" in said
    _, said = run(capsys, 2, "label", applied, "cats", back, "--yes", "cat")
    assert "say which with --format" in said


def test_from_a_prompt_to_the_paths_of_what_was_kept(capsys: Capture, lake: Path, tmp_path: Path) -> None:
    _, said = run(capsys, 0, "new", lake, "cats", "--keep", "a cat", "--recall", 0.5, "--confidence", 0.5)
    assert "a draft that promises nothing yet" in said
    refused = told(capsys, "apply", lake, "cats", code=3)
    assert refused["refused"] is True
    assert set(refused) >= {"can_promise", "labels_missing", "reason"}
    found = told(capsys, "next", lake, "cats", "-n", 5)
    assert Path(found["rows"][0]["uri"]).name == "chelsea.png"  # the cat among scikit-image's photos
    cats = {"chelsea.png"}
    label(capsys, lake, found["rows"], cats)
    while rows := told(capsys, "next", lake, "cats", "-n", 10, "--purpose", "audit")["rows"]:
        label(capsys, lake, rows, cats)
    _, said = run(capsys, 0, "apply", lake, "cats")
    assert "recall at least 0.5, with confidence 0.5" in said
    _, said = run(capsys, 0, "apply", lake, "cats", "--recall", 0.4, "--confidence", 0.4)
    assert "recall at least 0.4, with confidence 0.4" in said
    kept, _ = run(capsys, 0, "export", lake, "cats", "--decision", "keep", "--out", "-")
    dropped, _ = run(capsys, 0, "export", lake, "cats", "--decision", "drop", "--out", "-")
    names = [{Path(line).name for line in text.splitlines()} for text in (kept, dropped)]
    assert "chelsea.png" in names[0]
    assert len(names[0]) + len(names[1]) == 30
    decide(
        capsys,
        lake,
        tmp_path,
        next(Path(row["uri"]) for row in found["rows"] if cats & {Path(row["uri"]).name}),
    )
    table = tmp_path / "dropped.parquet"
    run(capsys, 0, "export", lake, "cats", "--decision", "drop", "--format", "parquet", "--out", table)
    assert pq.read_table(table)["uri"].to_pylist() == dropped.splitlines()


def decide(capsys: Capture, lake: Path, root: Path, cat: Path) -> None:
    """New images through a filter that was applied."""
    new = root / "new"
    new.mkdir()
    (new / "cat.png").write_bytes(cat.read_bytes())
    (new / "half\n.png").write_bytes(cat.read_bytes()[:5_000])
    lines, said = run(capsys, 0, "decide", lake, "cats", new)
    kept, broken = lines.splitlines()
    assert re.fullmatch(rf"keep +(-|[01]\.\d\d)  {re.escape(str(new))}/cat\.png", kept)
    assert broken.startswith(f"-         -  {new}/half\\n.png: truncated")
    assert "decided 2 images (1 keep, 1 unreadable) in " in said
    assert "unpromised until audited" in said
    assert "drift: too few different images" in said
    out = root / "decided.csv"
    document = told(capsys, "decide", lake, "cats", new, "--ask", "--out", out)
    assert document["promised"] is False
    assert [(image["decision"], image["label"]) for image in document["images"]] == [
        ("keep", "yes"),
        (None, None),
    ]
    assert out.read_text().startswith(f"name,decision,score,probability,label,error\n{new}/cat.png,keep,")
    (root / "empty").mkdir()
    for arguments, sentence in (
        ([root / "empty"], "there are no image files in it"),
        ([root / "none", "--json"], "there is no such file or folder"),
        ([new, "--out", out], "is there already"),
    ):
        lines, said = run(capsys, 1, "decide", lake, "cats", *arguments)
        assert lines == ""
        assert sentence in said


def test_mistakes_are_one_sentence_and_exit_codes_tell_whose(capsys: Capture, lake: Path) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat")
    run(capsys, 0, "new", lake, "precise", "--keep", "a cat", "--precision", 0.8)
    for code, arguments, sentence in (
        (2, ["new", lake, "cats", "--keep", "a dog"], "there is a filter 'cats' already"),
        (2, ["new", lake, "../up", "--keep", "a dog"], "is no name for a filter"),
        (2, ["new", lake, "dogs"], "say or show what you want"),
        (2, ["new", lake, "dogs", "--keep", "a dog", "--recall", 95], "95 is not between 0 and 1"),
        (2, ["new", lake, "dogs", "--keep", "a dog", "--where", "nope = 1"], "nope"),
        (1, ["new", lake, "dogs", "--keep-image", "/gone.png"], "/gone.png"),
        (1, ["next", lake, "catz"], "did you mean 'cats'?"),
        (1, ["next", lake.parent / "none.lake", "cats"], "is not a lake"),
        (2, ["label", lake, "cats", lake.parent / "none.csv"], "none.csv"),
        (2, ["export", lake, "cats", "--out", "-"], "was not applied yet"),
        (2, ["decide", lake, "cats", lake.parent], "was not applied yet"),
        (2, ["samples", lake, "cats"], "was not applied yet"),
        (2, ["samples", lake, "cats", "--sheet", "cats.gif"], "does not end in .png or .jpg"),
        (1, ["samples", lake, "catz"], "did you mean 'cats'?"),
        (2, ["restore", lake, "cats", "--row", 1], "was not applied yet"),
        (2, ["restore", lake, "cats"], "name what to bring back"),
        (2, ["restore", lake, "cats", lake.parent / "none.txt"], "none.txt cannot be read"),
        (2, ["show", lake, "cats", "--version", 9], "has no version 9"),
        (2, ["apply", lake, "cats", "--recall", 0.96], "planned for recall 0.95 and shows nothing above it"),
        (2, ["apply", lake, "cats", "--confidence", 95], "95 is not between 0 and 1"),
        (2, ["apply", lake, "precise", "--assume", "tail"], "this filter promises precision alone"),
    ):
        _, said = run(capsys, code, *arguments)
        assert sentence in said, said
        assert said.count("\n") == 1, said


def test_what_is_there_can_be_seen_copied_and_taken_away(capsys: Capture, lake: Path) -> None:
    _, said = run(capsys, 0, "list", lake)
    assert "no filters yet" in said
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat", "--drop", "a dog", "--precision", 0.8)
    assert run(capsys, 0, "list", lake)[0] == "cats  draft  version 1  precision 0.8  0 labels\n"
    shown, _ = run(capsys, 0, "show", lake, "cats")
    assert "keep: a cat\ndrop: a dog\nwanted: precision at least 0.8, with confidence 0.95\n" in shown
    assert told(capsys, "show", lake, "cats")["target"]["recall"] is None
    found = told(capsys, "next", lake, "cats", "-n", 2)
    label(capsys, lake, found["rows"], set())
    _, said = run(capsys, 0, "undo", lake, "cats")
    assert said == f"took back no of row {found['rows'][1]['row_id']}\n"
    _, said = run(capsys, 0, "copy", lake, "cats", "kittens")
    assert said == "made filter kittens, like cats\n"
    assert told(capsys, "copy", lake, "cats", "lions", "--labels")["labels"] == 1
    run(capsys, 0, "delete", lake, "lions")
    _, said = run(capsys, 0, "delete", lake, "cats")
    assert "its files lie in" in said
    assert [each["name"] for each in told(capsys, "list", lake)["filters"]] == ["kittens"]


def test_a_filter_goes_into_another_lake_with_its_labels(capsys: Capture, lake: Path, tmp_path: Path) -> None:
    """Two of the sample photos under other names and row ids: a cat, and a cup of coffee."""
    rows = {Path(row["uri"]).name: row for row in told_rows(capsys, lake)}
    for name, photo in (("0.png", "coffee.png"), ("1.png", "chelsea.png")):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(Path(rows[photo]["uri"]).read_bytes())
    new = tmp_path / "new.lake"
    assert main(["index", str(tmp_path / "photos"), "--into", str(new)]) == 0
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat", "--recall", 0.8)
    label(capsys, lake, [rows[name] for name in ("chelsea.png", "coffee.png")], {"chelsea.png"})
    out, said = run(capsys, 0, "copy", lake, "cats", "--labels", "cats", "--into", new)
    assert (out, said) == ("", f"made filter cats in {new}, like cats in {lake}\n2 labels taken along\n")
    shown, said = run(capsys, 0, "show", new, "cats")
    assert "keep: a cat\nwanted: recall at least 0.8, with confidence 0.95\n" in shown
    assert said == "2 labels: 1 yes, 1 no\n"
    label(capsys, lake, [rows["rocket.jpg"]], set())
    copied = told(capsys, "copy", lake, "cats", "more", "--labels", "--into", new, code=1)
    assert (copied["name"], copied["labels"], copied["average_precision"]) == ("more", 2, None)
    assert copied["left_out"] == [
        f"1 of 3 labels were left out: {new} has no images of the same bytes as theirs"
    ]
    again = run(capsys, 2, "copy", lake, "cats", "cats", "--into", new)[1]
    assert (
        again == "lakesift: name: there is a filter 'cats' already; choose another name, or delete that one\n"
    )
    _, said = run(capsys, 1, "copy", lake, "cats", "cats", "--into", tmp_path / "photos")
    assert "is not a lake" in said


def told_rows(capsys: Capture, lake: Path) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["search", str(lake), "a photo", "-k", "100", "--json"]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert isinstance(hits, list)
    return hits


def test_lines_of_a_file_that_cannot_be_used_are_told_and_exit_with_1(capsys: Capture, lake: Path) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat")
    path = lake.parent / "labels.csv"
    path.write_text("row_id,label\n1,yes\n2,perhaps\n777,no\n")
    _, said = run(capsys, 1, "label", lake, "cats", path)
    assert "line 3: " in said
    assert "line 4: " in said
    assert "saved 1 answers" in said
