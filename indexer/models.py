"""A lake and its model: loading the one its manifest names, refusing any other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexer.arrays import InputShape, Pixels, Vectors
from indexer.disk.manifest import IMPORTED, Fingerprint, Manifest
from indexer.embed import Converts, Embedder
from indexer.embed.catalog import BUILTIN, ModelName
from indexer.embed.models import load_embedder
from indexer.errors import (
    BadRequest,
    ModelNotTrusted,
    ModelUnavailable,
    ModelUnknown,
    WrongModel,
)
from indexer.report import Progress
from indexer.trust import is_named, models_are_trusted

WAY_OUT = (
    "use the model it was built with, or make a new lake: `lakesift index --sources-of` takes its sources there, "
    "`lakesift filter copy --into` its filters and labels"
)
_SHA256 = re.compile("[0-9a-f]{64}")
DIGEST_SHOWN = 12  # digits of a hash that tell two models apart
UNKNOWN = "unknown"  # the model_id of a lake whose vectors nobody named a model of
# In a fingerprint: the model is named on somebody's word, so that such a lake and one that the
# model filled itself are never taken for one.
_VECTORS = "vectors"
_ANY_SHAPE = InputShape(224, 224)  # what is read of an image does not depend on it


def load_model_of(
    lake: str,
    manifest: Manifest,
    *,
    precision: str | None = None,
    device: str | None = None,
    trust_model: bool = False,
) -> Embedder:
    """The model a lake was built with.

    A lake may come from somebody else, and what it names as its model may be any folder or
    repository. So it is `builtin`, or one that the user named on this machine before.

    :param lake: how messages name it.
    :param precision: None: int8 where the lake says so, else the fastest comparable one of this
        machine.
    :param trust_model: True: the user confirms that this model may be loaded, which is remembered.
    :raises ModelNotTrusted: if nobody named it on this machine, nor confirms it.
    :raises ModelUnavailable: if it cannot be loaded here; ModelUnknown: if the lake names none.
    """
    if manifest.model_id == UNKNOWN:
        raise ModelUnknown(UNKNOWN, lake)
    if precision is None and manifest.fingerprint.get("precision") == "int8":
        precision = "int8"
    try:
        name = str(ModelName.parse(manifest.model_id))
        if not (name == BUILTIN or trust_model or models_are_trusted() or is_named("models", name)):
            raise ModelNotTrusted(manifest.model_id, lake)
        return load_embedder(manifest.model_id, precision=precision, device=device)
    except BadRequest as error:  # nobody typed this name just now: it is the lake's
        raise ModelUnavailable(manifest.model_id, error.reason) from None


def check_model(lake: str, manifest: Manifest, embedder: Embedder) -> None:
    """:raises WrongModel: naming what differs,
    if the embedder's vectors are not comparable with the lake's.
    """
    theirs, ours = as_native(manifest.fingerprint), as_native(embedder.fingerprint)
    if theirs == ours:
        return
    expected, found = what_differs(theirs, ours)
    expected, found = f"{manifest.model_id} ({expected})", f"{embedder.model_id} ({found})"
    raise WrongModel(lake, expected, found, WAY_OUT)


def convert_first(embedder: Embedder, progress: Progress) -> None:
    """Convert a model that its first image would wait for, as a stage of its own: it takes long.

    :raises ModelUnavailable: if it cannot be converted.
    """
    conversion = embedder.conversion() if isinstance(embedder, Converts) else None
    if conversion is not None:
        name = f"converting the model to {conversion.precision}, once on this machine"
        progress.stage(name, conversion.steps, "steps")
        conversion.run(lambda: progress.advance(1))


def as_imported(fingerprint: Fingerprint) -> Fingerprint:
    """That of a lake whose vectors are said to be of this model."""
    return {**fingerprint, _VECTORS: IMPORTED}


def as_native(fingerprint: Fingerprint) -> Fingerprint:
    """The model's own, whoever made the vectors."""
    return {name: fact for name, fact in fingerprint.items() if name != _VECTORS}


def are_imported(fingerprint: Fingerprint) -> bool:
    """Whether the vectors are the model's on somebody's word alone."""
    return fingerprint.get(_VECTORS) == IMPORTED


@dataclass(frozen=True, slots=True)
class NoModel:
    """Stands for the model of a lake that names none, where images are read and not embedded."""

    lake: str
    dim: int
    fingerprint: Fingerprint
    model_id: str = UNKNOWN
    input_shape: InputShape = _ANY_SHAPE
    batch_size: int = 32

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """:raises ModelUnknown: always."""
        raise ModelUnknown(self.model_id, self.lake)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """:raises ModelUnknown: always."""
        raise ModelUnknown(self.model_id, self.lake)


def what_differs(theirs: Mapping[str, str | int], ours: Mapping[str, str | int]) -> tuple[str, str]:
    """Of two fingerprints, what the one has otherwise than the other:
    "weights 5b8dc9c3c822", and the other's.
    """
    keys = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
    their, our = (
        ", ".join(f"{key} {_short(model.get(key))}" for key in keys) for model in (theirs, ours)
    )
    return their, our


def _short(value: str | int | None) -> str:
    text = str(value)
    return text[:DIGEST_SHOWN] if _SHA256.fullmatch(text) else text
