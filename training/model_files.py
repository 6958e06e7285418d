"""Model folders, written from float arrays and read back to them."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from indexer.embed.model_folder import (
    DESCRIPTION,
    FORMAT,
    IMAGE_TOWER,
    TEXT_TOWER,
    TOKENIZER,
    ModelFolder,
)
from indexer.errors import BadRequest
from training.arrays import ModelArrays
from training.graphs import image_graph, read_image_graph, read_text_graph, text_graph


def write_model_folder(
    folder: Path,
    model: ModelArrays,
    documents: Mapping[str, str] | None = None,
    *,
    in_4_bits: bool = False,
) -> None:
    """Write a folder that `builtin@FOLDER` takes; it appears whole, under its name, or not at all.

    :param folder: must not be there yet, or be empty; the folder that it goes into must be there.
    :param documents: other files to put beside, such as MODEL_CARD.md, LICENSE and NOTICE, by name.
    :raises BadRequest: if the folder is there, or cannot be written.
    """
    files = {
        IMAGE_TOWER: image_graph(model.image),
        TEXT_TOWER: text_graph(model.text, in_4_bits=in_4_bits),
        TOKENIZER: model.tokenizer,
    }
    contents = files | {name: text.encode() for name, text in (documents or {}).items()}
    contents[DESCRIPTION] = _description(model, files)
    beside = folder.parent / f".{folder.name}.{uuid.uuid4().hex}.tmp"
    refuse_used(folder)
    try:
        beside.mkdir()
        for name, content in contents.items():
            (beside / name).write_bytes(content)
        beside.rename(folder)
    except OSError as error:
        raise BadRequest("out", f"{folder} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def refuse_used(folder: Path) -> None:
    """:raises BadRequest: if the folder is there and is not an empty one."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BadRequest("out", f"{folder} is there already; name another, or move it away")


def read_arrays(folder: Path) -> ModelArrays:
    """The arrays of a model folder, float32, to train on from.
    What was stored in 8 bits is what is computed with.

    :raises ModelUnavailable: if it is no model folder, is damaged, or its towers were not made by
        lakesift.
    """
    path = folder.expanduser().absolute()
    opened = ModelFolder.open(path, f"builtin@{path}", "`lakesift train` writes one")
    image, text = opened.read(IMAGE_TOWER), opened.read(TEXT_TOWER)
    try:
        image_arrays = read_image_graph(image)
    except ValueError as error:
        raise opened.damaged(IMAGE_TOWER, f"cannot be trained on ({error})") from error
    try:
        text_arrays = read_text_graph(text)
    except ValueError as error:
        raise opened.damaged(TEXT_TOWER, f"cannot be trained on ({error})") from error
    return ModelArrays(
        opened.name, image_arrays, text_arrays, opened.read(TOKENIZER), opened.most_tokens
    )


def _description(model: ModelArrays, files: Mapping[str, bytes]) -> bytes:
    """:raises ValueError: if both towers' vectors are not of one width."""
    heads = model.image.head, model.text.head
    widths = {len(head.layers[-1].bias) for head in heads if head is not None}
    if len(widths) != 1 or None in heads:
        raise ValueError("both towers need a head, of one width")
    facts = {
        "format": FORMAT,
        "name": model.name,
        "dim": widths.pop(),
        "side_px": model.image.variant.side_px,
        "most_tokens": model.most_tokens,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    return json.dumps(facts, indent=2).encode() + b"\n"
