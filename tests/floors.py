"""The oldest versions that pyproject.toml allows, a line each: what `make audit` asks about.

python -m tests.floors
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def requirements() -> list[Requirement]:
    """Of the package and all its extras; none of the package itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    found = map(Requirement, dict.fromkeys(lines))
    return [each for each in found if each.name != project["name"]]


def floor(requirement: Requirement) -> str | None:
    """The oldest version that it allows; None where it names none."""
    named = [each.version for each in requirement.specifier if each.operator in (">=", "==")]
    return named[0] if named else None


if __name__ == "__main__":
    for required in requirements():
        if oldest := floor(required):
            print(f"{required.name}=={oldest}")
