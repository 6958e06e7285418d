"""Who answered: where keys are asked for, the key's name and no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.lake import Lake
from service.relevance import Filters
from tests.lakes import Desk
from tests.service.api.conftest import HOST

REDS = "/v1/lakes/my/filters/reds"


@pytest.fixture
def reds(desk: Desk) -> Desk:
    with Lake.open(desk.lake, desk.model) as lake:
        Filters(lake).create("reds", keep_texts=["red"])
    return desk


def labellers(desk: Desk) -> dict[int, dict[str, str]]:
    with Lake.open(desk.lake, desk.model) as lake:
        answers = Filters(lake).open("reds").answers()
    return {row: dict(answer.labellers) for row, answer in answers.items()}


@contextmanager
def signed(desk: Desk, state: Path, *, require_key: bool) -> Iterator[dict[str, TestClient]]:
    """A client each for the keys ann and ben, and one without a key."""
    keys = KeyStore(state)
    config = ServeConfig(require_key=require_key)
    app = create_app({"my": desk.lake}, config, embedder=desk.model, keys=keys)
    with TestClient(app, base_url=HOST) as nobody:
        clients = {"": nobody}
        for name in ("ann", "ben"):
            secret = keys.add(name, "label")[1]
            clients[name] = TestClient(app, base_url=HOST, headers={"X-API-Key": secret})
        yield clients


def answer(row_id: int, label: str, **more: Any) -> dict[str, Any]:
    return {"labels": [{"row_id": row_id, "label": label, **more}]}


def test_answers_are_saved_under_the_key_s_name(reds: Desk, tmp_path: Path) -> None:
    with signed(reds, tmp_path / "state", require_key=True) as clients:
        for sent in (answer(1, "no"), answer(2, "no", labeller="ann")):
            assert clients["ann"].post(f"{REDS}/label", json=sent).status_code == 200
        unnamed = answer(3, "yes", labeller="unnamed")  # as pages say who were told no name
        assert clients["ben"].post(f"{REDS}/label", json=unnamed).status_code == 200
        assert clients["ben"].get("/v1/session").json()["name"] == "ben"
    assert labellers(reds) == {1: {"ann": "no"}, 2: {"ann": "no"}, 3: {"ben": "yes"}}


def test_answers_in_another_s_name_are_refused_whole(reds: Desk, tmp_path: Path) -> None:
    both = {"labels": [*answer(1, "no")["labels"], *answer(2, "no", labeller="ben")["labels"]]}
    with signed(reds, tmp_path / "state", require_key=True) as clients:
        refused = clients["ann"].post(f"{REDS}/label", json=both)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "labeller_not_yours")
        assert refused.json()["error"]["message"] == (
            "answers with this key are ann's, and these are said to be ben's; leave labeller out, "
            "or let each person answer with a key of their own: lakesift key add NAME --scope label"
        )
    assert labellers(reds) == {}


def test_only_one_s_own_answers_are_taken_back(reds: Desk, tmp_path: Path) -> None:
    with signed(reds, tmp_path / "state", require_key=True) as clients:
        clients["ann"].post(f"{REDS}/label", json=answer(1, "no"))
        clients["ben"].post(f"{REDS}/label", json=answer(1, "yes"))
        other = clients["ann"].post(f"{REDS}/undo", json={"labeller": "ben"})
        assert (other.status_code, other.json()["error"]["code"]) == (403, "labeller_not_yours")
        # The last answer of all is ben's; what ann takes back is hers.
        theirs = clients["ann"].post(f"{REDS}/undo", json={"seqs": [2]})
        assert theirs.status_code == 409
        assert "answer 2 is of ben, who alone takes it back" in theirs.text
        undone = clients["ann"].post(f"{REDS}/undo", json={}).json()["undone"]
        assert (undone["row_id"], undone["label"], undone["labeller"]) == (1, "no", "ann")
    assert labellers(reds) == {1: {"ben": "yes"}}


def test_without_keys_names_are_as_they_are_said(reds: Desk, tmp_path: Path) -> None:
    with signed(reds, tmp_path / "state", require_key=False) as clients:
        for client, name in (("", "cleo"), ("ann", "dora")):
            sent = answer(1, "no", labeller=name)
            assert clients[client].post(f"{REDS}/label", json=sent).status_code == 200
        assert clients[""].post(f"{REDS}/undo", json={"labeller": "dora"}).status_code == 200
    assert labellers(reds) == {1: {"cleo": "no"}}


def test_images_are_kept_for_the_key_s_name_and_no_other(reds: Desk, tmp_path: Path) -> None:
    with signed(reds, tmp_path / "state", require_key=True) as clients:
        for who, asked, count in (("ann", 2, 2), ("ben", 9, 2)):  # of four
            found = clients[who].post(f"{REDS}/next", json={"n": asked, "labeller": who}).json()
            assert len(found["rows"]) == count
        refused = clients["ann"].post(f"{REDS}/next", json={"labeller": "ben"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "labeller_not_yours")
