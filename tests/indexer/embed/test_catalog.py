"""Names of models: every spelling means one model, every mistake gets one sentence."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from indexer.embed import models
from indexer.embed.catalog import ModelName
from indexer.embed.models import load_embedder
from indexer.errors import BadRequest, ModelUnavailable


@pytest.mark.parametrize(
    "spelling",
    [
        "open_clip:ViT-B-32/laion2b_s34b_b79k",
        "open_clip:ViT-B-32::laion2b_s34b_b79k",
        "ViT-B-32::laion2b_s34b_b79k",
        "ViT-B-32__laion2b-s34b-b79k",
        "ViT-B/32::laion2b_s34b_b79k",
        "open_clip:ViT-B/32/laion2b_s34b_b79k",
        "vit-b-32/LAION2B-s34b-b79k",
        "  ViT-B-32/laion2b_s34b_b79k\n",
    ],
)
def test_all_spellings_are_one_model(spelling: str) -> None:
    name = ModelName.parse(spelling)
    assert name == ModelName("ViT-B-32", tag="laion2b_s34b_b79k")
    assert str(name) == "open_clip:ViT-B-32/laion2b_s34b_b79k"


@pytest.mark.parametrize(
    ("spelling", "written"),
    [
        ("builtin", "builtin"),
        ("builtin@/models/a@b.model", "builtin@/models/a@b.model"),
        (
            "open_clip:ViT-B-32@/models/my::odd__name.pt",
            "open_clip:ViT-B-32@/models/my::odd__name.pt",
        ),
        ("ViT-B-32@random", "open_clip:ViT-B-32/random"),
        ("hf-hub:timm/ViT-B-16-SigLIP", "open_clip:hf-hub:timm/ViT-B-16-SigLIP"),
        ("open_clip:hf-hub:timm/ViT-B-16-SigLIP/", "open_clip:hf-hub:timm/ViT-B-16-SigLIP"),
        ("local-dir:/models/mine", "open_clip:local-dir:/models/mine"),
    ],
)
def test_what_is_written_parses_to_the_same(spelling: str, written: str) -> None:
    name = ModelName.parse(spelling)
    assert str(name) == written
    assert ModelName.parse(written) == name


def test_a_relative_weights_path_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ModelName.parse("ViT-B-32@w.pt").weights == tmp_path / "w.pt"
    assert str(ModelName.parse("builtin@my.model")) == f"builtin@{tmp_path}/my.model"
    monkeypatch.setenv("HOME", "/home/someone")
    assert ModelName.parse("ViT-B-32@~/w.pt").weights == Path("/home/someone/w.pt")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "bultin",
            "model: there is no model 'bultin'; did you mean 'builtin'? (see: lakesift models)",
        ),
        ("", "model: there is no model '' (see: lakesift models)"),
        (
            "ViT-B-33/openai",
            "model: open_clip has no architecture 'ViT-B-33'; did you mean 'ViT-B-32'?",
        ),
        ("open_clip:zzz/openai", "model: open_clip has no architecture 'zzz'"),
        (
            "vit-b-32",
            "model: 'vit-b-32' names no weights; write open_clip:ViT-B-32/TAG or "
            "open_clip:ViT-B-32@/path/to/weights (see: lakesift models)",
        ),
        (
            "ViT-B-32@",
            "model: 'ViT-B-32@' names no weights; write open_clip:ViT-B-32/TAG or "
            "open_clip:ViT-B-32@/path/to/weights (see: lakesift models)",
        ),
        (
            "builtin@",
            "model: 'builtin@' names no folder; write builtin@/path/to/my.model, or builtin alone",
        ),
        ("hf-hub:timm", "model: 'hf-hub:timm' is not of the form open_clip:hf-hub:ORG/REPO"),
        ("local-dir:", "model: 'local-dir:' names no path"),
    ],
)
def test_a_wrong_name_gets_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadRequest) as error:
        ModelName.parse(text)
    assert str(error.value) == sentence


def test_an_unknown_precision_gets_one_sentence() -> None:
    with pytest.raises(BadRequest) as error:
        load_embedder("ViT-B-32@random", precision="int4")
    assert str(error.value) == "precision: 'int4' is not one of fp32, bf16, fp16, int8"


def test_without_the_extra_a_model_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_found(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(models, "find_spec", nothing_found)
    monkeypatch.delitem(sys.modules, "open_clip", raising=False)
    with pytest.raises(ModelUnavailable) as error:
        load_embedder("open_clip:ViT-B-32/openai")
    assert str(error.value) == (
        "model open_clip:ViT-B-32/openai: the packages it runs on are not installed; pip install 'lakesift[open-clip]'"
    )
    assert [model.name for model in models.list_models()] == ["builtin"]


def test_builtin_and_parsing_import_no_torch() -> None:
    code = (
        "import sys\n"
        "from indexer.embed.catalog import ModelName; from indexer.embed.models import list_models, load_embedder\n"
        "assert load_embedder('builtin').model_id == 'builtin'\n"
        "assert str(ModelName.parse('ViT-B-32::openai')) == 'open_clip:ViT-B-32/openai'\n"
        "assert next(list_models()).name == 'builtin'\n"
        "print('torch' in sys.modules or 'open_clip' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_builtin_is_listed_first_then_open_clips() -> None:
    listed = [model.name for model in models.list_models()]
    assert listed[0] == "builtin"
    assert "open_clip:ViT-B-32/laion2b_s34b_b79k" in listed
    assert len(listed) > 100
