"""What this machine runs a torch model on: the device, and the precision that is fastest there."""

from __future__ import annotations

from pathlib import Path

import torch

from indexer.errors import BadRequest


def choose_device(asked: str | None, precision: str | None) -> torch.device:
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if asked is None and precision != "int8":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(asked or "cpu")
    except RuntimeError as error:
        raise BadRequest("device", f"{asked!r} is not a device; use cpu, cuda or mps") from error
    if (device.type == "cuda" and not cuda) or (device.type == "mps" and not mps):
        raise BadRequest("device", f"torch finds no {device.type} device on this machine; use cpu")
    if precision == "int8" and device.type != "cpu":
        raise BadRequest("precision", "int8 runs on the CPU; leave out the device, or ask for fp16")
    if precision == "fp16" and device.type == "cpu":
        raise BadRequest("precision", "fp16 needs a GPU; ask for bf16 or fp32")
    return device


def fastest_precision(device: torch.device) -> str:
    """Of those whose vectors are comparable to fp32's."""
    if device.type != "cpu":
        return "fp16"
    return "bf16" if _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    """Whether bf16 products are instructions of this CPU.
    Emulated, they took 20 times fp32's time (measured, AVX2).
    """
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
    return "avx512_bf16" in words or "amx_bf16" in words
