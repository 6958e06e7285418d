"""Any of open_clip's models as an Embedder. Imports torch,
so the catalog imports this only when asked for one.

The model, its tokenizer and its preprocessing values are open_clip's own; ours is the precision
they run in, what the model is called, and towers that do the same work faster.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

import numpy as np
import torch

from indexer.arrays import InputShape, Pixels, Vectors
from indexer.cores import usable_cores
from indexer.embed import Conversion
from indexer.embed.catalog import ModelName
from indexer.embed.hardware import choose_device, fastest_precision
from indexer.embed.image_tower import lean
from indexer.embed.loading import Tokenizer, build_model, load_tokenizer, model_config, settle
from indexer.embed.onnx_tower import STEPS, OnnxTower, is_converted
from indexer.embed.text_tower import TextTower, shorten
from indexer.errors import LakeError, ModelUnavailable
from indexer.images.fitting import fit

T = TypeVar("T")
# (n, 3, height, width), normalised -> (n, dim), of any length
Tower = Callable[[torch.Tensor], torch.Tensor]

DTYPES = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.float32,
}
CPU_BATCH = 16  # on 2 cores 8 to 32 run alike, and small batches reach the lake sooner
GPU_BATCH = 256
TEXT_BATCH = 64
CONVERT_AFTER = 2_000  # images; a conversion to ONNX takes 15 s, and is kept for the next run
NEVER = 1 << 62
TRIAL_TEXTS = ["a photo of two dogs that run along the beach at sunset", "a cat"]

log = logging.getLogger(__name__)


class OpenClipEmbedder:
    """One open_clip model in evaluation mode on one device; use `load`."""

    def __init__(
        self,
        name: ModelName,
        model: torch.nn.Module,
        tokenizer: Tokenizer,
        precision: str,
        device: torch.device,
    ) -> None:
        """:param model: open_clip's, in fp32 on the CPU;
        moved and cast here, once its weights are hashed.
        """
        preprocess = cast(Mapping[str, Any], model.visual.preprocess_cfg)  # type: ignore[union-attr]
        self._name = name
        self._precision = precision
        self._device = device
        self._dtype = DTYPES[precision]
        self._tokenizer = tokenizer
        self._input_shape = input_shape_of(preprocess)
        self._mean = torch.tensor(preprocess["mean"], device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocess["std"], device=device).view(1, 3, 1, 1)
        self._dim = int(model_config(name)["embed_dim"])
        self._weights_hash = hash_weights(model)
        self._preprocessing = _describe(self._input_shape, preprocess)
        self._model: Any = model.eval().requires_grad_(False).to(device=device, dtype=self._dtype)
        # made when the first images come: a search by text needs none
        self._tower: Tower | None = None
        self._images_left = CONVERT_AFTER
        # made when the first text comes: an index run needs none
        self._text_tower: TextTower | None = None

    @classmethod
    def load(
        cls, name: ModelName, precision: str | None = None, device: str | None = None
    ) -> OpenClipEmbedder:
        """Load the model's weights; see `catalog.load_embedder` for
        the parameters and what is raised.

        Sets torch's threads to the cores this process may use, for the whole process.
        """
        where = choose_device(device, precision)
        torch.set_num_threads(usable_cores())
        name = settle(name)
        model = build_model(name)
        return cls(name, model, load_tokenizer(name), precision or fastest_precision(where), where)

    @property
    def model_id(self) -> str:
        return str(self._name)

    @property
    def fingerprint(self) -> dict[str, str | int]:
        """Of what does not depend on where the weights came from:
        a tag and a copy of its file are one model.

        precision is "float" for fp32, bf16 and fp16, whose vectors agree to cosine 0.9999, so that
        a lake made on a GPU can be searched on a laptop; int8's agree to 0.999 only, and are kept
        apart.
        """
        return {
            "name": _fingerprint_name(self._name),
            "weights": self._weights_hash,
            "preprocessing": self._preprocessing,
            "dim": self._dim,
            "precision": "int8" if self._precision == "int8" else "float",
        }

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def input_shape(self) -> InputShape:
        return self._input_shape

    @property
    def batch_size(self) -> int:
        return CPU_BATCH if self._device.type == "cpu" else GPU_BATCH

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Pixels]) -> Vectors:
        """float32, (n, dim), unit rows.
        Images of another size than input_shape are brought to it first.

        :raises LakeError: if the model gives a vector that cannot be normalised (NaN, infinite,
            zero).
        """
        return self._in_batches(
            images, self.batch_size, lambda batch: self._run_tower(self.to_tensor(batch))
        )

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """float32, (n, dim), unit rows.
        Texts longer than the model's context are cut, as open_clip does.

        :raises LakeError: if the model gives a vector that cannot be normalised.
        """
        return self._in_batches(
            texts, TEXT_BATCH, lambda batch: self._run_text_tower(self._tokens(batch))
        )

    def conversion(self) -> Conversion | None:
        """To int8, which takes ViT-B-32 20 s on two cores and is kept for every later run."""
        if self._precision != "int8" or self._tower is not None:
            return None
        if is_converted(self._weights_hash, self._input_shape, "int8"):
            return None
        return Conversion("int8", STEPS, self._convert)

    @torch.inference_mode()
    def _convert(self, step: Callable[[], None]) -> None:
        self._tower = self._choose_tower(step)

    def to_tensor(self, images: Sequence[Pixels]) -> torch.Tensor:
        """What the model sees: float32, (n, 3, height, width),
        normalised; equal to open_clip's own transform.
        """
        shape = self._input_shape
        size = (shape.height_px, shape.width_px, 3)
        fitted = np.stack([image if image.shape == size else fit(image, shape) for image in images])
        # (n, h, w, 3) -> (n, 3, h, w)
        pixels = torch.from_numpy(fitted).to(self._device).permute(0, 3, 1, 2)
        return pixels.float().div_(255).sub_(self._mean).div_(self._std)

    def _tokens(self, texts: Sequence[str]) -> torch.Tensor:
        return self._tokenizer(list(texts)).to(self._device)

    def _run_text_tower(self, tokens: torch.Tensor) -> torch.Tensor:
        if self._text_tower is None:
            self._text_tower = shorten(self._model, self._tokens(TRIAL_TEXTS))
        return self._text_tower(tokens)

    def _run_tower(self, pixels: torch.Tensor) -> torch.Tensor:
        if self._tower is None or self._images_left <= 0:
            self._tower = self._choose_tower()
        self._images_left -= len(pixels)
        return self._tower(pixels.to(self._dtype))

    def _choose_tower(self, step: Callable[[], None] = lambda: None) -> Tower:
        """ONNX Runtime for int8, and for fp32 on a CPU once that is worth its conversion.

        fp32, ViT-B-32, 2 AVX2 cores, against the lean tower in torch: 1.06 times as fast on a quiet
        machine, 1.1 to 1.5 times where other processes (decoders) want the same cores.
        """
        visual = self._model.visual
        if self._precision == "int8":
            self._images_left = NEVER
            return OnnxTower.of(
                lean(visual), self._input_shape, "int8", self._weights_hash, self.model_id, step
            )
        on_cpu = self._precision == "fp32" and self._device.type == "cpu"
        if on_cpu and (
            self._images_left <= 0 or is_converted(self._weights_hash, self._input_shape, "fp32")
        ):
            self._images_left = NEVER
            try:
                return OnnxTower.of(
                    lean(visual), self._input_shape, "fp32", self._weights_hash, self.model_id
                )
            # too large, or an operator the exporter does not know
            except ModelUnavailable as error:
                log.info("staying with torch: %s", error)
        if not on_cpu:
            self._images_left = NEVER
        tower = lean(visual)
        # CoCa's encode_image also drops its caption tokens; every other model's is its image tower
        return tower if tower is not visual else cast(Tower, self._model.encode_image)

    def _in_batches(
        self, items: Sequence[T], size: int, embed: Callable[[Sequence[T]], torch.Tensor]
    ) -> Vectors:
        vectors = np.empty((len(items), self._dim), np.float32)
        for start in range(0, len(items), size):
            vectors[start : start + size] = embed(items[start : start + size]).float().cpu().numpy()
        return self._unit(vectors)

    def _unit(self, vectors: Vectors) -> Vectors:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (n, 1)
        if not np.all(np.isfinite(lengths) & (lengths > 0)):
            raise LakeError(
                f"{self.model_id} gave a vector that is not a direction (NaN, infinite or zero); "
                "its weights are damaged, or --precision fp32 is needed"
            )
        unit: Vectors = vectors / lengths
        return unit


def input_shape_of(preprocess: Mapping[str, Any]) -> InputShape:
    size = preprocess["size"]
    height, width = (size, size) if isinstance(size, int) else size
    fill = int(preprocess.get("fill_color") or 0)
    mode: Literal["shortest", "longest", "squash"] = preprocess.get("resize_mode") or "shortest"
    bilinear = preprocess.get("interpolation") == "bilinear"
    if mode == "shortest" and height != width:
        # open_clip's transform forgets the interpolation there, and so the model was trained
        bilinear = False
    return InputShape(
        width, height, mode, "bilinear" if bilinear else "bicubic", (fill, fill, fill)
    )


def _describe(shape: InputShape, preprocess: Mapping[str, Any]) -> str:
    mean, std = (",".join(f"{value:.6g}" for value in preprocess[key]) for key in ("mean", "std"))
    size = f"{shape.width_px}x{shape.height_px}"
    fill = f" fill {shape.fill[0]}" if shape.mode == "longest" else ""
    return f"{size} {shape.mode} {shape.interpolation}{fill} mean {mean} std {std}"


def _fingerprint_name(name: ModelName) -> str:
    """The architecture without where its weights came from,
    so that a tag and a copy of its file are one model.
    """
    if name.weights is not None or name.tag is not None:
        return f"open_clip:{name.architecture}"
    config = json.dumps(model_config(name), sort_keys=True)
    return f"open_clip:config-{hashlib.sha256(config.encode()).hexdigest()[:16]}"


def hash_weights(model: torch.nn.Module) -> str:
    """sha256 over every tensor's name, shape and bytes in name order; 600 MB took 0.5 s.

    Taken in fp32 before any cast, so it is the same for a .pt, a .safetensors and any precision.
    """
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(f"{key} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
