"""A filter from prompt to promise on real photos whose folders
name their class, which answer as a person would.

Prints what was asked, what was promised, and what is true of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.machine import describe_machine
from service.lake import Lake
from service.relevance import Filter, Filters
from service.relevance.answers import NextAnswer
from service.relevance.decisions.answers import AppliedAnswer, RefusedAnswer
from service.relevance.definition import Target

BATCH = 100  # labels between two looks at the audit


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks filtering", description=__doc__)
    parser.add_argument(
        "lake", type=Path, help="of photos in a folder a class; it is copied, not changed"
    )
    parser.add_argument(
        "--relevant", nargs="+", required=True, metavar="CLASS", help="folders that are wanted"
    )
    parser.add_argument("--keep", nargs="+", required=True, metavar="TEXT", help="prompts")
    parser.add_argument("--recall", type=float, default=0.9, help="promised (default: 0.9)")
    parser.add_argument(
        "--teach", type=int, default=100, metavar="N", help="answers to teach with (default: 100)"
    )
    parser.add_argument(
        "--budget", type=int, default=2_000, help="audit labels at most (default: 2,000)"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="lakesift-bench-") as folder:
        copy = Path(folder) / "my.lake"
        shutil.copytree(arguments.lake, copy)
        with Lake.open(copy) as lake:
            found = measure(lake, arguments)
    print(json.dumps({"hardware": describe_machine(), **found}))
    return 0


def measure(lake: Lake, arguments: argparse.Namespace) -> dict[str, Any]:
    truth = _truth(lake, set(arguments.relevant))
    print(f"{len(truth):,} photos, {sum(truth.values()):,} relevant")
    filter = Filters(lake).create(
        "bench", keep_texts=arguments.keep, target=Target(arguments.recall, None, 0.95)
    )
    while len(filter.answers()) < arguments.teach:
        _answer(filter, filter.next(20, "teach"), truth)
    taught = filter.progress()
    print(f"taught: {taught.yes} yes among {taught.labels} answers")
    looks = []
    started = time.monotonic()
    spent = 0
    while spent < arguments.budget:
        asked = filter.next(BATCH, "audit", budget=arguments.budget)
        spent += _answer(filter, asked, truth)
        applied = filter.apply()
        looks.append(_look(filter, applied, spent, truth))
        print(looks[-1])
        if not asked.rows:
            break
    seconds = round(time.monotonic() - started, 1)
    return {
        "rows": len(truth),
        "relevant": sum(truth.values()),
        "looks": looks,
        "audit_seconds": seconds,
    }


def _truth(lake: Lake, relevant: set[str]) -> dict[int, bool]:
    rows: dict[int, bool] = {}
    for part in lake.snapshot.parts:
        table: pa.Table = part.columns(["row_id", "uri"])
        for row_id, uri in zip(table["row_id"].to_pylist(), table["uri"].to_pylist(), strict=True):
            rows[row_id] = Path(uri).parent.name in relevant
    return rows


def _answer(filter: Filter, asked: NextAnswer, truth: Mapping[int, bool]) -> int:
    rows = [row.row_id for row in asked.rows]
    filter.label([{"row_id": row, "label": "yes" if truth[row] else "no"} for row in rows])
    return len(rows)


def _look(
    filter: Filter, applied: AppliedAnswer | RefusedAnswer, spent: int, truth: Mapping[int, bool]
) -> dict[str, Any]:
    if applied.refused:
        return {
            "audit_labels": spent,
            "refused": True,
            "can_promise": applied.can_promise,
            "labels_missing": applied.labels_missing,
        }
    kept = filter.decided("keep")["row_id"].to_pylist()
    right = sum(truth[row] for row in kept)
    return {
        "audit_labels": spent,
        "refused": False,
        "kept": len(kept),
        "recall": round(right / max(sum(truth.values()), 1), 4),
        "precision": round(right / max(len(kept), 1), 4),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
