"""`lakesift index --part` and `lakesift commit` as a person, and a scheduler, meets them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from indexer.parts.share import Share
from service.cli.main import main
from tests.fakes import ColourEmbedder
from tests.lakes import RED, live_rows, png, write

ROOT = Path(__file__).parents[3]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three of one colour, of which each of two parts has one at least, wherever the folder lies;
    the model is `ColourEmbedder`.
    """
    monkeypatch.setattr("service.cli.committing.loader", lambda *_: lambda _: ColourEmbedder())
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "photos" / f"{number}.png" for number in range(100)]
    shared = [[p for p in paths if Share(k, 2).holds(str(p))] for k in (1, 2)]
    for path in (*shared[0][:1], *shared[1][:2]):
        write(path, png(RED))
    write(tmp_path / "photos" / "broken.png", b"no image")
    return tmp_path / "photos"


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_parts_say_how_far_they_are_and_commit_what_came(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", str(photos), "--into", "my.lake", "--part", "1/2"]) == 0
    *_, did, left = told(capsys)
    assert did.startswith("part 1/2 embedded: ") and did.endswith(" s -> my.lake")
    assert left == "1 of 2 parts are done; once all are: lakesift commit my.lake"
    assert main(["commit", "my.lake"]) == 2
    assert told(capsys) == [
        "lakesift: commit: 1 part of the 2 of my.lake is not done: 2/2; run each again, it goes on from there, or "
        "leave the rest to `lakesift sync` with --allow-missing"
    ]
    assert main(["search", "my.lake", "red"]) == 1
    assert told(capsys) == [
        "lakesift: my.lake is not a lake (it has no manifest.json); it has parts that are not committed yet: "
        "lakesift commit my.lake"
    ]
    assert main(["index", str(photos), "--into", "my.lake", "--part", "2/2", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["part"] == "2/2"
    assert said.err.splitlines()[-1] == "2 of 2 parts are done; go on with: lakesift commit my.lake"
    assert main(["commit", "my.lake", "--json"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    facts = {
        name: document[name] for name in ("parts", "missing", "taken", "left", "new", "skipped")
    }
    assert facts == {"parts": 2, "missing": [], "taken": 3, "left": 0, "new": 3, "skipped": 1}
    assert "took 3 images of 2 whole parts" in said.err
    assert "indexed: 3 images (3 new, 1 skipped) in " in said.err
    assert sorted(row["row_id"] for row in live_rows(Path("my.lake")).values()) == [1, 2, 3]


def test_what_is_left_out_is_named(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", str(photos), "--into", "my.lake", "--part", "2/2"]) == 0
    assert main(["commit", "my.lake", "--allow-missing"]) == 0
    assert "warning: without all of the parts 1" in told(capsys)


def test_whoever_writes_or_measures_the_lake_is_told_of_parts_that_wait(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.cli.indexing.loader", lambda *_: lambda _: ColourEmbedder())
    assert main(["index", str(photos), "--into", "my.lake", "--part", "1/1"]) == 0
    capsys.readouterr()
    index = ["index", str(photos), "--into", "my.lake"]
    for verb in (index, ["sync", "my.lake"], ["info", "my.lake"], ["vacuum", "my.lake"]):
        assert main(verb) == 0
        assert told(capsys)[-1] == (
            "note: 1 of 1 part done, with 3 images not committed; `lakesift commit my.lake` takes them in, with "
            "--discard throws them away"
        )
    assert main(["commit", "my.lake"]) == 0
    assert main(["sync", "my.lake"]) == 0
    assert not [line for line in told(capsys) if "note" in line]


def test_parts_are_thrown_away_when_one_says_so(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", str(photos), "--into", "my.lake", "--part", "1/2"]) == 0
    capsys.readouterr()
    assert main(["doctor", "my.lake"]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if "parts" in line)
    assert (
        line.startswith("ok   parts: 1 of 2 parts done, ")
        and "missing: 2; `lakesift commit my.lake`" in line
    )
    assert main(["commit", "my.lake", "--discard", "--allow-missing"]) == 2
    capsys.readouterr()
    assert main(["commit", "my.lake", "--discard"]) == 0
    assert told(capsys)[-1].startswith("thrown away: the parts of my.lake, ")
    assert main(["commit", "my.lake", "--discard"]) == 2
    assert main(["commit", "my.lake"]) == 2


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--into", "my.lake", "--part", "0/2"], "part: 0/2: parts are counted from 1/2 to 2/2"),
        (["--into", "my.lake", "--part", "two"], "part: 'two' is not of the form 3/16"),
        (
            ["--into", "my.lake", "--part", "1/2", "--plan"],
            "--plan: it is of the whole run; leave out --part",
        ),
    ],
)
def test_used_wrongly(
    photos: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["index", str(photos), *arguments]) == 2
    assert told(capsys) == [f"lakesift: {sentence}"]
    assert not Path("my.lake").exists()


# -- what docs/parts.md gives to schedulers


def shown(begin: str) -> str:
    """The fence of the page that has this in it."""
    fences = re.findall(r"^```text\n(.*?)^```", (ROOT / "docs/parts.md").read_text(), re.M | re.S)
    (found,) = [fence for fence in fences if begin in fence]
    return str(found)


def run(folder: Path, line: str, **environment: str) -> list[str]:
    """What a shell line would start, where `lakesift` only says what it was asked for."""
    for name, text in {
        "lakesift": 'echo "$@ on ${CUDA_VISIBLE_DEVICES:-cpu}" >> said.txt',
        # of the 22.05 and later: what was asked of sbatch is not asked of srun
        "srun": 'test "$1" = --cpus-per-task=8 && shift && exec "$@"',
    }.items():
        write(folder / "bin" / name, f"#!/bin/sh\n{text}\n".encode()).chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", line], cwd=folder, env={"PATH": path, **environment}, check=True)
    return sorted((folder / "said.txt").read_text().splitlines())


def test_slurm_counts_from_one(tmp_path: Path) -> None:
    script = shown("#SBATCH --array")
    assert "--array=1-16" in script
    assert "--cpus-per-task=8\n" in script
    given = {"SLURM_ARRAY_TASK_ID": "16", "SLURM_CPUS_PER_TASK": "8"}
    assert run(tmp_path, script, **given) == [
        "index /data/photos --into /data/my.lake --part 16/16 on cpu"
    ]


def test_indexed_jobs_count_from_zero(tmp_path: Path) -> None:
    job = yaml.safe_load(shown("kind: Job"))["spec"]
    assert (job["completionMode"], job["completions"]) == ("Indexed", 16)
    *shell, line = job["template"]["spec"]["containers"][0]["command"]
    assert shell == ["sh", "-c"]
    assert run(tmp_path, line, JOB_COMPLETION_INDEX="15") == [
        "index /data/photos --into /data/my.lake --part 16/16 on cpu"
    ]
    (tmp_path / "said.txt").unlink()
    assert " --part 1/16 " in run(tmp_path, line, JOB_COMPLETION_INDEX="0")[0]


def test_xargs_starts_each_part_once(tmp_path: Path) -> None:
    asked = run(tmp_path, shown("xargs"))
    wanted = [f"index photos --into my.lake --part {k}/16 on cpu" for k in range(1, 17)]
    assert asked == sorted(wanted)


@pytest.mark.skipif(shutil.which("parallel") is None, reason="GNU parallel is not here")
def test_parallel_starts_each_part_once_on_a_gpu_of_its_own(tmp_path: Path) -> None:
    asked = run(tmp_path, shown("parallel -j"), HOME=str(tmp_path))
    assert [line.split(" on ")[0] for line in asked] == [
        f"index photos --into my.lake --part {k}/4" for k in range(1, 5)
    ]
    assert {line.split(" on ")[1] for line in asked} <= {"0", "1", "2", "3"}


def test_parts_at_once_in_processes_of_their_own(photos: Path) -> None:
    """Of the model that ships, on one folder, begun in the same moment."""
    command = [sys.executable, "-m", "service.cli", "index", str(photos), "--into", "my.lake"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen([*command, "--part", f"{k}/3"], env=environment, stderr=subprocess.PIPE)
        for k in (1, 2, 3)
    ]
    ends = [process.communicate(timeout=250) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ends
    assert main(["commit", "my.lake"]) == 0
    names = {Path(uri).name for uri in live_rows(Path("my.lake"))}
    assert names == {path.name for path in photos.glob("[0-9]*.png")}
