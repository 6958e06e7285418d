"""The package that programs import: its names, and that it loads nothing before one is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import lakesift

HEAVY = ("numpy", "faiss", "pyarrow", "duckdb", "onnxruntime", "PIL", "sklearn", "fastapi")
ASK = f"""
import sys
{{code}}
print(*sorted(name for name in {HEAVY!r} if name in sys.modules))
"""


def loaded_by(code: str) -> list[str]:
    command = [sys.executable, "-c", ASK.format(code=code)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return run.stdout.split()


def test_importing_it_loads_nothing_heavy() -> None:
    assert loaded_by("import lakesift; dir(lakesift); hasattr(lakesift, 'nothing')") == []
    assert "faiss" in loaded_by("from lakesift import Lake")


def test_every_name_is_the_thing_itself() -> None:
    from indexer.sync import sync
    from service.lake import Lake
    from service.relevance.definition import Target
    from service.relevance.filters import Filters
    from service.search.query import Query

    assert lakesift.Lake is Lake
    assert lakesift.Query is Query
    assert lakesift.Filters is Filters
    assert lakesift.Target is Target
    assert lakesift.sync is sync
    for name in lakesift.__all__:
        assert getattr(lakesift, name) is not None
        assert name in dir(lakesift)
    assert list(lakesift.__all__) == sorted(lakesift.__all__)


def test_type_checkers_are_told_of_the_same_names() -> None:
    """Both lists are written out by hand; a name in one alone would be Any, or missing."""
    tree = ast.parse(inspect.getsource(lakesift))
    (told,) = [node for node in tree.body if isinstance(node, ast.If)]
    homes = {
        alias.name: node.module
        for node in told.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes == lakesift._HOMES
    assert {*homes, "__version__"} == set(lakesift.__all__)
    assert (Path(inspect.getfile(lakesift)).parent / "py.typed").exists()


def test_its_version_is_that_of_the_install() -> None:
    assert lakesift.__version__ == version("lakesift")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lake", "; did you mean Lake?"),
        ("Filtres", "; did you mean Filters?"),
        ("zzz", f"; it has {', '.join(lakesift.__all__)}"),
    ],
)
def test_an_unknown_name_is_an_attribute_error_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(AttributeError) as raised:
        getattr(lakesift, name)
    assert str(raised.value) == f"module 'lakesift' has no attribute {name!r}{hint}"
    with pytest.raises(ImportError):
        exec(f"from lakesift import {name}")
