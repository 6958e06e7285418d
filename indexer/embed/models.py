"""Loads a model by its name, and lists those there are.
Imports no model's packages before one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from indexer.embed import Embedder
from indexer.embed.catalog import BUILTIN, PRECISIONS, ModelName
from indexer.embed.runtime import let_torch_sleep
from indexer.errors import BadRequest, ModelUnavailable
from indexer.trust import remember


def load_embedder(
    name: str,
    precision: str | None = None,
    device: str | None = None,
    *,
    remembered: bool = True,
) -> Embedder:
    """The model of that name, ready to embed.

    That the user named it is remembered on this machine: a lake that names it may have it loaded.

    :param precision: "fp32", "bf16", "fp16" or "int8"; None: the fastest that this machine has
        whose vectors are comparable to fp32's. A lake whose fingerprint says precision "int8" needs
        "int8".
    :param device: "cpu", "cuda", "cuda:1", "mps"; None: the best there is.
    :param remembered: False: that it was named is not, as where another machine asks for it.
    :raises BadRequest: if the name, the precision or the device is not understood.
    :raises ModelUnavailable: if its packages or its weights are not on this machine and cannot be
        fetched.
    """
    embedder = _load(name, precision, device)
    if remembered and name.strip() != BUILTIN:
        remember("models", [embedder.model_id])
    return embedder


def _load(name: str, precision: str | None, device: str | None) -> Embedder:
    parsed = ModelName.parse(name)
    if precision is not None and precision not in PRECISIONS:
        raise BadRequest("precision", f"{precision!r} is not one of {', '.join(PRECISIONS)}")
    if parsed.architecture == BUILTIN:
        from indexer.embed.builtin import BuiltinEmbedder

        return BuiltinEmbedder(parsed.weights)
    if find_spec("open_clip") is None or find_spec("torch") is None:
        raise ModelUnavailable(name, f"the packages it runs on are not installed; {INSTALL}")
    let_torch_sleep()
    from indexer.embed.open_clip import OpenClipEmbedder

    return OpenClipEmbedder.load(parsed, precision, device)


def list_models() -> Iterator[ListedModel]:
    """Every model that has a name: builtin,
    then open_clip's where it is installed. Touches no network.
    """
    yield ListedModel(BUILTIN, on_disk=True)
    if find_spec("open_clip") is None or find_spec("torch") is None:
        return
    import open_clip

    from indexer.embed.weights import weights_on_disk

    for architecture, tag in open_clip.list_pretrained():
        name = ModelName(architecture, tag)
        yield ListedModel(str(name), on_disk=weights_on_disk(name) is not None)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One line of `lakesift models`."""

    name: str  # what to type after --model
    on_disk: bool  # True: loads without a network


INSTALL = "pip install 'lakesift[open-clip]'"
