"""From a model's name to open_clip's model and tokenizer, weights loaded, in fp32 on the CPU.

Weights files are read as data: no code that one carries is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer

from indexer.embed.catalog import FOLDER, RANDOM, ModelName
from indexer.embed.weights import CONFIG, find_weights, network_off, offline_if_possible, tag_config
from indexer.errors import LakeError, ModelUnavailable

Tokenizer = Callable[[list[str]], torch.Tensor]  # n texts -> (n, context length), int64

SUFFIXES = (".safetensors", ".bin", ".pth")  # where open_clip looks in a folder
PREPROCESSING = ("mean", "std", "interpolation", "resize_mode", "fill_color")


def settle(name: ModelName) -> ModelName:
    """The architecture these weights were trained with:
    OpenAI's and some others need QuickGELU activations.

    open_clip only warns when ViT-B-32/openai is built with GELU, and its vectors are then off; the
    right one is ViT-B-32-quickgelu/openai, so both names mean that.
    """
    if name.tag in (None, RANDOM) or not tag_config(name).get("quick_gelu"):
        return name
    quick = f"{name.architecture}-quickgelu"
    return replace(name, architecture=quick) if quick in open_clip.list_models() else name


def build_model(name: ModelName) -> torch.nn.Module:
    """The model in fp32 on the CPU, weights loaded.

    :raises ModelUnavailable: if a file is missing, unreadable, of another architecture, or needs
        code to be run.
    """
    if name.tag == RANDOM:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return _create(name, Path(), {"pretrained_text": False})
    if name.architecture.startswith(FOLDER):
        model_config(name)
        folder = Path(name.architecture.removeprefix(FOLDER))
        if not any(file.suffix in SUFFIXES for file in folder.glob("*")):
            raise ModelUnavailable(
                str(name), f"{folder} holds no weights file ({', '.join(SUFFIXES)})"
            )
        return _create(name, folder, {"require_pretrained": True})
    path = find_weights(name)
    # hf-hub: both its files are in the hub's cache now
    if name.weights is None and name.tag is None:
        return _create(name, path, {"require_pretrained": True})
    options: dict[str, Any] = {"pretrained": str(path), **_text_tower_beside(name)}
    if name.tag is not None:
        known = tag_config(name)
        options["force_preprocess_cfg"] = {key: known.get(key) for key in PREPROCESSING}
    return _create(name, path, options)


def _create(name: ModelName, path: Path, options: Mapping[str, Any]) -> torch.nn.Module:
    text = model_config(name)["text_cfg"]
    if (text.get("hf_tokenizer_name") or text.get("hf_model_name")) and find_spec(
        "transformers"
    ) is None:
        raise ModelUnavailable(
            str(name), "its text side runs on transformers; pip install transformers sentencepiece"
        )

    def create() -> torch.nn.Module:
        model: torch.nn.Module = open_clip.create_model(
            name.architecture, weights_only=True, **options
        )
        return model

    try:
        if text.get("hf_model_name"):
            return offline_if_possible(name, create)
        with network_off():
            return create()
    except LakeError:
        raise
    # the edge: a stranger's file may make torch's readers raise anything
    except Exception as error:
        raise ModelUnavailable(str(name), _why_not_loaded(path, name, error)) from error


def _why_not_loaded(path: Path, name: ModelName, error: Exception) -> str:
    text = str(error)
    shapes = re.search(
        r"size mismatch for (\S+): .*?torch\.Size\((\[.*?\])\).*?torch\.Size\((\[.*?\])\)",
        text,
        re.S,
    )
    if shapes:
        part, found, wanted = shapes.groups()
        return f"{path} is not a {name.architecture}: its {part} is {found}, the architecture's {wanted}"
    keys = re.search(r"(Missing|Unexpected) key\(s\) in state_dict: \"(.+?)\"", text)
    if keys:
        kind = "lacks" if keys[1] == "Missing" else "has an unknown"
        return f"{path} is not a {name.architecture}: it {kind} {keys[2]}"
    code = re.search(
        r"unsupported global(?:: global)? ([\w.]+)", text, re.IGNORECASE
    )  # what weights_only refused
    if code or "TorchScript" in text:
        what = code[1] if code else "TorchScript"
        return f"{path} holds code ({what}), which is not run; save its state_dict alone, as .safetensors"
    return f"{path} is not a whole file of weights"


def model_config(name: ModelName) -> Mapping[str, Any]:
    """open_clip's description of the architecture: embed_dim, vision_cfg, text_cfg.

    :raises ModelUnavailable: if a folder's or a repository's open_clip_config.json is missing or
        not one.
    """
    try:
        with network_off():
            config: Mapping[str, Any] = open_clip.get_model_config(name.architecture)
        config["embed_dim"], config["vision_cfg"], config["text_cfg"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        where = name.architecture.removeprefix(FOLDER)
        raise ModelUnavailable(
            str(name), f"{where} has no {CONFIG} that describes a model"
        ) from error
    return config


def _text_tower_beside(name: ModelName) -> dict[str, Any]:
    """Options that make open_clip read a Hugging Face text tower's
    config.json from the weights' own folder.
    """
    text: Mapping[str, Any] = model_config(name)["text_cfg"]
    if (
        name.weights is None
        or "hf_model_name" not in text
        or not (name.weights.parent / "config.json").is_file()
    ):
        return {}
    return {
        "text_cfg": {
            **text,
            "hf_model_name": str(name.weights.parent),
            "hf_model_pretrained": False,
        }
    }


def load_tokenizer(name: ModelName) -> Tokenizer:
    """open_clip's tokenizer for this model; a Hugging Face one may lie beside the weights file.

    :raises ModelUnavailable: if it comes from the hub, is not on this disk, and cannot be fetched.
    """
    tokenizer: Tokenizer = offline_if_possible(name, lambda: _tokenizer(name))
    return tokenizer


def _tokenizer(name: ModelName) -> Any:
    text: Mapping[str, Any] = model_config(name)["text_cfg"]
    folder = name.weights.parent if name.weights is not None else None
    if (
        not text.get("hf_tokenizer_name")
        or folder is None
        or not (folder / "tokenizer.json").is_file()
    ):
        return open_clip.get_tokenizer(name.architecture)
    return HFTokenizer(
        str(folder),
        context_length=text.get("context_length", DEFAULT_CONTEXT_LENGTH),
        tokenizer_mode=text.get("tokenizer_mode"),
        **text.get("tokenizer_kwargs", {}),
    )
