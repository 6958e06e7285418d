"""What `lakesift facets` prints, beside what a `where` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli.main import main
from service.lake import Lake
from tests.lakes import Desk


def test_a_text_is_printed_as_a_where_compares_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path)
    lines = ["uri,said_at,pulses,night"]
    for number in range(4):
        path = desk.add(f"{number}.png", (255, number * 9, 0))
        at = ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00.5+02:00-cam3")[number % 2]
        lines.append(f"{path},{at},{1_234_567 + number},{str(number == 0).lower()}")
    table = tmp_path / "columns.csv"
    table.write_text("\n".join(lines) + "\n")
    desk.index(columns=table)
    columns = ["--column", "said_at", "--column", "pulses", "--column", "night"]
    assert main(["facets", str(desk.lake), *columns]) == 0
    printed = capsys.readouterr().out
    values = [line.split()[0] for line in printed.splitlines() if line.startswith("  2024")]
    assert sorted(values) == ["2024-01-01T10:00:00.5+02:00-cam3", "2024-01-01T10:00:00Z"]
    with Lake.open(desk.lake, desk.model) as lake:
        for value in values:
            assert lake.facets(f"said_at = '{value}'").rows == 2
    assert "1234567 to 12345" in printed and "e+06" not in printed
    assert {line.split()[0] for line in printed.splitlines()[-2:]} == {"true", "false"}
