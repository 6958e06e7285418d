"""The notebooks: each runs from top to bottom in a fresh kernel,
and is committed as it ran, with its pictures.

After a change to one, run it in place: `.venv/bin/jupyter execute --inplace
notebooks/quickstart.ipynb`
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("**/*.ipynb"))
MAX_BYTES = 1_500_000
PLACES = re.compile(
    r"site-packages|dist-packages|[\"' ]/(home|root|tmp|usr|var|work|Users|private)/"
)
# Asked in one more cell, at the end of the copy that is run.
FACTS = {
    "quickstart.ipynb": """{
        "cat": Path(cats[0].uri).name,
        "where": sorted({row.columns["width_px"] >= 100 for row in rows}),
        "alike": [Path(hit.uri).name for hit in alike[:3]],
        "z_over_score": answers["a face"].score > answers["a flower"].score
            and answers["a face"].z < answers["a flower"].z,
        "table": [*table["name"][:2]],
        "pages": [len(page["hits"]), len(next_page["hits"])],
        "pages_overlap": len({h["row_id"] for h in page["hits"]} & {h["row_id"] for h in next_page["hits"]}),
        "folded": page["hits"][0]["row_id"] == table["row_id"][0] and len(page["hits"][0]["collapsed"]) == 1,
        "streamed": len(stream) - 2,
        "stream_end": stream[-1],
        "min_z": all(line["z"] >= 5 for line in stream[1:-1]),
        "server": server.returncode,
    }""",
    "filters.ipynb": """{
        "tiles": [report.new, applied["rows"], applied["kept"] + applied["dropped"] + applied["asked"]],
        "refused": refused["refused"],
        "promised": [applied["refused"], applied["promise"]["recall"], applied["promise"]["confidence"]],
        "kept": [applied["kept"], paths.items, yolo.items],
        "relevant": int(truth.sum()),
        "known_wrongly": int((truth != ledger["decision"].eq("keep"))[ledger["label"].notna()].sum()),
        "dropped_some": applied["dropped"] > 0,
        "page": page.startswith("<!doctype html>"),
        "decided": [image["decision"] for image in decided["images"]],
        "new_promised": decided["promised"],
    }""",
    "queries.ipynb": """{
        "queries": len(queries),
        "once": len(set(queries)),
        "cat": Path(best["a cat"].uri).name,
        "motocycle": Path(best["a motocycle"].uri).name.split("_")[0],
        "twenty": len(shown),
    }""",
    "labelled.ipynb": """{
        "rows": [len(tasks), len(tiles), report.new],
        "suspects": [hit.columns["labels"] for hit in suspects[:6]],
        "mended": [mended.new, mended.gone, mended.unchanged, found],
        "promised": [applied.refused, applied.promise.recall, applied.promise.confidence],
        "handed": [applied.kept, shards.items],
    }""",
    "picking.ipynb": """{
        "indexed": report.new,
        "scenes": sorted(Path(rows[each].uri).stem[:-3] for each in picks.row_ids
            if Path(rows[each].uri).parent.name == "camera"),
        "worth_more": [needed > n for n, _, _, needed in lines],
        "tiny": sum(rows[each].columns["width_px"] < 100 for each in wished.row_ids),
        "labelled": [len({*picks.row_ids, *later.row_ids}), len(to_label)],
    }""",
    "shards.ipynb": """{
        "indexed": [len(tiles), report.new, again.new, again.unchanged],
        "cat": row.columns["picture"],
        "moved": [moved.moved, moved.new, moved.gone, before == after],
        "labels": labels == still,
        "promised": [applied.refused, applied.promise.recall, applied.promise.confidence],
        "handed": [applied.kept, tars.items, yolo.items, len(written)],
        "known": packed.issuperset(written),
        "new": sorted(decisions),
        "decided": sorted(set(decisions.values())),
        "new_promised": gate.answer().promised,
    }""",
    "tables.ipynb": """{
        "indexed": [len(rows), report.new],
        "cat": row.columns["picture"],
        "cheap": max(hit.columns["credits"] for hit in cheap) <= 3,
        "moved": [moved.moved, moved.new, moved.gone, before == after],
        "column": sorted({row.columns["split"] for row in now}),
        "labels": still == said.progress.labels,
        "promised": [applied.refused, applied.promise.recall, applied.promise.confidence],
        "handed": [applied.kept, tars.items, named.items, coco.items, len(written)],
        "known": packed.issuperset(written),
        "new": sorted(decisions),
        "new_promised": gate.answer().promised,
    }""",
    "robot_logs.ipynb": """{
        "indexed": [len(messages), report.new],
        "cat": [cats[0].columns["place_name"], cats[1].columns["place_name"]],
        "joined": sorted({row.columns["battery_percentage"] for row in low})[-1] < 40,
        "moved": [moved.moved, moved.new, moved.gone, before == after],
        "labels": still == said.progress.labels,
        "promised": [applied.refused, applied.promise.recall, applied.promise.confidence],
        "handed": [applied.kept, tars.items, named.items, coco.items, len(written)],
        "known": recorded.issuperset(written),
        "new": sorted(decisions),
        "new_promised": gate.answer().promised,
    }""",
    "video.ipynb": """{
        "indexed": [sum(map(len, seen.values())), report.new],
        "cat": sorted((Path(hit.uri).stem, hit.columns["time_us"]) for hit in cats[:3])
            == [(clip, (seen[clip].index("chelsea") + second) * 1_000_000) for second in range(3)],
        "once": len({hit.uri for hit in moments}),
        "moved": [moved.moved, moved.new, moved.gone, before == after],
        "labels": still == said.progress.labels,
        "promised": [applied.refused, applied.promise.recall, applied.promise.confidence],
        "handed": [applied.kept, tars.items, named.items, len(packed)],
        "new": sorted(decisions),
        "new_promised": gate.answer().promised,
    }""",
}


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def test_every_notebook_has_its_facts() -> None:
    assert {path.name for path in NOTEBOOKS} == set(FACTS)


class ThisInterpreter(AsyncKernelManager):
    """Starts kernels of the very interpreter that runs the tests,
    whatever kernels are installed.
    """

    def __init__(self, **traits: Any) -> None:
        specs = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
        super().__init__(kernel_spec_manager=specs, **traits)


class Run:
    """A notebook run in folders of its own, so that what it leaves behind can be seen."""

    def __init__(self, folder: Path) -> None:
        self.cwd, self.temp = folder / "cwd", folder / "temp"
        self.cwd.mkdir()
        self.temp.mkdir()
        self.group = 0  # of the kernel's process and all that it starts

    def of(self, notebook: Any) -> None:
        """Raises what a cell raises."""
        client = NotebookClient(notebook, kernel_manager_class=ThisInterpreter, timeout=240)

        def see(**_: Any) -> None:
            assert client.km is not None and isinstance(client.km.provisioner, LocalProvisioner)
            self.group = client.km.provisioner.pgid or 0

        client.on_notebook_start = see
        environment = {**os.environ, "TMPDIR": str(self.temp), "PYTHONPATH": str(ROOT)}
        client.execute(cwd=str(self.cwd), env=environment)

    def end_what_is_left(self) -> bool:
        """Whether any process outlived the kernel; none does after this."""
        assert self.group > 0
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
            return True
        return False


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    notebook = read(path)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    asked = (
        f"import json, sys\nprint(json.dumps({{'python': sys.executable, **{FACTS[path.name]}}}))"
    )
    notebook.cells.append(nbformat.v4.new_code_cell(asked))  # type: ignore[no-untyped-call]
    run = Run(tmp_path)
    try:
        run.of(notebook)
    finally:
        left = run.end_what_is_left()
    assert not left, "a process that the notebook started outlived it"
    shown = outputs(notebook)
    assert [
        output
        for output in shown
        if output.output_type == "error" or output.get("name") == "stderr"
    ] == []
    facts = json.loads(shown[-1].text)
    assert facts.pop("python") == sys.executable
    CHECKS[path.name](facts)
    assert list(run.cwd.iterdir()) == []
    assert list(run.temp.iterdir()) == []


def check_quickstart(facts: dict[str, Any]) -> None:
    assert facts == {
        "cat": "chelsea.png",
        "where": [True],
        "alike": ["motorcycle_right.png", "motorcycle_left.png", "coffee.png"],
        "z_over_score": True,
        "table": ["chelsea_again.jpg", "chelsea.png"],
        "pages": [3, 3],
        "pages_overlap": 0,
        "folded": True,
        "streamed": facts["stream_end"]["hits"],
        "stream_end": {"end": True, "hits": facts["streamed"]},
        "min_z": True,
        "server": 0,
    }
    assert 1 <= facts["streamed"] <= 10


def check_queries(facts: dict[str, Any]) -> None:
    assert facts == {
        "queries": 50,
        "once": 50,
        "cat": "chelsea.png",
        "motocycle": "motorcycle",
        "twenty": 6,
    }


def check_filters(facts: dict[str, Any]) -> None:
    """An audit draws anew at every run, so how much is kept differs;
    what was promised, and how, does not.
    """
    kept = facts["kept"][0]
    assert facts == {
        "tiles": [560, 560, 560],
        "refused": True,
        "promised": [False, 0.85, 0.95],
        "kept": [kept] * 3,
        "relevant": 80,
        "known_wrongly": 0,
        "dropped_some": True,
        "page": True,
        "decided": facts["decided"],
        "new_promised": False,
    }
    assert set(facts["decided"]) <= {"keep", "drop"}


def check_labelled(facts: dict[str, Any]) -> None:
    kept = facts["handed"][0]
    assert facts == {
        "rows": [84, 336, 420],
        "suspects": [["coffee"]] * 6,  # those six that were given a wrong name
        "mended": [0, 0, 420, 12],
        "promised": [False, 0.8, 0.9],
        "handed": [kept] * 2,
    }


def check_picking(facts: dict[str, Any]) -> None:
    assert facts == {
        "indexed": 391,  # 31 photos, four pans of 40, 200 squares
        "scenes": ["chelsea", "coffee", "motorcycle_left", "rocket"],
        "worth_more": [True] * 4,
        "tiny": 6,
        "labelled": [24, 24],
    }


def check_shards(facts: dict[str, Any]) -> None:
    kept = facts["handed"][0]
    assert facts == {
        "indexed": [336, 336, 0, 336],
        "cat": "chelsea",
        "moved": [336, 0, 0, True],
        "labels": True,
        "promised": [False, 0.8, 0.9],
        "handed": [kept] * 4,
        "known": True,
        "new": [f"new.tar#member={name}" for name in ("coffee.png", "ihc.png", "retina.jpg")],
        "decided": facts["decided"],
        "new_promised": False,
    }
    assert set(facts["decided"]) <= {"keep", "drop"}


def check_tables(facts: dict[str, Any]) -> None:
    kept = facts["handed"][0]
    assert facts == {
        "indexed": [208, 208],
        "cat": "chelsea",
        "cheap": True,
        "moved": [208, 0, 0, True],
        "column": ["train"],
        "labels": True,
        "promised": [False, 0.8, 0.9],
        "handed": [kept] * 5,
        "known": True,
        "new": [f"new.parquet#member=image&row=0/{row}" for row in range(3)],
        "new_promised": False,
    }


def check_robot_logs(facts: dict[str, Any]) -> None:
    kept = facts["handed"][0]
    assert facts == {
        # 416 images, as many places, and a battery each second
        "indexed": [416 + 416 + 104, 208],
        "cat": ["chelsea", "chelsea"],
        "joined": True,
        "moved": [208, 0, 0, True],
        "labels": True,
        "promised": [False, 0.8, 0.9],
        "handed": [kept] * 5,
        "known": True,
        "new": [f"new.mcap#stream=/camera&t=176722560{second}.000000" for second in range(3)],
        "new_promised": False,
    }


def check_video(facts: dict[str, Any]) -> None:
    kept = facts["handed"][0]
    assert facts == {
        # 25 pictures of five seconds, and the cat
        "indexed": [128, 128],
        "cat": True,
        "once": 3,
        "moved": [128, 0, 0, True],
        "labels": True,
        "promised": [False, 0.8, 0.9],
        "handed": [kept] * 4,
        "new": [f"new.mp4#stream=video&t={second}.000000" for second in range(3)],
        "new_promised": False,
    }


CHECKS = {
    "quickstart.ipynb": check_quickstart,
    "queries.ipynb": check_queries,
    "filters.ipynb": check_filters,
    "labelled.ipynb": check_labelled,
    "picking.ipynb": check_picking,
    "shards.ipynb": check_shards,
    "tables.ipynb": check_tables,
    "robot_logs.ipynb": check_robot_logs,
    "video.ipynb": check_video,
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_is_committed_as_it_ran(path: Path) -> None:
    notebook = read(path)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    # nothing on stderr
    assert {output.get("name", "stdout") for output in outputs(notebook)} == {"stdout"}
    assert not any(output.output_type == "error" for output in outputs(notebook))
    assert sum("image/png" in output.get("data", {}) for output in outputs(notebook)) >= 5
    assert path.stat().st_size < MAX_BYTES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_tells_nothing_of_the_machine_it_ran_on(path: Path) -> None:
    told = [
        text
        for output in outputs(read(path))
        for kind, text in {"text": output.get("text", ""), **output.get("data", {})}.items()
        if not kind.startswith("image/")
    ]
    assert [text for text in told if PLACES.search(f" {text}")] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_it_imports_and_never_defines(path: Path) -> None:
    for cell in code_cells(read(path)):
        defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        assert not any(isinstance(node, defined) for node in ast.walk(ast.parse(cell.source))), (
            cell.source
        )
