"""A lake and its model: loading the one its manifest names, refusing any other."""

from __future__ import annotations

from indexer.embed import Embedder
from indexer.embed.catalog import load_embedder
from indexer.errors import BadRequest, ModelUnavailable, WrongModel
from indexer.manifest import Manifest


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
    keys = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
    expected = f"{manifest.model_id} ({', '.join(f'{key} {theirs.get(key)}' for key in keys)})"
    found = f"{embedder.model_id} ({', '.join(f'{key} {ours.get(key)}' for key in keys)})"
    raise WrongModel(lake, expected, found, "use the lake's own model, or index into a new lake")
