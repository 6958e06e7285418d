"""A small open_clip architecture with random weights, in files, and a network that refuses."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="session")
def tiny_architecture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Known to open_clip from here on, as lakesift-tiny."""
    open_clip = pytest.importorskip("open_clip")
    path = tmp_path_factory.mktemp("architectures") / "lakesift-tiny.json"
    path.write_text(json.dumps(TINY))
    open_clip.add_model_config(path)
    return "lakesift-tiny"


@pytest.fixture(scope="session")
def tiny_model(tiny_architecture: str) -> Any:
    """open_clip's own model object, seed 7, in evaluation mode: the truth to compare with."""
    import open_clip
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = open_clip.create_model(tiny_architecture)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_weights(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    path = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save(tiny_model.state_dict(), path)
    return path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every attempt to reach a host fails as on an offline machine, and is listed."""
    attempts: list[str] = []

    def refuse(*arguments: Any, **options: Any) -> None:
        attempts.append(str(arguments))
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield attempts
