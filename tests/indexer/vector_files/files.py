"""Files of vectors as other tools write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# As `ColourEmbedder` has them, but not of unit length.
RED, GREEN, PINK = (2.0, 0.0, 0.0), (0.0, 0.5, 0.0), (3.0, 0.0, 4.0)

Part: TypeAlias = tuple[Sequence[Sequence[float]], Mapping[str, Any]]


def clip_folder(
    folder: Path,
    parts: Sequence[Part],
    dtype: str = "float16",
) -> Path:
    """clip-retrieval's layout: for each part its vectors and the columns of its table."""
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True)
    for number, (vectors, columns) in enumerate(parts):
        np.save(folder / "img_emb" / f"img_emb_{number}.npy", np.array(vectors, dtype))
        pq.write_table(pa.table(columns), folder / "metadata" / f"metadata_{number}.parquet")
    return folder


def vector_table(
    file: Path, vectors: Sequence[Any], kind: pa.DataType | None = None, **columns: Any
) -> Path:
    """A Parquet file with the vectors in the column `embedding`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    column = pa.array(vectors, kind or pa.list_(pa.float32()))
    pq.write_table(pa.table({"embedding": column, **columns}), file)
    return file
