"""How models run on this machine's processor.
The only place that names ONNX Runtime's and OpenMP's settings.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

from numpy.typing import NDArray

from indexer.cores import usable_cores


class Session(Protocol):
    """What we use of onnxruntime.InferenceSession;
    it may be called from several threads at once.
    """

    def run(
        self, output_names: list[str] | None, inputs: dict[str, NDArray[Any]]
    ) -> list[NDArray[Any]]: ...


def open_session(model: bytes) -> Session:
    """Load a serialised model, to run on all cores that this process may use."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    # Threads that wait by spinning take cores from the decoders. Measured on two cores with
    # EfficientNet-Lite2: with a decoder beside it, sleeping ran 7 % more images/s; alone, as many.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights that are stored in 8 bits are unpacked once, here, and computed with in fp32. By
    # default ONNX Runtime takes them as a wish for int8 arithmetic, whose sums differ from
    # processor to processor.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = 3  # errors only: its warnings speak to those who write graphs
    session: Session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    return session


def let_torch_sleep() -> None:
    """Have torch's threads sleep while they wait for one another. No effect once torch is imported.

    By default they spin, and where other processes want the same cores they spin against their own
    sisters. Measured on two cores at a load of 8, one text of 4 tokens on ViT-B-32: 340 to 950 ms
    spinning, 60 to 105 ms asleep. A value of OMP_WAIT_POLICY or GOMP_SPINCOUNT in the environment
    is left to decide.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
