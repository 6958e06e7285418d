"""Reads the tensors of a PyTorch weights file without PyTorch,
and without running what the file says.

A `.pth` is a pickle, and a pickle names functions to call. Here only the four names that a plain
state dict needs are known, each stands for something of our own, and any other is refused before it
is looked up. Only the layout that torch.save wrote before 1.6 is read (pickles in a row, then the
raw numbers): the files we pin are of 2020. Knows nothing of networks.

Source of the layout: `_legacy_save` and `_legacy_load` in
https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

from indexer.errors import ModelUnavailable

Tensors: TypeAlias = dict[str, NDArray[Any]]

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
# torch's name -> numpy's, both little-endian
STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


@dataclass(frozen=True, slots=True)
class _Storage:
    """A run of numbers whose values come later in the file, under `key`."""

    key: str
    dtype: str
    length: int


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor: numbers of a storage, checked to lie inside it.
    Strides count numbers, not bytes.
    """

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, numbers: NDArray[Any]) -> NDArray[Any]:
        strides = [stride * numbers.itemsize for stride in self.strides]
        start = numbers[self.offset :] if self.offset < len(numbers) else numbers[:0]
        return np.lib.stride_tricks.as_strided(start, self.shape, strides).copy()


class _Refused(Exception):
    """The file is not what plain weights are; str() is the reason."""


def read_checkpoint(content: bytes, name: str) -> Tensors:
    """Read the named tensors of a state dict.

    :param content: the whole file; its caller has compared its hash with the one it expects.
    :param name: the file's name, for the messages.
    :raises ModelUnavailable: if the file asks for a function or type that weights do not need, or
        is no state dict.
    """
    stream = io.BytesIO(content)
    try:
        if _load(stream) != MAGIC_NUMBER or _load(stream) != PROTOCOL_VERSION:
            raise _Refused("it is not in the layout that torch.save wrote in 2020")
        _load(stream)  # byte order and type sizes of the writer; torch always writes little-endian
        views = _load(stream)
        keys = _load(stream)
        numbers = _read_storages(stream, _checked(views), keys)
        return {tensor: view.of(numbers[view.storage.key]) for tensor, view in views.items()}
    except _Refused as refusal:
        raise ModelUnavailable(name, f"{refusal}; nothing of it was run") from None
    # containment: on bytes it cannot read, pickle raises nearly anything
    except Exception as error:
        raise ModelUnavailable(name, f"it cannot be read as PyTorch weights ({error})") from error


class _WeightsUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new function each time: a pickle may set attributes on what it is given.
            return lambda *parts: _view(*parts)
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise _Refused(f"it asks for {module}.{name}, which weights do not need")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(dtype), str(key), str(), int(length), None) if (
                dtype in STORAGES.values()
            ):
                return _Storage(key, dtype, length)
        raise _Refused("a storage is described in a way that is not known")


def _load(stream: io.BytesIO) -> Any:
    return _WeightsUnpickler(stream).load()


def _view(storage: object, offset: object, shape: object, strides: object, *_: object) -> _View:
    """Stands for torch._utils._rebuild_tensor_v2; the rest of its arguments are about gradients."""
    if not (
        isinstance(storage, _Storage)
        and isinstance(offset, int)
        and _lengths(shape)
        and _lengths(strides)
    ):
        raise _Refused("a tensor is described in a way that is not known")
    if len(strides) != len(shape) or math.prod(shape) > storage.length:
        raise _Refused("a tensor is larger than its storage")
    last = offset + sum(
        (length - 1) * stride for length, stride in zip(shape, strides, strict=True)
    )
    if offset < 0 or (math.prod(shape) > 0 and last >= storage.length):
        raise _Refused("a tensor reaches outside its storage")
    return _View(storage, offset, shape, strides)


def _lengths(value: object) -> TypeGuard[tuple[int, ...]]:
    return isinstance(value, tuple) and all(
        isinstance(length, int) and length >= 0 for length in value
    )


def _checked(views: object) -> Mapping[str, _View]:
    if not isinstance(views, dict) or not all(
        isinstance(name, str) and isinstance(view, _View) for name, view in views.items()
    ):
        raise _Refused("it is not a table of named tensors")
    return views


def _read_storages(stream: io.BytesIO, views: Mapping[str, _View], keys: object) -> Tensors:
    """The raw numbers behind the pickles: for each key its count as int64, then the values."""
    storages = {view.storage.key: view.storage for view in views.values()}
    if not isinstance(keys, list) or sorted(keys) != sorted(storages):
        raise _Refused("its tensors and its storages do not match")
    numbers: Tensors = {}
    for key in keys:
        storage = storages[key]
        dtype = np.dtype(storage.dtype)
        (length,) = np.frombuffer(stream.read(8), dtype="<i8")
        if length != storage.length:
            raise _Refused(f"a storage holds {length} numbers instead of {storage.length}")
        values = np.frombuffer(stream.read(storage.length * dtype.itemsize), dtype)
        if len(values) != length:
            raise _Refused("it ends too early")
        numbers[key] = values
    return numbers
