"""Codes on disk: what is kept of a vector is certain, and nothing else is taken for codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.lakes import random_unit_rows
from indexer.disk import codes as codes_module
from indexer.disk.codes import (
    ByteQueries,
    CodeBlock,
    Frame,
    StoredCodes,
    encode,
    make_frame,
    write_codes,
)
from indexer.disk.stored_vectors import NewVectors, StoredVectors


def stored(rows: int, dim: int, seed: int = 0) -> StoredVectors:
    vectors = NewVectors(dim)
    vectors.add(random_unit_rows(rows, dim, np.random.default_rng(seed)))
    return vectors.stored()


def decoded(block: CodeBlock, frame: Frame) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    upper, lower = frame.halves
    head = block.head * block.head_scale.astype(np.float64)[:, None]
    tail = block.tail * block.tail_scale.astype(np.float64)[:, None]
    return np.asarray(frame.centre + head @ upper + tail @ lower, np.float64)


def test_codes_worked_out_by_hand() -> None:
    """A frame that turns nothing: the first number is the head, the second one the tail."""
    frame = Frame(np.array([1, 0], np.float32), np.array([[4096, 0], [0, 4096]], np.int16), 12)
    block = encode(np.array([[1.5, -2], [1, 0]], np.float32), frame)
    assert (block.head.tolist(), block.tail.tolist()) == ([[127], [0]], [[-127], [0]])
    assert block.head_scale.tolist() == [np.float32(0.5 / 127), 0]
    assert block.head_length[0] == pytest.approx(0.5, rel=1e-6)
    assert block.head_length[0] >= 127 * float(np.float32(0.5 / 127))
    assert block.tail_length[0] == pytest.approx(2, rel=1e-6)
    assert 0 <= block.residual[0] < 1e-6
    assert block.residual[1] < 1e-12
    assert decoded(block, frame) == pytest.approx(np.array([[1.5, -2], [1, 0]]), rel=1e-6)


@pytest.mark.parametrize("dim", [2, 3, 31, 512])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 6e4])
def test_what_is_left_is_never_longer_than_it_says(dim: int, scale: float) -> None:
    vectors = NewVectors(dim)
    vectors.add(scale * random_unit_rows(300, dim, np.random.default_rng(dim)))
    rows = vectors.stored().take(np.arange(300))
    frame = make_frame(rows[:100])
    block = encode(rows, frame)
    rest = np.linalg.norm(rows.astype(np.float64) - decoded(block, frame), axis=1)
    assert np.all(rest <= block.residual)
    assert np.all(block.residual <= rest * (1 + 1e-5) + 1e-9 * scale)
    assert np.median(rest) < 0.02 * scale
    exact = block.head.astype(np.float64) * block.head_scale.astype(np.float64)[:, None]
    assert np.all(np.linalg.norm(exact, axis=1) <= block.head_length)


def test_sums_of_the_rotation_stay_exact() -> None:
    """The partial sums of K' c are whole numbers below 2^24 for every c that there can be."""
    for dim in (2, 64, 512, 1_536):
        frame = make_frame(random_unit_rows(50, dim, np.random.default_rng(0)))
        for half in (frame.rotation[: frame.head], frame.rotation[frame.head :]):
            columns = np.linalg.norm(half.astype(np.float64), axis=0).max()
            assert 127 * np.sqrt(len(half)) * columns < 2**24
        assert frame.stretch < 1.1


def test_a_file_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes_module, "CODE_ROWS", 40)
    vectors = stored(100, 6)
    frame = make_frame(vectors.take(np.arange(50)))
    write_codes(tmp_path / "codes.arrow", vectors, frame)
    there = StoredCodes.open(tmp_path / "codes.arrow", 100, 6)
    assert [len(block) for block in there.blocks] == [40, 40, 20]
    assert there.frame.key == frame.key
    whole = encode(vectors.take(np.arange(100)), frame)
    for name in ("head", "tail", "head_scale", "tail_scale", "head_length", "residual"):
        pieces = [getattr(block, name) for block in there.blocks]
        # By as many rows at a time, BLAS may sum in another order, and round to another code.
        assert np.concatenate(pieces) == pytest.approx(getattr(whole, name), rel=1e-3, abs=1)
    with pa.ipc.open_file(str(tmp_path / "codes.arrow")) as file:
        assert file.schema.names[:3] == ["head", "tail", "head_scale"]


@pytest.mark.parametrize("rows", [99, 101, 20_000])
def test_codes_of_another_number_of_rows_are_refused(tmp_path: Path, rows: int) -> None:
    write_codes(
        tmp_path / "codes.arrow", stored(100, 6), make_frame(stored(9, 6).take(np.arange(9)))
    )
    with pytest.raises(ValueError, match="another number of rows than its segment"):
        StoredCodes.open(tmp_path / "codes.arrow", rows, 6)


def test_what_is_no_file_of_codes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codes.arrow"
    path.write_bytes(b"no Arrow")
    with pytest.raises(ValueError, match="Arrow cannot read it"):
        StoredCodes.open(path, 1, 6)
    table = pa.table({"head": [1]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table)
    with pytest.raises(ValueError, match="it holds no codes"):
        StoredCodes.open(path, 1, 6)
    frame = make_frame(stored(9, 6).take(np.arange(9)))
    write_codes(path, stored(100, 6), frame)
    with pytest.raises(ValueError, match="its codes are not of 7 dimensions"):
        StoredCodes.open(path, 100, 7)
    with pytest.raises(FileNotFoundError):
        StoredCodes.open(tmp_path / "none.arrow", 100, 6)


def test_codes_of_a_later_format_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = make_frame(stored(9, 6).take(np.arange(9)))
    with monkeypatch.context() as later:
        later.setattr(codes_module, "CODES_FORMAT", 2)
        write_codes(tmp_path / "codes.arrow", stored(100, 6), frame)
    with pytest.raises(ValueError, match="it has format 2; this lakesift reads up to 1"):
        StoredCodes.open(tmp_path / "codes.arrow", 100, 6)


@pytest.mark.parametrize("queries", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("dim", [1, 16, 31, 256])
def test_products_of_bytes_are_exact(queries: int, dim: int) -> None:
    random = np.random.default_rng(dim)
    codes = random.integers(-127, 128, (70, dim), np.int8)
    codes[0] = -127
    asked = random.integers(-127, 128, (queries, dim), np.int8)
    asked[0] = 127
    codes.flags.writeable = False
    found = ByteQueries(asked).products_with(codes)
    assert found.tolist() == (codes.astype(np.int64) @ asked.astype(np.int64).T).tolist()
    assert found[0, 0] == -127 * 127 * dim
