"""A lake's model is loaded if it is `builtin`, or the user named it here, or confirms it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from indexer import trust
from indexer.errors import ModelNotTrusted, ModelUnavailable
from service import Lake
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.cli.main import main
from tests.crafted import change_manifest
from tests.lakes import GREEN, RED, Desk
from tests.tiny_model import tiny_model
from training.model_files import write_model_folder


@pytest.fixture
def desk(tmp_path: Path, nothing_named: None) -> Desk:
    """A lake of a model in a folder, named with `index --model`."""
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    desk.add("b.png", GREEN)
    write_model_folder(tmp_path / "my.model", tiny_model())
    model = f"builtin@{tmp_path / 'my.model'}"
    command = ["index", str(desk.photos), "--into", str(desk.lake), "--model", model]
    assert main([*command, "--decoders", "1"]) == 0
    return desk


@pytest.fixture
def stranger(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The same lake on the machine of somebody who never named its model."""
    monkeypatch.setenv("LAKESIFT_STATE", str(desk.root / "another"))
    monkeypatch.setattr(trust, "_named", {"models": set(), "sites": set()})
    return desk


def sentence(desk: Desk) -> str:
    return (
        f"model builtin@{desk.root}/my.model: only the lake {desk.lake} names it, and nobody did on this machine, "
        "so it is not loaded; if you trust whoever made the lake, say --trust-model (LAKESIFT_TRUST_MODEL=1, "
        "Lake.open(..., trust_model=True))"
    )


def test_a_model_that_was_named_is_loaded_from_then_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "_named", {"models": set(), "sites": set()})  # another process
    with Lake.open(desk.lake) as lake:
        assert [hit.row_id for hit in lake.search("a red cat", k=9)] in ([1, 2], [2, 1])


def test_a_model_that_only_the_lake_names_is_not_loaded(
    stranger: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, said = str(stranger.lake), f"lakesift: {sentence(stranger)}\n"
    stranger.add("c.png", (9, 9, 9))
    for command in (
        ["search", lake, "a cat"],
        ["sync", lake, "--decoders", "1"],
        ["filter", "new", lake, "cats", "--keep", "a cat"],
    ):
        capsys.readouterr()
        assert main(command) == 1
        assert capsys.readouterr().err == said
    capsys.readouterr()
    assert main(["doctor", lake]) == 1
    assert f"BAD  model: {sentence(stranger)}\n" in capsys.readouterr().out
    assert main(["info", lake]) == 0
    assert sentence(stranger) in capsys.readouterr().out
    # What needs no model goes on.
    assert main(["search", lake, "--row", "1", "--paths"]) == 0
    assert capsys.readouterr().out == f"{stranger.photos}/a.png\n{stranger.photos}/b.png\n"


def test_confirmed_once_it_is_remembered(stranger: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["search", str(stranger.lake), "a cat", "--trust-model"]) == 0
    monkeypatch.setattr(trust, "_named", {"models": set(), "sites": set()})
    assert main(["search", str(stranger.lake), "a cat"]) == 0


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_it_is_confirmed_in_python_and_by_the_environment(
    stranger: Desk, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lake.open(stranger.lake) as lake, pytest.raises(ModelNotTrusted) as caught:
        lake.search("a cat")
    assert str(caught.value) == sentence(stranger)
    if how == "variable":
        monkeypatch.setenv("LAKESIFT_TRUST_MODEL", "1")
    with Lake.open(stranger.lake, trust_model=how == "argument") as lake:
        assert len(lake.search("a cat")) == 2


def test_the_service_says_so_and_serves_what_needs_no_model(stranger: Desk) -> None:
    keys = KeyStore(stranger.root / "keys")
    for config, status in ((ServeConfig(), 503), (ServeConfig(trust_model=True), 200)):
        app = create_app({"my": stranger.lake}, config, keys=keys)
        with TestClient(app, base_url="http://127.0.0.1:8377") as client:
            by_text = client.post("/v1/search", json={"texts": ["a cat"]})
            assert by_text.status_code == status
            assert client.post("/v1/search", json={"images": [1]}).status_code == 200
            if status == 503:
                assert by_text.json()["error"]["code"] == "model_not_trusted"
                (told,) = client.get("/v1/lakes").json()["lakes"][0]["problems"]
                assert told == f"no search by text or upload: {sentence(stranger)}"


def test_builtin_needs_no_confirming_and_a_name_that_is_none_cannot_be_confirmed(
    stranger: Desk,
) -> None:
    change_manifest(
        stranger.lake, lambda body: body.update(model_id="open_clip:../../evil@/x\x1b[2J")
    )
    with Lake.open(stranger.lake) as lake, pytest.raises(ModelUnavailable):
        lake.search("a cat")
    change_manifest(stranger.lake, lambda body: body.update(model_id=" builtin"))
    with Lake.open(stranger.lake) as lake, pytest.raises(Exception, match="was built with"):
        lake.search("a cat")
