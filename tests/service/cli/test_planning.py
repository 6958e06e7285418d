"""What `index --plan` and `sync --plan` print."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from indexer.preview import Preview, Rate
from indexer.run.plan.totals import Total
from service.cli.main import main
from service.cli.planning import tell_preview
from tests.lakes import GREEN, RED, png, write

Capture = pytest.CaptureFixture[str]


def told(capsys: Capture, found: Preview) -> list[str]:
    tell_preview(found, as_text=True)
    return capsys.readouterr().out.splitlines()


def test_a_plan_is_a_line_for_each_kind_and_one_for_the_sum(capsys: Capture) -> None:
    shards = Total(
        "/p", "tar", containers=2, images=2_000, size_bytes=90_000_000, new_bytes=45_000_000,
        new=1_000, unchanged=997, refused=3, gone=1,
    )  # fmt: skip
    loose = Total("/p", "file", images=1, size_bytes=500, new_bytes=500, changed=1)
    other = Total("/q", "file", kept=4)
    rate = Rate("builtin", images=50, seconds=2.0)
    found = Preview(
        "my.lake", False, 1_002, [loose, shards, other], 1_001, 7, rate=rate, to_recompute=1_002
    )
    assert told(capsys, found) == [
        "/p",
        "  1 image, 500 bytes: 1 changed",
        "  2,000 images in 2 tar files, 90.0 MB: 1,000 new, 997 unchanged, 3 that cannot be read, "
        "1 gone from the source",
        "/q",
        "  0 images, 0 bytes: 4 not listed, kept",
        "to index: 1,001 images, 45.0 MB, into my.lake, which has 1,002 images; about 40 s on this "
        "machine (25.0 images a second, measured on 50 of them with builtin)",
        "7 images may be known under another name or place: those are read and compared, and not "
        "embedded again if they are",
        "to read again for columns: 1,002 images of the lake",
        "nothing was written",
    ]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (1, "1 s"),
        (990, "99 s"),
        (1_000, "2 min"),
        (59_000, "98 min"),
        (90_000, "2.5 h"),
        (10_000_000, "11.6 days"),
    ],
)
def test_how_long_it_takes_is_told_in_the_unit_that_fits(
    images: int, words: str, capsys: Capture
) -> None:
    found = Preview(None, True, 0, to_index=images, rate=Rate("m", 10, 1.0))
    assert f"; about {words} on this machine" in told(capsys, found)[0]


def test_names_command_no_terminal(capsys: Capture) -> None:
    found = Preview(None, True, 0, [Total("/a\x1b[2J\n", "file", images=1, new=1)])
    assert told(capsys, found)[0] == r"/a\x1b[2J\n"


def test_index_and_sync_tell_their_plan(tmp_path: Path, capsys: Capture) -> None:
    write(tmp_path / "p" / "a.png", png(RED))
    write(tmp_path / "p" / "b.png", png(GREEN))
    photos, lake = str(tmp_path / "p"), str(tmp_path / "my.lake")
    assert main(["index", photos]) == 2
    assert "--into: name the lake's folder" in capsys.readouterr().err
    assert main(["index", photos, "--plan", "--into", lake]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{photos}\n  2 images, ")
    assert re.search(
        r"to index: 2 images, .*, which is new; about \d+ s on this machine \([\d.,]+ images a "
        r"second, measured on 2 of them with builtin\)\nnothing was written\n$",
        out,
    )
    assert not Path(lake).exists()

    main(["index", photos, "--into", lake])
    capsys.readouterr()
    assert main(["sync", lake, "--plan", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["to_index"], plan["rate"], plan["seconds"], plan["rows"]) == (0, None, None, 2)
    assert [(total["kind"], total["unchanged"]) for total in plan["totals"]] == [("file", 2)]


def test_a_plan_with_a_problem_is_exit_code_1(tmp_path: Path, capsys: Capture) -> None:
    write(tmp_path / "p" / "a.png", png(RED))
    photos = str(tmp_path / "p")
    assert main(["index", photos, "--plan", "--model", f"builtin@{tmp_path}/nowhere"]) == 1
    said = capsys.readouterr()
    assert "to index: 1 image" in said.out
    assert "warning: how long it takes cannot be measured: " in said.err
