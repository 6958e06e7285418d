"""The reader of weights files: reads what torch.save wrote in 2020,
runs nothing, refuses the rest.
"""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import ModelUnavailable
from training.checkpoint import MAGIC_NUMBER, PROTOCOL_VERSION, read_checkpoint
from training.starting import CLASSIFIER


def storage(key: str = "0", length: int = 6, kind: bytes = b"torch\nFloatStorage\n") -> bytes:
    """Pickle opcodes of one persistent id, written by hand: these tests need no torch."""
    return b"(Vstorage\nc" + kind + f"V{key}\nVcpu\nI{length}\nNtQ".encode()


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(f"I{value}\n".encode() for value in values) + b"t"


def tensor(
    source: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0
) -> bytes:
    arguments = source + f"I{offset}\n".encode() + numbers(shape) + numbers(strides) + b"I00\n"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"ccollections\nOrderedDict\n(tRtR"


def checkpoint(table: bytes, raw: bytes = b"", keys: tuple[str, ...] = ("0",)) -> bytes:
    """A whole file whose table of tensors is the given opcodes."""
    return b"".join(
        [
            pickle.dumps(MAGIC_NUMBER, 2),
            pickle.dumps(PROTOCOL_VERSION, 2),
            pickle.dumps({"little_endian": True}, 2),
            table + b".",
            pickle.dumps(list(keys), 2),
            raw,
        ]
    )


def floats(*values: float) -> bytes:
    return struct.pack("<q", len(values)) + struct.pack(f"<{len(values)}f", *values)


def test_reads_shapes_offsets_and_strides() -> None:
    table = (
        b"(Vwhole\n"
        + tensor(storage(), (2, 3), (3, 1))
        + b"Vturned\n"
        + tensor(storage(), (3, 2), (1, 3))
    )
    table += (
        b"Vlast\n"
        + tensor(storage(), (2,), (1,), offset=4)
        + b"Vscalar\n"
        + tensor(storage(), (), ())
    )
    tensors = read_checkpoint(checkpoint(table + b"d", floats(1, 2, 3, 4, 5, 6)), "weights.pth")
    assert tensors["whole"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert tensors["turned"].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert tensors["last"].tolist() == [5, 6]
    assert tensors["scalar"].tolist() == 1
    assert {values.dtype for values in tensors.values()} == {np.dtype(np.float32)}


def test_reads_whole_numbers_as_int64() -> None:
    table = b"(Vsteps\n" + tensor(storage(length=1, kind=b"torch\nLongStorage\n"), (), ()) + b"d"
    tensors = read_checkpoint(checkpoint(table, struct.pack("<qq", 1, -7)), "weights.pth")
    assert tensors["steps"].dtype == np.int64
    assert tensors["steps"] == -7


@pytest.mark.parametrize(
    ("asks_for", "call"),
    [
        ("posix.system", b"cposix\nsystem\n(Vtouch {marker}\ntR"),
        ("os.system", b"cos\nsystem\n(Vtouch {marker}\ntR"),
        ("builtins.eval", b"cbuiltins\neval\n(Vopen('{marker}', 'w')\ntR"),
        ("torch.load", b"ctorch\nload\n(V{marker}\ntR"),
    ],
)
@pytest.mark.parametrize("place", ["first pickle", "table of tensors"])
def test_a_hostile_pickle_is_refused_and_runs_nothing(
    asks_for: str, call: bytes, place: str, tmp_path: Path
) -> None:
    marker = tmp_path / "it_ran"
    call = call.replace(b"{marker}", os.fsencode(marker))
    content = call + b"." if place == "first pickle" else checkpoint(b"(Vweight\n" + call + b"d")
    with pytest.raises(ModelUnavailable) as refusal:
        read_checkpoint(content, "evil.pth")
    assert str(refusal.value) == (
        f"model evil.pth: it asks for {asks_for}, which weights do not need; nothing of it was run"
    )
    assert not marker.exists()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (tensor(storage(), (7,), (1,)), "a tensor is larger than its storage"),
        (tensor(storage(), (2, 2), (5, 1)), "a tensor reaches outside its storage"),
        (tensor(storage(), (2,), (1,), offset=5), "a tensor reaches outside its storage"),
        (tensor(storage(), (2,), (1,), offset=-1), "a tensor reaches outside its storage"),
        (tensor(storage(), (2,), (-1,)), "a tensor is described in a way that is not known"),
        (b"I1\n", "it is not a table of named tensors"),
    ],
)
def test_a_tensor_outside_its_numbers_is_refused(table: bytes, reason: str) -> None:
    with pytest.raises(ModelUnavailable) as refusal:
        read_checkpoint(
            checkpoint(b"(Vweight\n" + table + b"d", floats(1, 2, 3, 4, 5, 6)), "odd.pth"
        )
    assert str(refusal.value) == f"model odd.pth: {reason}; nothing of it was run"


def test_a_file_cut_short_is_refused() -> None:
    whole = checkpoint(
        b"(Vweight\n" + tensor(storage(), (6,), (1,)) + b"d", floats(1, 2, 3, 4, 5, 6)
    )
    assert read_checkpoint(whole, "whole.pth")["weight"].tolist() == [1, 2, 3, 4, 5, 6]
    for length in range(len(whole)):
        with pytest.raises(ModelUnavailable, match=r"^model cut\.pth: it "):
            read_checkpoint(whole[:length], "cut.pth")


def test_another_layout_is_refused() -> None:
    with pytest.raises(
        ModelUnavailable, match=r"it is not in the layout that torch\.save wrote in 2020"
    ):
        read_checkpoint(pickle.dumps({"weight": 1}), "other.pth")
    with pytest.raises(ModelUnavailable, match="it cannot be read as PyTorch weights"):
        read_checkpoint(b"PK\x03\x04 a zip, as torch writes today", "zip.pth")


@pytest.mark.slow
def test_agrees_with_torch_on_the_real_weights() -> None:
    import torch

    theirs = torch.load(CLASSIFIER.locate(), weights_only=True)
    ours = read_checkpoint(CLASSIFIER.read(), CLASSIFIER.path)
    assert list(ours) == list(theirs)
    for name, values in ours.items():
        assert np.array_equal(values, theirs[name].numpy()), name
