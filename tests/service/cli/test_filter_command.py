"""`lakesift filter` as a person meets it:
what it prints where, its exit codes, and an audit from end to end.
"""

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

from service.cli.arguments import parser
from service.cli.filters.labelling import brings
from service.cli.filters.planning import recommended
from service.cli.main import main
from service.formats.format_list import FORMATS
from service.lake import Lake
from service.relevance import Filters
from service.relevance.definition import Target
from service.relevance.promise.prices import Prices
from service.relevance.promise.progress import CheapestLine, PlanAnswer, PlanCosts
from tests.conftest import sample_folders
from tests.indexer.sources.containers.test_tar import tar_of
from tests.lakes import Desk, write

ACTIONS = [
    "new",
    "next",
    "label",
    "undo",
    "plan",
    "offers",
    "estimate",
    "apply",
    "decide",
    "export",
    "samples",
    "restore",
    "report",
    "team",
    "conflicts",
    "settle",
    "list",
    "show",
    "diff",
    "copy",
    "delete",
    "mend",
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


def test_show_says_how_good_the_ranking_is_as_the_page_does(capsys: Capture, lake: Path) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat")
    assert "ranking" not in run(capsys, 0, "show", lake, "cats")[0]
    rows = told(capsys, "next", lake, "cats", "-n", 12)["rows"]
    label(capsys, lake, rows, {"chelsea.png"})
    with Lake.open(lake) as opened:
        ranking = Filters(opened).open("cats").ranking()
    assert ranking.advice == "teach"
    assert f"ranking: {ranking.sentence}\n" in run(capsys, 0, "show", lake, "cats")[0]
    shown = told(capsys, "show", lake, "cats")
    assert shown["ranking"] == ranking.to_json()
    assert told(capsys, "show", lake, "cats", "--version", 1)["ranking"] is None


def test_how_many_are_relevant_is_told_between_bounds(capsys: Capture, lake: Path) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat", "--recall", 0.5)
    _, err = run(capsys, 2, "estimate", lake, "cats")
    assert "begin an audit" in err
    rows = told(capsys, "next", lake, "cats", "-n", 1, "--purpose", "audit")["rows"]
    label(capsys, lake, rows, {"chelsea.png"})
    found = told(capsys, "estimate", lake, "cats")
    yes = int(Path(rows[0]["uri"]).name == "chelsea.png")
    assert (found["at_least"], found["labels"]) == (yes, 1)
    assert found["at_most"] == found["rows"] - 1 + yes
    out, _ = run(capsys, 0, "estimate", lake, "cats", "--confidence", 0.9)
    assert f" of {found['rows']} images are relevant, 0.9 sure after 1 audit label" in out


def test_prices_say_which_way_is_the_cheapest(capsys: Capture, lake: Path) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat", "--recall", 0.5, "--confidence", 0.5)
    assert "cost" not in run(capsys, 0, "plan", lake, "cats")[0]
    flags = ["--price", 0.8, "--label-price", 0.02]
    out, _ = run(capsys, 0, "plan", lake, "cats", *flags, "--currency", "EUR")
    assert out.splitlines()[0].endswith("audit labels          EUR")
    costs = told(capsys, "plan", lake, "cats", *flags)["costs"]
    # With 31 photos no audit takes fewer labels than there are.
    everything, dearer = costs["label_everything"], costs["annotate_everything"]
    assert (costs["line"], costs["cheapest"], dearer) == (None, "label_everything", 24.8)
    assert out.splitlines()[-3:] == [
        f"cheapest: label everything: {everything:.2f} EUR",
        f"  annotate everything: {dearer - everything:.2f} EUR more",
        f"  lakesift filter next {lake} cats --purpose audit --budget 31",
    ]
    out, _ = run(capsys, 0, "plan", lake, "cats", "--label-price", 500)
    assert "cheapest: annotate everything: 31 annotations\n" in out
    _, err = run(capsys, 2, "plan", lake, "cats", "--label-price", -1)
    assert "-1 is not a price" in err
    run(capsys, 0, "next", lake, "cats", "--purpose", "audit", *flags)
    _, err = run(capsys, 2, "apply", lake, "cats", "--label-price", 0.02)
    assert "say --ask, too" in err


def test_the_cheapest_line_is_told_with_the_commands_for_it() -> None:
    costs = PlanCosts(
        prices=Prices.of(2.0, None, 0.06, "EUR"),
        annotate_everything=20_000.0,
        label_everything=2_940.0,
        line=CheapestLine(dropped=4_900, labels=610, looks=5_020, cost=2_786.4),
        cheapest="line",
    )
    plan = PlanAnswer(10_000, 30, None, None, (), costs, None, None)
    words = ["filter", "plan", "my.lake", "ward", "--price", "2", "--label-price", "0.06"]
    assert list(recommended(plan, costs, parser().parse_args(words))) == [
        "cheapest: drop 4,900 after about 610 audit labels, look at 5,020 of the kept before they are "
        "annotated: 2,786 EUR",
        "  label everything: 154 EUR more",
        "  annotate everything: 17,214 EUR more",
        "  lakesift filter next my.lake ward --purpose audit --price 2 --label-price 0.06",
        "  lakesift filter apply my.lake ward --ask",
    ]


def test_offers_are_promises_that_apply_makes(capsys: Capture, lake: Path) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat", "--recall", 0.5, "--confidence", 0.5)
    out, err = run(capsys, 0, "offers", lake, "cats")
    assert (out, err) == ("", "the audit's answers offer no promise yet\n")
    for _ in range(4):
        rows = told(capsys, "next", lake, "cats", "-n", 3, "--purpose", "audit")["rows"]
        label(capsys, lake, rows, {"chelsea.png"})
    found = told(capsys, "offers", lake, "cats")
    assert [(each["recall"], each["own_audit"]) for each in found["tighter"][-2:]] == [
        (0.6, True),
        (0.7, True),
    ]
    out, err = run(capsys, 0, "offers", lake, "cats")
    assert "recall 0.5 with confidence 0.99: " in err
    assert "recall 0.6 with confidence 0.5: " in err
    for offer in found["offers"]:
        wanted = ("--recall", offer["recall"], "--confidence", offer["confidence"])
        assert told(capsys, "apply", lake, "cats", *wanted)["dropped"] == offer["dropped"]
        assert f"{offer['dropped']:9,}  {offer['kept']:9,}" in out


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_takes_all_that_was_decided_and_a_second_run_has_nothing_to_do(
    format: str, capsys: Capture, applied: Path, tmp_path: Path
) -> None:
    arguments = [
        "export",
        applied,
        "cats",
        "--decision",
        "keep",
        "--decision",
        "drop",
        "--chunk",
        20,
    ]
    left_out = 1 if format == "yolo" else 0  # the one GIF
    out = ["--format", format, "--out", tmp_path / f"out.{format}"]
    report = told(capsys, *arguments, *out, code=left_out)
    # 20 and 11
    assert (report["items"], len(report["files"]), report["already"]) == (31 - left_out, 2, 0)
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


def test_members_are_extracted_and_their_labels_come_back(capsys: Capture, tmp_path: Path) -> None:
    """From a shard to a folder of files, to CVAT's answers on them."""
    photos = {
        path.name: path for folder in sample_folders() for path in Path(folder).glob("c*.png")
    }
    shard = {name: photos[name].read_bytes() for name in ("chelsea.png", "coffee.png", "coins.png")}
    write(tmp_path / "shards" / "0.tar", tar_of(shard))
    lake = tmp_path / "my.lake"
    assert main(["index", str(tmp_path / "shards"), "--into", str(lake)]) == 0
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat", "--recall", 0.5, "--confidence", 0.5)
    for purpose in ("teach", "audit"):
        rows = told(capsys, "next", lake, "cats", "--purpose", purpose)["rows"]
        table = tmp_path / "labels.csv"
        lines = (f"{row['row_id']},{'yes' if row['row_id'] == 1 else 'no'}\n" for row in rows)
        table.write_text("row_id,label\n" + "".join(lines))
        if rows:
            run(capsys, 0, "label", lake, "cats", table)
    run(capsys, 0, "apply", lake, "cats")

    both = ["--decision", "keep", "--decision", "drop"]
    export = ["export", lake, "cats", *both, "--format", "cvat", "--out", tmp_path / "task"]
    _, said = run(capsys, 1, *export)
    assert "#member=chelsea.png: it lies inside another file" in said
    assert "--extract FOLDER" in said
    kept = tmp_path / "kept"
    _, said = run(capsys, 0, *export, "--extract", kept, "--overwrite")
    assert f"3 images written out to {kept}\n" in said
    assert {path.name: path.read_bytes() for path in kept.glob("*/*")} == shard
    _, said = run(capsys, 2, *export[:-4], "--format", "csv", "--out", "-", "--extract", kept)
    assert "extract: csv does not name whole files; " in said

    annotations = tmp_path / "task-00001" / "annotations.xml"
    text = annotations.read_text()
    annotations.write_text(
        re.sub('label="[a-z]+" source="[a-z]+"', 'label="drop" source="x"', text)
    )
    _, said = run(capsys, 0, "label", lake, "cats", annotations, "--format", "cvat")
    assert "3 labels: 0 yes, 3 no" in said


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


def test_two_people_are_asked_about_different_images(capsys: Capture, lake: Path) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat")
    first = told(capsys, "next", lake, "cats", "-n", 20, "--labeller", "ann")["rows"]
    second = told(capsys, "next", lake, "cats", "-n", 20, "--labeller", "ben")["rows"]
    assert (len(first), len(second)) == (20, 11)  # of 31
    assert not {row["row_id"] for row in first} & {row["row_id"] for row in second}
    lines, said = run(capsys, 0, "next", lake, "cats", "--labeller", "cem", "--double", "10%")
    assert lines == ""
    assert said.endswith("the last 31 images are with others; ask again in ten minutes\n")
    with pytest.raises(SystemExit):
        main(["filter", "next", str(lake), "cats", "--labeller", "cem", "--double", "some"])
    assert "invalid share value: 'some'" in capsys.readouterr().err


def test_a_conflict_is_settled(capsys: Capture, lake: Path, tmp_path: Path) -> None:
    table = tmp_path / "said.csv"
    table.write_text("row_id,label,labeller\n1,yes,ann\n2,no,ann\n1,no,ben\n2,no,ben\n")
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat")
    run(capsys, 0, "label", lake, "cats", table)
    lines, said = run(capsys, 0, "team", lake, "cats")
    assert [line.split() for line in lines.splitlines()] == [
        ["who", "given", "teach", "audit", "picked", "settle", "yes", "no", "skip"],
        ["ann", "2", "2", "0", "0", "0", "1", "1", "0"],
        ["ben", "2", "2", "0", "0", "0", "0", "2", "0"],
    ]
    assert said.splitlines()[0] == (
        "2 images were answered by two people or more, who agree on 1 (50.0%)"
    )
    assert "1 image in conflict; Krippendorff's alpha 0.00\n" in said
    cem = ("--label", "yes", "--labeller", "cem")
    _, said = run(capsys, 1, "settle", lake, "cats", "--row", 1, "--row", 2, *cem)
    assert said.splitlines() == [
        "row 2 has no conflict to settle; answer it without settle",
        "settled 1 image as yes",
        "2 labels: 1 yes, 1 no",
    ]
    lines, said = run(capsys, 0, "conflicts", lake, "cats")
    assert lines == ""
    assert "0 images in conflict, 1 settled; Krippendorff's alpha 0.00\n" in said
    run(capsys, 0, "undo", lake, "cats", "--row", 1, "--labeller", "cem")
    assert told(capsys, "team", lake, "cats")["agreement"]["conflicts"][0]["row_id"] == 1
    for label in ("yes", "no"):
        table.write_text(f"row_id,label\n5,{label}\n")
        run(capsys, 0, "label", lake, "cats", table)
    _, said = run(capsys, 0, "team", lake, "cats")
    assert "answers without a name say yes and no of 1 image: the last one counts" in said


def paths(lines: str) -> set[str]:
    return {Path(line).name for line in lines.splitlines()}


def test_what_was_dropped_is_looked_at(capsys: Capture, applied: Path, tmp_path: Path) -> None:
    dropped = paths(
        run(capsys, 0, "export", applied, "cats", "--decision", "drop", "--out", "-")[0]
    )
    lines, said = run(capsys, 0, "samples", applied, "cats", "-n", 99, "--paths")
    assert paths(lines) == dropped
    assert (
        f"{len(dropped)} of {len(dropped)} images that cats@3 decided as drop, at random\n" in said
    )
    lines, said = run(capsys, 0, "samples", applied, "cats", "-n", 2, "--seed", 1)
    assert lines == run(capsys, 0, "samples", applied, "cats", "-n", 2, "--seed", 1)[0]
    head, line, _ = lines.splitlines()
    assert (
        head == f"{'row':>7}  {'score':>7}  {'p':>8}  {'like a yes':>16}  {'like a no':>16}  path"
    )
    assert head.index("path") == line.index("/")
    like = r"-?[01]\.\d\d row \d+"
    assert re.fullmatch(rf" +\d+ +-?\d\.\d{{3}} +(no|-|[01]\.\d\d) +{like} +{like}  /.*", line), (
        line
    )
    assert "bring one back: lakesift filter restore" in said
    near = told(
        capsys, "samples", applied, "cats", "--decision", "keep", "--order", "line", "-n", 1
    )
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

    dropped = paths(
        run(capsys, 0, "export", applied, "cats", "--decision", "drop", "--out", "-")[0]
    )
    lines, said = search(
        "a cup of coffee", "--filter", "cats", "--decision", "drop", "--all", "--paths"
    )
    assert (paths(lines), said) == (dropped, "")
    everything = search("a cup of coffee", "--all", "--paths")[0].splitlines()
    # without a query: what was decided so, by row id
    assert paths(search("--filter", "cats", "--decision", "drop", "--all", "--paths")[0]) == dropped
    rows = json.loads(search("--filter", "cats", "--all", "--json")[0])["rows"]
    kept = run(capsys, 0, "export", applied, "cats", "--decision", "keep", "--out", "-")[0]
    assert sorted(row["uri"] for row in rows) == sorted(kept.splitlines())
    assert [row["row_id"] for row in rows] == sorted(row["row_id"] for row in rows)
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
    # Here people answered every image, so all of them are found by chance, and none by the line.
    near = told(capsys, "samples", applied, "cats", "--order", "line")
    assert (near["rows"], near["by_people"]) == ([], len(dropped))
    _, said = run(capsys, 0, "samples", applied, "cats", "--order", "line")
    assert f"people's own answers decided {len(dropped)}, not among these" in said
    drawn = told(capsys, "samples", applied, "cats", "-n", len(dropped))
    best = max(drawn["rows"], key=lambda row: row["score"])["uri"]
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
    assert (
        paths(search("a cup", "--filter", "cats", "--decision", "drop", "--all", "--paths")[0])
        == dropped
    )


def test_answers_of_annotation_tools_come_back(
    capsys: Capture, applied: Path, tmp_path: Path
) -> None:
    """Label Studio's own form: the tasks as handed over,
    each with an annotation; one stranger, one unanswered.
    """
    out = tmp_path / "tasks.json"
    run(
        capsys,
        0,
        "export",
        applied,
        "cats",
        "--format",
        "label_studio",
        "--out",
        out,
        "--decision",
        "drop",
    )
    tasks = json.loads(out.with_name("tasks-00001.json").read_text())
    choice = {
        "type": "choices",
        "value": {"choices": ["drop"]},
        "from_name": "decision",
        "to_name": "image",
    }
    for number, task in enumerate(tasks):
        task["id"] = number
        task["annotations"] = [{"completed_by": {"email": "ann@example.org"}, "result": [choice]}]
    tasks[0]["annotations"] = []
    tasks[1]["data"] |= {
        "uri": "/elsewhere/dog.jpg",
        "image": "/data/local-files/?d=elsewhere/dog.jpg",
    }
    back = tmp_path / "back.json"
    back.write_text(json.dumps(tasks))
    text, said = run(
        capsys, 1, "label", applied, "cats", back, "--format", "label_studio", "--json"
    )
    saved = json.loads(text)
    assert (saved["saved"], saved["unanswered"]) == (len(tasks) - 2, 1)
    assert [problem["about"] for problem in saved["problems"]] == ["/elsewhere/dog.jpg"]
    assert "1 image has no answer in it" in said
    for format in ("coco", "cvat"):
        _, said = run(capsys, 2, "label", applied, "cats", back, "--format", format)
        assert f"{back} is no {format} file" in said
    _, said = run(capsys, 2, "label", applied, "cats", back, "--yes", "cat")
    assert "say which with --format" in said


def test_a_category_that_a_file_has_not_is_refused_with_those_it_has(
    capsys: Capture, lake: Path, tmp_path: Path
) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat")
    path = tmp_path / "coco.json"
    document = {
        "images": [{"id": 1, "file_name": ".\\chelsea.png"}],
        "categories": [{"id": 1, "name": "Cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1}],
    }
    path.write_text(json.dumps(document))
    label = ("label", lake, "cats", path, "--format", "coco")
    _, said = run(capsys, 2, *label, "--yes", "cat")
    assert f"{path} has no category 'cat'; did you mean 'Cat'? it has 'Cat', 'dog'" in said
    _, said = run(capsys, 0, *label, "--yes", "Cat")
    assert "1 label: 1 yes, 0 no" in said


def test_a_table_names_images_below_a_root(capsys: Capture, lake: Path, tmp_path: Path) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat")
    uris = {Path(row["uri"]).name: Path(row["uri"]) for row in told_rows(capsys, lake)}
    photos = uris["chelsea.png"].parent
    table = tmp_path / "labels.csv"
    table.write_text(f"uri,label\n{photos.name}/chelsea.png,yes\n")
    _, said = run(capsys, 1, "label", lake, "cats", table)
    assert "line 2: " in said and "if it is below a folder, say which (root)" in said
    _, said = run(capsys, 0, "label", lake, "cats", table, "--root", photos.parent)
    assert "saved 1 answer" in said


def test_from_a_prompt_to_the_paths_of_what_was_kept(
    capsys: Capture, lake: Path, tmp_path: Path
) -> None:
    _, said = run(
        capsys, 0, "new", lake, "cats", "--keep", "a cat", "--recall", 0.5, "--confidence", 0.5
    )
    assert "a draft that promises nothing yet" in said
    refused = told(capsys, "apply", lake, "cats", code=3)
    assert refused["refused"] is True
    assert set(refused) >= {"can_promise", "labels_missing", "reason"}
    found = told(capsys, "next", lake, "cats", "-n", 5)
    # the cat among scikit-image's photos
    assert Path(found["rows"][0]["uri"]).name == "chelsea.png"
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
    assert len(names[0]) + len(names[1]) == 31
    decide(
        capsys,
        lake,
        tmp_path,
        next(Path(row["uri"]) for row in found["rows"] if cats & {Path(row["uri"]).name}),
    )
    table = tmp_path / "dropped.parquet"
    run(
        capsys,
        0,
        "export",
        lake,
        "cats",
        "--decision",
        "drop",
        "--format",
        "parquet",
        "--out",
        table,
    )
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
    assert out.read_text().startswith(
        f"name,decision,score,probability,label,error\n{new}/cat.png,keep,"
    )
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
        (
            2,
            ["new", lake, "cats", "--keep", "a dog"],
            f"delete that one: lakesift filter delete {lake} cats",
        ),
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
        (
            2,
            ["apply", lake, "cats", "--recall", 0.96],
            "planned for recall 0.95 and shows nothing above it",
        ),
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
    assert (
        "keep: a cat\ndrop: a dog\nwanted: precision at least 0.8, with confidence 0.95\n" in shown
    )
    assert told(capsys, "show", lake, "cats")["target"]["recall"] is None
    found = told(capsys, "next", lake, "cats", "-n", 2)
    label(capsys, lake, found["rows"], set())
    _, said = run(capsys, 0, "undo", lake, "cats")
    assert said == f"took back no of row {found['rows'][1]['row_id']} (answer 2, by unnamed)\n"
    _, said = run(capsys, 2, "undo", lake, "cats", "--answer", 2)
    assert said.endswith("answer 2 was taken back already\n")
    _, said = run(capsys, 2, "undo", lake, "cats", "--answer", 1, "--row", 1)
    assert said.endswith("--answer: it names the answer; leave --row out\n")
    _, said = run(capsys, 0, "copy", lake, "cats", "kittens")
    assert said == "made filter kittens, like cats\n"
    assert told(capsys, "copy", lake, "cats", "lions", "--labels")["labels"] == 1
    run(capsys, 0, "delete", lake, "lions")
    _, said = run(capsys, 0, "delete", lake, "cats")
    assert "its files lie in" in said
    assert [each["name"] for each in told(capsys, "list", lake)["filters"]] == ["kittens"]


def test_an_untaught_audit_is_warned_of_and_asks_for_no_more_than_its_budget(
    capsys: Capture, lake: Path
) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat")
    _, said = run(capsys, 3, "apply", lake, "cats")
    assert "nothing was taught yet, and a few dozen answers to this first" in said
    ask = ("next", lake, "cats", "-n", 9, "--purpose", "audit")
    out, said = run(capsys, 0, *ask, "--budget", 2)
    assert len(out.splitlines()) == 1 + 2  # a head
    assert said.count("warning: nothing was taught yet, so this audit measures") == 1
    label(capsys, lake, told(capsys, *ask)["rows"], {"chelsea.png"})
    out, said = run(capsys, 0, *ask)
    assert (out, "warning" in said) == ("", False)
    spent = re.search(
        r"its budget of 2 labels is spent; about (\d+) more may do: lakesift filter next .* cats "
        r"--purpose audit --budget (\d+)\n$",
        said,
    )
    assert spent and int(spent[2]) == int(spent[1]) + 2
    out, _ = run(capsys, 0, *ask, "--budget", 5)
    assert len(out.splitlines()) == 1 + 3


def test_what_a_promise_brings_is_told_before_and_after_it_is_applied(
    capsys: Capture, applied: Path
) -> None:
    _, said = run(capsys, 0, "apply", applied, "cats")
    assert re.search(
        r"\n(estimated, not promised|by the answers): recall about .*, precision about", said
    )
    dropped = re.search(r"dropped (\d+)", said)
    _, said = run(capsys, 0, "next", applied, "cats", "--purpose", "audit")
    assert (
        dropped and f"the promise holds, and can be applied: that drops {dropped[1]} of 31" in said
    )


def test_a_promise_that_drops_little_is_said_to() -> None:
    assert brings(12, 400) == "but only little would be dropped: 12 of 400 images, 3.0%"
    assert brings(40, 400, True).startswith("and can be applied with --ask: that drops 40 of")
    assert brings(40, 400) == "and can be applied: that drops 40 of 400 images, 10.0%"


def test_a_deleted_filters_name_goes_on_counting_and_that_is_said(
    capsys: Capture, lake: Path
) -> None:
    run(capsys, 0, "new", lake, "cups", "--keep", "a cup of coffee")
    run(capsys, 0, "next", lake, "cups", "--purpose", "audit", "-n", 1)
    run(capsys, 0, "delete", lake, "cups")
    _, said = run(capsys, 0, "new", lake, "cups", "--keep", "a cup of coffee")
    assert said.endswith(
        "note: a filter of this name was deleted after 1 audit, so the next one counts as number 2 and takes more "
        "labels; for another wish choose another name\n"
    )
    _, said = run(capsys, 0, "new", lake, "mugs", "--keep", "a cup of coffee")
    assert "note" not in said


def test_a_filter_goes_into_another_lake_with_its_labels(
    capsys: Capture, lake: Path, tmp_path: Path
) -> None:
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
    assert (out, said) == (
        "",
        f"made filter cats in {new}, like cats in {lake}\n"
        "note: it took 1/2 of the chance of error along that cats had left to promise with; audits of both take more "
        "labels for it\n2 labels taken along\n",
    )
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
        again
        == "lakesift: name: there is a filter 'cats' already; choose another name, or delete that one: "
        f"lakesift filter delete {new} cats\n"
    )
    _, said = run(capsys, 1, "copy", lake, "cats", "cats", "--into", tmp_path / "photos")
    assert "is not a lake" in said


def told_rows(capsys: Capture, lake: Path) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["search", str(lake), "a photo", "-k", "100", "--json"]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert isinstance(hits, list)
    return hits


def test_lines_of_a_file_that_cannot_be_used_are_told_and_exit_with_1(
    capsys: Capture, lake: Path
) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "a cat")
    path = lake.parent / "labels.csv"
    path.write_text("row_id,label\n1,yes\n2,perhaps\n777,no\n")
    _, said = run(capsys, 1, "label", lake, "cats", path)
    assert "line 3: " in said
    assert "line 4: " in said
    assert "saved 1 answer" in said


def test_what_came_since_and_a_smaller_promise_are_told(capsys: Capture, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number, colour in enumerate(((255, 0, 0), (255, 60, 0), (0, 0, 255), (0, 255, 0))):
        desk.add(f"{number}.png", colour)
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        target = Target(0.9, None, 0.95)
        Filters(lake).create("cats", keep_texts=["red"], target=target)
    rows, said = run(capsys, 0, "next", desk.lake, "cats", "--purpose", "audit")
    head, *lines = rows.splitlines()
    assert head.split() == ["row", "score", "p", "path"]
    assert [line.split()[1:3] for line in lines] == [["-", "-"]] * 4
    asked = told(capsys, "next", desk.lake, "cats")["rows"]
    assert [(row["score"], row["probability"]) for row in asked] == [(None, None)] * 4
    label(capsys, desk.lake, asked, {"0.png", "1.png"})
    _, said = run(capsys, 0, "apply", desk.lake, "cats", "--recall", 0.5)
    assert "every image was answered by a person: this is counted" in said
    for name in ("4.png", "5.png"):
        desk.add(name, (9, 9, 9))
    desk.sync()
    smaller = "recall at least 0.5, with confidence 0.95"
    assert run(capsys, 0, "list", desk.lake)[0] == (
        f"cats  applied  version 3  recall 0.9  4 labels  promised: {smaller}  2 undecided since\n"
    )
    shown = run(capsys, 0, "show", desk.lake, "cats")[0].splitlines()
    assert f"promised by version 3: {smaller}" in shown
    # Everything was answered: both reds are kept, and nothing else.
    assert "recall: at_least 0.5, estimate 1.0" in shown
    assert "precision: estimate 1.0" in shown
    assert (
        "note: version 3 was applied for less than the filter's own recall at least 0.9, with "
        "confidence 0.95; apply without a recall or confidence to ask for that"
    ) in shown
    assert (
        "note: 2 images have no decision: added since version 3 was audited; the same audit "
        f"takes them in: lakesift filter next {desk.lake} cats --purpose audit --follow"
    ) in shown
    document = told(capsys, "show", desk.lake, "cats")["applied"]
    assert (document["version"], document["undecided"]) == (3, 2)
    assert told(capsys, "list", desk.lake)["filters"][0]["applied"] == document
    since = ("--filter", "cats", "--decision", "undecided", "--json")
    assert main(["tag", str(desk.lake), "new", *since]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2


def test_mend_says_what_was_kept_and_lost(lake: Path, capsys: Capture) -> None:
    run(capsys, 0, "new", lake, "cats", "--keep", "red")
    label(capsys, lake, told(capsys, "next", lake, "cats", "-n", 3)["rows"], set())
    _, said = run(capsys, 0, "mend", lake, "cats")
    assert said == "nothing to mend: 3 lines, all as written\n"
    path = lake / "filters" / "cats" / "labels.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"no"', b'"yes"', 1))
    _, said = run(capsys, 1, "next", lake, "cats")
    assert f"{path} is damaged: line 1 is not the one that comes next" in said
    assert f"or keep what can be read: lakesift filter mend {lake} cats" in said
    _, said = run(capsys, 0, "mend", lake, "cats")
    assert said.startswith("version 2: kept 2 lines, lost line 1; the damaged file is kept: ")
    assert said.endswith(f"; go on with: lakesift filter next {lake} cats\n")
    assert told(capsys, "mend", lake, "cats") == {
        "filter": "cats", "version": 2, "lines": 2, "lost": [], "missing": 0, "damaged": None
    }  # fmt: skip
