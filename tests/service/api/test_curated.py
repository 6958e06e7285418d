"""Groups of near-identical images over HTTP. Rows 1 to 4 are blue, green, red (8 x 4 px) and
yellow; 5 and 6 are nearly red.
"""

from __future__ import annotations

from fastapi.testclient import TestClient

from service.lake import Lake
from tests.lakes import Desk

GROUPS = "/v1/lakes/my/groups"


def test_groups_are_listed_asked_for_and_their_copies_tagged(
    desk: Desk, client: TestClient
) -> None:
    nothing = client.get(GROUPS).json()
    assert (nothing["made"], nothing["groups"], nothing["next_offset"]) == (None, [], None)
    refused = client.get("/v1/lakes/my/rows", params={"where": "is_best"})
    assert refused.status_code == 422 and "has none yet" in refused.json()["error"]["message"]
    desk.add("e-red.png", (254, 0, 0))
    desk.add("f-red.png", (253, 0, 0), size=(6, 4))
    desk.add("g-green.png", (0, 254, 0))
    desk.sync()
    with Lake.open(desk.lake, desk.model) as lake:
        lake.make_groups()
    client.app.state.hub.lake("my").lake.reload()  # type: ignore[attr-defined]
    page = client.get(GROUPS, params={"k": 1}).json()
    # 3 has most pixels; nobody measured sharpness of pictures so small
    assert page["groups"] == [
        {"group": 3, "size": 3, "row_ids": [3, 6, 5], "others": "group = 3 AND NOT is_best"}
    ]
    made = page["made"]
    assert (made["rows"], made["groups"], made["copies"], made["since"]) == (7, 2, 3, 0)
    assert made["others"] == "NOT is_best"
    assert (made["bits"], made["threshold"], page["next_offset"]) == (8, 0.5, 1)
    (last,) = client.get(GROUPS, params={"offset": 1}).json()["groups"]
    assert sorted(last["row_ids"]) == [2, 7]
    columns = client.get("/v1/lakes/my/columns").json()["columns"]
    unstored = [each["name"] for each in columns if not each["stored"]]
    assert unstored == ["group", "group_size", "is_best"]
    tagged = client.post(
        "/v1/lakes/my/tags", json={"name": "copy", "where": "group = 3 AND NOT is_best"}
    )
    assert tagged.json()["rows"] == 2
    desk.add("h-blue.png", (0, 0, 254))
    desk.sync()
    client.app.state.hub.lake("my").lake.reload()  # type: ignore[attr-defined]
    assert client.get(GROUPS).json()["made"]["since"] == 1
    assert client.get(GROUPS, params={"k": 201}).status_code == 422
