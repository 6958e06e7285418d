"""An image tower on ONNX Runtime: exported from torch,
checked against it, kept in the user's cache.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from indexer.arrays import InputShape
from indexer.embed.model_cache import cached, is_cached
from indexer.embed.runtime import open_session
from indexer.errors import ModelUnavailable

# part of the cached model's key; raise it when the export or the quantisation below changes
RECIPE = 1
LEAST_COSINE = 0.999  # of the export, before it is quantised, on random images
STEPS = 3  # exported, checked, quantised: a third of the time, little, and the rest
MAX_PARAMETERS = 480_000_000  # an ONNX file ends at 2 GB; larger towers stay in torch

log = logging.getLogger(__name__)


class OnnxTower:
    """Callable like the torch tower it was made from:
    (n, 3, height, width) float32 -> (n, dim) float32.
    """

    def __init__(self, model: bytes) -> None:
        self._session = open_session(model)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        (vectors,) = self._session.run(["vectors"], {"pixels": pixels.contiguous().numpy()})
        return torch.from_numpy(vectors)

    @classmethod
    def of(
        cls,
        visual: torch.nn.Module,
        shape: InputShape,
        precision: str,
        weights_hash: str,
        model_id: str,
        step: Callable[[], None] = lambda: None,
    ) -> OnnxTower:
        """The twin of a torch tower, from the cache or made now:
        15 s for ViT-B-32 in fp32, 25 s in int8.

        :param visual: in evaluation mode, float32, on the CPU.
        :param precision: "fp32" or "int8".
        :param step: called after each of the STEPS that making it takes.
        :raises ModelUnavailable: if it is too large, cannot be exported, or the export computes
            something else.
        """
        key = _key(weights_hash, shape, precision)
        made = cached(key, ".onnx", lambda: _convert(visual, shape, precision, model_id, step))
        return cls(made)


def is_converted(weights_hash: str, shape: InputShape, precision: str) -> bool:
    return is_cached(_key(weights_hash, shape, precision), ".onnx")


def _key(weights_hash: str, shape: InputShape, precision: str) -> str:
    return f"open_clip-{weights_hash[:32]}-{shape.width_px}x{shape.height_px}-{precision}-{RECIPE}"


def _convert(
    visual: torch.nn.Module,
    shape: InputShape,
    precision: str,
    model_id: str,
    step: Callable[[], None] = lambda: None,
) -> bytes:
    if sum(parameter.numel() for parameter in visual.parameters()) > MAX_PARAMETERS:
        raise ModelUnavailable(
            model_id, "its image tower is too large for one ONNX file; leave out --precision int8"
        )
    log.info("converting the image tower of %s to %s on ONNX Runtime", model_id, precision)
    with tempfile.TemporaryDirectory(prefix="lakesift-") as folder:
        exported, quantised = Path(folder, "fp32.onnx"), Path(folder, "int8.onnx")
        _export(visual, shape, exported, model_id)
        step()
        model = exported.read_bytes()
        _check(visual, shape, OnnxTower(model), model_id)
        step()
        if precision == "int8":
            _quantise(exported, quantised)
            model = quantised.read_bytes()
        step()
    return model


def _export(visual: torch.nn.Module, shape: InputShape, path: Path, model_id: str) -> None:
    """Trace with dynamo: the older exporter (dynamo=False)
    wrote some towers wrongly and said nothing.
    """
    example = torch.zeros(2, 3, shape.height_px, shape.width_px)
    try:
        with warnings.catch_warnings():
            # the exporter's own deprecations; what it computes is checked
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                visual,
                (example,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                input_names=["pixels"],
                output_names=["vectors"],
                opset_version=20,  # the first with Gelu as one operator
                verbose=False,
            )
    except (torch.onnx.errors.OnnxExporterError, ImportError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelUnavailable(
            model_id, f"its image tower cannot be exported to ONNX ({first})"
        ) from error
    assert program is not None  # it is None only where torch.onnx.export wrote a file itself
    program.save(path)


def _check(
    visual: torch.nn.Module,
    shape: InputShape,
    exported: Callable[[torch.Tensor], torch.Tensor],
    model_id: str,
) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(3, 3, shape.height_px, shape.width_px, generator=generator)
    with torch.inference_mode():
        wanted, found = visual(pixels).numpy(), exported(pixels).numpy()
    lengths = np.linalg.norm(wanted, axis=1) * np.linalg.norm(found, axis=1)
    cosine = float(np.min(np.sum(wanted * found, axis=1) / lengths))
    if not cosine >= LEAST_COSINE:  # written so that NaN fails
        raise ModelUnavailable(
            model_id,
            f"its ONNX export differs from torch (cosine {cosine:.4f}); leave out --precision int8",
        )


def _quantise(exported: Path, path: Path) -> None:
    """Weights to 7 bits a channel, activations to 8 bits as they come; matrix products only.

    Not 8 bits: without VNNI, ONNX Runtime's int8 products saturate at 16 bits. Measured on ViT-B-32
    and an AVX2 CPU with 48 photos, cosine to fp32 after centring: 8 bits 0.955 in the mean, 7 bits
    0.9987, at the same speed. One recipe for every CPU, so that vectors made on two machines are
    comparable.
    """
    with _quiet_root_logger():
        quantize_dynamic(
            exported,
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """The quantiser advises everyone to run a step that only dead
    ends of hand-made graphs need, as a warning.
    """

    def reject(record: logging.LogRecord) -> bool:
        return False

    root = logging.getLogger()
    root.addFilter(reject)
    try:
        yield
    finally:
        root.removeFilter(reject)
