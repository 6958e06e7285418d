"""A lake and its model: loading the one its manifest names, refusing any other."""

from __future__ import annotations

import re
from collections.abc import Mapping

from indexer.embed import Embedder
from indexer.embed.catalog import load_embedder
from indexer.errors import BadRequest, ModelUnavailable, WrongModel
from indexer.manifest import Manifest

WAY_OUT = (
    "use the model it was built with, or make a new lake: `lakesift index --sources-of` takes its sources there, "
    "`lakesift filter copy --into` its filters and labels"
)
_SHA256 = re.compile("[0-9a-f]{64}")
DIGEST_SHOWN = 12  # digits of a hash that tell two models apart


def load_model_of(manifest: Manifest, *, precision: str | None = None, device: str | None = None) -> Embedder:
    """The model a lake was built with.

    :param precision: None: int8 where the lake says so, else the fastest comparable one of this machine.
    :raises ModelUnavailable: if it cannot be loaded here.
    """
    if precision is None and manifest.fingerprint["precision"] == "int8":
        precision = "int8"
    try:
        return load_embedder(manifest.model_id, precision=precision, device=device)
    except BadRequest as error:  # nobody typed this name just now: it is the lake's
        raise ModelUnavailable(manifest.model_id, error.reason) from None


def check_model(lake: str, manifest: Manifest, embedder: Embedder) -> None:
    """:raises WrongModel: naming what differs, if the embedder's vectors are not comparable with the lake's."""
    theirs, ours = manifest.fingerprint, embedder.fingerprint
    if theirs == ours:
        return
    expected, found = what_differs(theirs, ours)
    expected, found = f"{manifest.model_id} ({expected})", f"{embedder.model_id} ({found})"
    raise WrongModel(lake, expected, found, WAY_OUT)


def what_differs(theirs: Mapping[str, str | int], ours: Mapping[str, str | int]) -> tuple[str, str]:
    """Of two fingerprints, what the one has otherwise than the other: "weights 5b8dc9c3c822", and the other's."""
    keys = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
    their, our = (", ".join(f"{key} {_short(model.get(key))}" for key in keys) for model in (theirs, ours))
    return their, our


def _short(value: str | int | None) -> str:
    text = str(value)
    return text[:DIGEST_SHOWN] if _SHA256.fullmatch(text) else text
