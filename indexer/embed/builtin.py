"""The model that comes with the install: images and texts in one space, no network, no torch.

Two small towers that lakesift trains itself (see `training` and the MODEL_CARD.md beside the
weights), run on ONNX Runtime. Their weights are stored in 8 bits and unpacked when a tower is
loaded; all arithmetic is fp32, so vectors are the same on every processor but for rounding. A
folder of one's own, made by `lakesift train`, is used the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import InputShape, Pixels, Vectors
from indexer.embed import Reading
from indexer.embed.model_folder import IMAGE_TOWER, TEXT_TOWER, TOKENIZER, ModelFolder
from indexer.embed.runtime import Session, open_session
from indexer.embed.tokens import TextTokenizer
from indexer.errors import LakeError

PACKAGED = Path(__file__).parent / "builtin_model"
REINSTALL = "run: pip install --force-reinstall --no-deps lakesift"
TRAIN = "`lakesift train` writes one"
BATCH_SIZE = 16


class BuiltinEmbedder:
    """The packaged model, or a folder's.
    Each side is loaded at its first use: a search by text loads no images'.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """:param folder: a model folder; None: the one that comes with lakesift.
        :raises ModelUnavailable: if it is not a model folder, of a newer format, or lacks a file.
        """
        if folder is None:
            self._folder = ModelFolder.open(PACKAGED, "builtin", REINSTALL)
        else:
            folder = folder.expanduser().absolute()  # lakes keep the name
            self._folder = ModelFolder.open(folder, f"builtin@{folder}", TRAIN)
        side_px = self._folder.side_px
        self._shape = InputShape(width_px=side_px, height_px=side_px)

    @property
    def model_id(self) -> str:
        return self._folder.model_id

    @property
    def fingerprint(self) -> dict[str, str | int]:
        return self._folder.fingerprint

    @property
    def dim(self) -> int:
        return self._folder.dim

    @property
    def input_shape(self) -> InputShape:
        return self._shape

    @property
    def batch_size(self) -> int:
        return BATCH_SIZE

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """float32, (n, dim), unit rows.
        Images of another size than input_shape are brought to it first.

        :raises ModelUnavailable: if the image tower is damaged.
        :raises LakeError: if it gives a vector that cannot be normalised (NaN, infinite, zero).
        """
        vectors = np.empty((len(images), self.dim), np.float32)
        for start in range(0, len(images), BATCH_SIZE):
            batch = np.stack([self._fitted(image) for image in images[start : start + BATCH_SIZE]])
            vectors[start : start + len(batch)] = self._run(
                IMAGE_TOWER, self._images, {"pixels": batch}
            )
        return self._unit(vectors)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """float32, (n, dim), unit rows. What is beyond the model's most tokens does not count.

        :raises ModelUnavailable: if the text tower or its tokenizer is damaged.
        :raises LakeError: if it gives a vector that cannot be normalised.
        """
        vectors = np.empty((len(texts), self.dim), np.float32)
        for batch in self._tokenizer.batches(texts):
            inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
            vectors[batch.positions] = self._run(TEXT_TOWER, self._texts, inputs)
        return self._unit(vectors)

    def read(self, text: str) -> Reading:
        """How much of a text is English words that it has learned.

        :raises ModelUnavailable: if its tokenizer is damaged.
        """
        return self._tokenizer.read(text)

    # Two threads that come first at once both load; the later one wins and nothing is lost but the
    # time.

    @cached_property
    def _images(self) -> Session:
        return self._open(IMAGE_TOWER)

    @cached_property
    def _texts(self) -> Session:
        return self._open(TEXT_TOWER)

    @cached_property
    def _tokenizer(self) -> TextTokenizer:
        try:
            return TextTokenizer(self._folder.read(TOKENIZER), self._folder.most_tokens)
        except ValueError as error:
            raise self._folder.damaged(TOKENIZER, f"is not a tokenizer ({error})") from error

    def _open(self, file: str) -> Session:
        content = self._folder.read(file)
        try:
            return open_session(content)
        # containment: ONNX Runtime has a class for every kind of bad graph
        except Exception as error:
            raise self._folder.damaged(
                file, f"is not a model that runs here ({_first_line(error)})"
            ) from error

    def _run(
        self, file: str, session: Session, inputs: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.float32]:
        rows = len(next(iter(inputs.values())))
        try:
            (vectors,) = session.run(["vectors"], dict(inputs))
        # containment, as above: wrong names, types or sizes of what it takes
        except Exception as error:
            raise self._folder.damaged(file, f"does not run ({_first_line(error)})") from error
        if vectors.shape != (rows, self.dim):
            raise self._folder.damaged(
                file, f"gives vectors of shape {vectors.shape}, expected {(rows, self.dim)}"
            )
        return np.asarray(vectors, np.float32)

    def _fitted(self, image: Pixels) -> Pixels:
        if image.shape == (self._shape.height_px, self._shape.width_px, 3):
            return image
        from indexer.images import fit

        return fit(image, self._shape)

    def _unit(self, vectors: Vectors) -> Vectors:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (n, 1)
        if not np.all(np.isfinite(lengths) & (lengths > 0)):
            raise LakeError(
                f"model {self.model_id} gave a vector that is not a direction (NaN, infinite or zero); "
                "its training went wrong: train it again, or use another"
            )
        unit: Vectors = vectors / lengths
        return unit


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
