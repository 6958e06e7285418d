"""A promise for every camera, on a lake of coloured images whose table says which took them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.errors import BadRequest
from service.api.app import create_app
from service.api.config import ServeConfig
from service.cli.main import main
from service.lake import Lake
from service.relevance import Filter, Filters, Prices, Target
from service.relevance.promise.every import MOST_GROUPS, grouped_by
from service.relevance.promise.groups import GroupFound
from service.relevance.reporting.summary import summary
from tests.lakes import Desk

REDS, OTHERS = 30, 90


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Rows 1 to 30 are reddish, 31 to 120 not; by turns of cam1, cam2 and none, each 40, with 10
    reddish ones. `shot` is of each image alone, `site` the same of all.
    """
    desk = Desk(tmp_path_factory.mktemp("cameras"))
    lines = ["uri,camera_name,shot,site,blur"]
    for number in range(REDS + OTHERS):
        is_red = number < REDS
        colour = (255, number * 3, 0) if is_red else (150 - number, 0, 160 + number - REDS)
        path = desk.add(f"{number:03d}.png", colour)
        camera = ("cam1", "cam2", "")[number % 3]
        lines.append(f"{path},{camera},s{number},here,0.{number}")
    table = desk.root / "columns.csv"
    table.write_text("\n".join(lines) + "\n")
    desk.index(columns=table)
    return desk


@pytest.fixture
def lake(desk: Desk, tmp_path: Path) -> Lake:
    import shutil

    shutil.copytree(desk.lake, tmp_path / "my.lake")
    return Lake.open(tmp_path / "my.lake", desk.model)


def answer(filter: Filter, rows: list[int]) -> None:
    filter.label([{"row_id": row, "label": "yes" if row <= REDS else "no"} for row in rows])


def reds(lake: Lake) -> Filter:
    filter = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
    answer(filter, [row.row_id for row in filter.next(10).rows])
    return filter


def test_each_value_is_a_group_and_so_are_rows_without_one(lake: Lake) -> None:
    row_ids = np.arange(1, 121)
    found = grouped_by(lake.snapshot, row_ids, "camera_name")
    assert found.names == ("cam1", "cam2", None)
    assert found.of_row.tolist() == [0, 1, 2] * 40
    assert grouped_by(lake.snapshot, row_ids[:2], "camera_name").names == ("cam1", "cam2")
    for column, reason in (
        ("shot", f"shot has 120 values, and at most {MOST_GROUPS} groups"),
        ("site", "all images have one value of site"),
        ("blur", "no names or whole numbers"),
        ("weather", "weather"),
    ):
        with pytest.raises(BadRequest, match=reason):
            grouped_by(lake.snapshot, row_ids, column)


def test_every_camera_keeps_its_share(lake: Lake) -> None:
    filter = reds(lake)
    plain, plan = filter.plan(), filter.plan(every="camera_name")
    assert (plain.groups, plan.groups) == (None, 3)
    pairs = zip(plan.options, plain.options, strict=True)
    assert all((one.labels or 0) >= (other.labels or 0) for one, other in pairs)
    with pytest.raises(BadRequest, match="groups are fixed when an audit is begun"):
        filter.next(5, "teach", every="camera_name")
    filter.next(5, "audit", every="camera_name")
    filter.next(5, every="camera_name")
    with pytest.raises(BadRequest, match="groups are fixed when an audit is begun"):
        filter.next(5, every="site")
    progress = filter.progress().audit
    assert progress is not None
    assert progress.every == "camera_name"
    assert [(group.name, group.rows) for group in progress.groups] == [
        ("cam1", 40),
        ("cam2", 40),
        (None, 40),
    ]
    refused = filter.apply()
    assert refused.refused is True
    assert "in every camera_name (open: cam1, cam2, (no value))" in refused.reason
    assert "cam1" in filter.report().to_json()["refusal"]["reason"]
    with pytest.raises(BadRequest, match="of all images together"):
        filter.estimate()
    while rows := filter.next(10).rows:
        answer(filter, [row.row_id for row in rows])
    progress = filter.progress().audit
    assert progress is not None
    assert progress.groups == tuple(
        GroupFound(name, 40, group.labels, holds=True)
        for name, group in zip(("cam1", "cam2", None), progress.groups, strict=True)
    )
    with pytest.raises(BadRequest, match="nothing assumed"):
        filter.apply(assume="tail")
    applied = filter.apply()
    assert applied.refused is False
    sentence = "recall at least 0.9 in every camera_name, with confidence 0.95"
    assert applied.promise.sentence == sentence
    kept = np.array(filter.decided("keep")["row_id"].to_pylist())
    for group in range(3):
        mine = [row for row in range(1, REDS + 1) if row % 3 == (group + 1) % 3]
        assert np.isin(mine, kept).mean() >= 0.9
    offers = filter.offers()
    assert offers.tighter == ()
    report = filter.report()
    assert report.promise is not None
    assert report.promise.every == applied.measured["every"]
    lines = summary(report)
    assert "promised: recall at least 0.9 in every camera_name, with confidence 0.95" in lines
    assert any(line.startswith("  (no value): 40 images, ") for line in lines)
    page = filter.report_page().decode()
    assert "<td><bdi>cam2</bdi></td><td>40</td>" in page
    # What is promised of a camera is not lost when the filter is read again.
    again = Filters(lake).open("reds")
    assert again.decisions.in_force() is not None
    assert again.standing() is not None


def test_a_smaller_promise_and_prices_go_with_groups(lake: Lake) -> None:
    filter, prices = reds(lake), Prices.of(None, None, 0.03)
    plan = filter.plan(prices, "camera_name")
    assert plan.costs is not None
    rows = filter.next(100, "audit", every="camera_name", prices=prices, budget=100).rows
    answer(filter, [row.row_id for row in rows])
    smaller = filter.apply(recall=0.5, confidence=0.5)
    assert smaller.refused is False
    assert smaller.promise.sentence.startswith("recall at least 0.5 in every camera_name")


def test_precision_is_not_promised_of_groups(lake: Lake) -> None:
    filter = Filters(lake).create("precise", keep_texts=["red"], target=Target(None, 0.9))
    for call in (filter.plan, filter.next):
        with pytest.raises(BadRequest, match="where recall alone is"):
            call(every="camera_name")


def test_the_command_and_http_take_it(
    desk: Desk, lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    from fastapi.testclient import TestClient

    from tests.service.api.conftest import HOST

    filter, folder = reds(lake), str(lake.folder)
    assert main(["filter", "plan", folder, "reds", "--every", "camera_name"]) == 0
    assert "in each of 3 groups of camera_name, which takes" in capsys.readouterr().err
    words = ["filter", "next", folder, "reds", "--purpose", "audit", "--every", "camera_name"]
    assert main(words) == 0
    assert "of 3 groups of camera_name, 0 hold by now" in capsys.readouterr().err
    app = create_app({"my": lake.folder}, ServeConfig(), embedder=desk.model)
    with TestClient(app, base_url=HOST) as client:
        url = "/v1/lakes/my/filters/reds"
        told = client.get(f"{url}/plan?every=camera_name").json()
        assert told == filter.plan(every="camera_name").to_json()
        body = {"n": 5, "every": "site"}
        assert client.post(f"{url}/next", json=body).json()["error"]["field"] == "every"
        body = {"n": 5, "every": "camera_name"}
        audit = client.post(f"{url}/next", json=body).json()["progress"]["audit"]
        assert [group["name"] for group in audit["groups"]] == ["cam1", "cam2", None]
