"""A lake of six photos, and the address of its copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.indexer.sources.faulty import Faults, faulty
from tests.lakes import Desk


@pytest.fixture
def url(bucket: tuple[str, Any]) -> str:
    return f"s3://{bucket[0]}/lakes/my.lake"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Six photos in a lake."""
    desk = Desk(tmp_path / "here")
    for number in range(6):
        desk.add(f"{number}.png", (255, number * 20, 0))
    desk.index()
    return desk


@pytest.fixture
def faults(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """A proxy before the store, without faults as long as none is set."""
    with faulty(s3_server) as faults:
        monkeypatch.setenv("AWS_ENDPOINT_URL", faults.url)
        yield faults
