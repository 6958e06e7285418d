"""What a run's progress says on a terminal."""

from __future__ import annotations

import pytest

from service.cli import progress
from service.cli.progress import TerminalProgress


def test_a_total_that_grows_is_told_as_such_and_promises_no_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY_S", 0.0)
    with TerminalProgress() as told:
        told.stage("indexing", 1)
        told.expect(4_000, more=True)
        told.advance(1_200, skipped=3)
        while_listing = capsys.readouterr().err
        told.expect(6_000)
        told.advance(4_800)
        at_the_end = capsys.readouterr().err
    assert "1200 images" in while_listing
    assert "of 4,000+ (listing), 3 skipped" in while_listing
    assert "%" not in while_listing.rpartition("\r")[2]
    assert "100%" in at_the_end and "6000/6000" in at_the_end and "listing" not in at_the_end


def test_a_stage_of_steps_is_drawn_at_once_and_counts_no_images(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TerminalProgress() as told:
        told.stage("converting", 3, "steps")
        at_once = capsys.readouterr().err
    assert "converting" in at_once and "0/3" in at_once
    assert "steps" in at_once and "images" not in at_once
