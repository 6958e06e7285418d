"""A promise of scenes, on a lake of coloured images whose table says of which sequence they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import BadRequest, LakeDamaged
from service.api.app import create_app
from service.api.config import ServeConfig
from service.cli.main import main
from service.lake import Lake
from service.relevance import Filter, Filters, Target
from service.relevance.promise.scene_column import scenes_by
from service.relevance.reporting.summary import summary
from tests.lakes import Desk

SCENES, RED = 80, 24
REDS = set(range(1, 2 * RED + 1, 2))  # the first row of each of the first scenes


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Rows 1 to 160: two of each of 80 sequences, the first of the first 24 reddish. Rows 161 and
    162 have no sequence. `shot` is of each image alone, `site` the same of all.
    """
    desk = Desk(tmp_path_factory.mktemp("sequences"))
    lines = ["uri,sequence,shot,site,blur"]
    for number in range(2 * SCENES + 2):
        is_red = number + 1 in REDS
        colour = (255, number * 3, 0) if is_red else (90 - number // 2, 0, 90 + number)
        path = desk.add(f"{number:03d}.png", colour)
        sequence = f"q{number // 2:02d}" if number < 2 * SCENES else ""
        lines.append(f"{path},{sequence},s{number},here,0.{number}")
    table = desk.root / "columns.csv"
    table.write_text("\n".join(lines) + "\n")
    desk.index(columns=table)
    return desk


@pytest.fixture
def lake(desk: Desk, tmp_path: Path) -> Lake:
    shutil.copytree(desk.lake, tmp_path / "my.lake")
    return Lake.open(tmp_path / "my.lake", desk.model)


def reds(lake: Lake) -> Filter:
    filter = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
    rows = [row.row_id for row in filter.next(6).rows]
    filter.label([{"row_id": row, "label": "yes" if row in REDS else "no"} for row in rows])
    return filter


def answer_all(filter: Filter) -> None:
    """Scene by scene: a yes for the first row that shows it, or a no for all."""
    while (asked := filter.next(10)).rows:
        assert asked.scenes is not None
        by_scene: dict[int, list[int]] = {}
        for row, scene in zip(asked.rows, asked.scenes, strict=True):
            by_scene.setdefault(scene, []).append(row.row_id)
        for rows in by_scene.values():
            shown = [row for row in rows if row in REDS]
            if shown:
                filter.label([{"row_id": shown[0], "label": "yes"}])
            else:
                assert filter.labels.none_of(rows[:1]).saved == len(rows)


def test_each_value_is_a_scene_and_so_is_each_row_without_one(lake: Lake) -> None:
    found = scenes_by(lake.snapshot, np.arange(1, 163), "sequence")
    assert found.of_row[:160].tolist() == np.repeat(np.arange(80), 2).tolist()
    assert found.of_row[160:].tolist() == [80, 81]
    for column, reason in (
        ("shot", "no two images have the same shot"),
        ("site", "they are one scene"),
        ("blur", "name a column whose values are scenes"),
        ("weather", "weather"),
        ("group", "`lakesift curate groups"),
    ):
        with pytest.raises(BadRequest, match=reason) as error:
            scenes_by(lake.snapshot, np.arange(1, 163), column)
        assert error.value.field == "scene"


def test_groups_of_near_identical_images_are_scenes_as_well(lake: Lake) -> None:
    made = lake.make_groups(bits=0, threshold=0.9999)
    lake = Lake.open(lake.folder, lake.embedder)
    found = scenes_by(lake.snapshot, np.arange(1, 163), "group")
    assert len(np.unique(found.of_row)) == 162 - made.to_json()["copies"]
    assert made.to_json()["copies"] > 0


def test_of_all_scenes_with_something_red_so_many_keep_it(lake: Lake) -> None:
    filter = reds(lake)
    plan = filter.plan(scene="sequence")
    assert plan.scenes is not None
    assert (plan.scenes.column, plan.scenes.scenes) == ("sequence", 82)
    assert plan.options == filter.plan().options
    assert filter.plan().scenes is None
    with pytest.raises(BadRequest, match="scenes are fixed when an audit is begun"):
        filter.next(5, "teach", scene="sequence")
    first = filter.next(5, "audit", scene="sequence")
    # Whole scenes, until there are five.
    assert len(first.rows) >= 5
    assert first.scenes is not None
    assert all(row.score is None for row in first.rows)
    filter.next(5, scene="sequence")
    with pytest.raises(BadRequest, match="scenes are fixed when an audit is begun"):
        filter.next(5, scene="site")
    assert filter.definition.scene == "sequence"
    progress = filter.progress().audit
    assert progress is not None
    assert (progress.scene, progress.answered, progress.rows) == ("sequence", 0, 162)
    assert (progress.recall_shown, progress.scenes_shown) == (None, None)
    refused = filter.apply()
    assert refused.refused is True
    assert "0.9 of the relevant scenes of sequence keep a relevant image" in refused.reason
    with pytest.raises(BadRequest, match="bounds no number of images"):
        filter.estimate()
    with pytest.raises(BadRequest, match="leave ask or scene out"):
        filter.apply(ask=True)
    with pytest.raises(BadRequest, match="leave assume or scene out"):
        filter.apply(assume="tail")
    answer_all(filter)
    labels = filter.labels.team().labels
    assert (labels.teach, labels.audit) == (6, labels.given - 6)
    progress = filter.progress().audit
    assert progress is not None
    assert (progress.holds, progress.scenes_shown) == (True, 0.9)
    applied = filter.apply()
    assert applied.refused is False
    sentence = "a relevant image kept of at least 0.9 of all relevant scenes (sequence), with confidence 0.95"
    assert applied.promise.sentence == sentence
    assert (applied.promise.recall, applied.promise.scenes) == (None, 0.9)
    assert not applied.promise.can_follow
    kept = set(filter.decided("keep")["row_id"].to_pylist())
    assert len(kept & REDS) >= 0.9 * RED
    assert applied.dropped > 0
    in_force = filter.decisions.in_force()
    assert in_force is not None
    assert in_force.smaller is not None
    assert "promises nothing of images, but of scenes of sequence" in in_force.smaller
    offers = filter.offers()
    assert offers.scene == "sequence"
    assert not any(each.own_audit for each in offers.tighter)
    report = filter.report()
    assert report.promise is not None
    assert report.promise.scenes == applied.measured["scenes"]
    assert report.misses is not None
    assert report.misses.promised is False
    assert report.people.wrong_answers.checks == ()
    assert f"promised: {sentence}" in summary(report)
    assert any(line.startswith("  82 scenes, about ") for line in summary(report))
    page = filter.report_page().decode()
    assert "all relevant scenes (<bdi>sequence</bdi>) keep a" in page
    assert "Nothing is promised of images." in page
    # It is what it was when it is read again, and a copy begins without it.
    again = Filters(lake).open("reds")
    assert again.standing() is not None
    assert again.progress().audit == filter.progress().audit
    copied = Filters(lake).copy("reds", "twin", labels=True)
    assert copied.definition.scene is None
    smaller = filter.apply(recall=0.5, confidence=0.5)
    assert smaller.refused is False
    assert smaller.promise.sentence.startswith("a relevant image kept of at least 0.5 of all")
    filter.next(5, "audit", again=True)
    assert filter.definition.scene is None


def test_a_damaged_scene_is_refused(lake: Lake) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from service.relevance.promise.scenes import SceneAudit

    filter = reds(lake)
    filter.next(5, "audit", scene="sequence")
    folder = lake.folder / "filters" / "reds" / "audits"
    audit = SceneAudit.load(folder, 1)
    assert audit.scenes == 82
    table = pq.read_table(folder / "000001.parquet")
    for wrong in (np.zeros(162, np.int64), np.arange(162), np.full(162, -1)):
        pq.write_table(
            table.set_column(table.column_names.index("of_scene"), "of_scene", pa.array(wrong)),
            folder / "000001.parquet",
        )
        with pytest.raises(LakeDamaged, match="its scenes are not those of the design"):
            SceneAudit.load(folder, 1)
    pq.write_table(table.drop_columns(["of_scene"]), folder / "000001.parquet")
    with pytest.raises(LakeDamaged):
        SceneAudit.load(folder, 1)


def test_what_is_said_of_a_scene_has_to_be_of_one_that_was_asked_about(lake: Lake) -> None:
    filter = reds(lake)
    with pytest.raises(BadRequest, match="no audit that draws scenes is in force"):
        filter.labels.none_of([1])
    asked = filter.next(5, "audit", scene="sequence")
    first = asked.rows[0].row_id
    with pytest.raises(BadRequest, match="did not ask about the scene of row 9999"):
        filter.labels.none_of([9999])
    filter.label([{"row_id": first, "label": "yes"}])
    with pytest.raises(BadRequest, match=f"has a yes, of row {first}: take that back first"):
        filter.labels.none_of([first])


def test_the_command_and_http_take_it(
    desk: Desk, lake: Lake, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from fastapi.testclient import TestClient

    from tests.service.api.conftest import HOST

    filter, folder = reds(lake), str(lake.folder)
    assert main(["filter", "plan", folder, "reds", "--scene", "sequence"]) == 0
    said = capsys.readouterr()
    assert "a promise of 82 scenes of sequence, each looked at once:" in said.err
    assert "scenes to look at" in said.out
    words = ["filter", "next", folder, "reds", "--purpose", "audit", "--scene", "sequence"]
    assert main([*words, "--every", "site"]) == 2
    assert "leave every or scene out" in capsys.readouterr().err
    assert main([*words, "-n", "1", "--json"]) == 0
    asked = json.loads(capsys.readouterr().out)
    row = asked["rows"][0]["row_id"]
    assert main([*words, "-n", "1"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].split() == ["scene", "row", "score", "p", "path"]
    assert said.out.splitlines()[1].split()[:2] == [str(asked["scenes"][0]), str(row)]
    assert "one yes answers a scene" in said.err
    label = ["filter", "label", folder, "reds"]
    table = tmp_path / "labels.csv"
    table.write_text("row_id,label\n")
    assert main([*label, str(table), "--none", str(row)]) == 2
    assert "leave the file out" in capsys.readouterr().err
    assert main(label) == 2
    assert "name a file with answers" in capsys.readouterr().err
    assert main([*label, "--none", str(row), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["saved"] == len(asked["rows"])
    assert "audit 1: 1 scene of sequence answered" in said.err
    answer_all(filter)
    assert main(["filter", "offers", folder, "reds"]) == 0
    assert "recall of scenes of sequence; labels are scenes looked at" in capsys.readouterr().err
    assert main(["filter", "apply", folder, "reds"]) == 0
    said = capsys.readouterr()
    assert "a relevant image kept of at least 0.9 of all relevant scenes (sequence)" in said.err
    assert "nothing is promised of images" in said.err
    assert main(["filter", "show", folder, "reds"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("scenes: column sequence, scenes 82, at_least 0.9") for line in lines
    )
    assert not any(line.startswith("recall:") for line in lines)
    app = create_app({"my": lake.folder}, ServeConfig(), embedder=desk.model)
    with TestClient(app, base_url=HOST) as client:
        url = "/v1/lakes/my/filters/reds"
        told = client.get(f"{url}/plan?scene=sequence").json()
        assert told["scenes"] == filter.plan(scene="sequence").to_json()["scenes"]
        body = {"n": 5, "scene": "site"}
        assert client.post(f"{url}/next", json=body).json()["error"]["field"] == "scene"
        body = {"n": 5, "purpose": "audit", "again": True, "scene": "sequence"}
        begun = client.post(f"{url}/next", json=body).json()
        assert begun["progress"]["audit"]["scene"] == "sequence"
        assert len(begun["scenes"]) == len(begun["rows"])
