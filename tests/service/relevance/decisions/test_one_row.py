"""One image's decision and label: as they were decided, and as people say now."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.errors import BadRequest, LakeDamaged, UnknownRow
from service.lake import Lake
from service.relevance import Filters, Target
from service.search.ledgers import path_of
from tests.lakes import Desk

COLOURS = {"a.png": (255, 0, 0), "b.png": (255, 60, 0), "c.png": (0, 0, 255), "d.png": (0, 255, 0)}


def test_its_decision_stays_and_its_label_follows_the_people(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for name, colour in COLOURS.items():
        desk.add(name, colour)
    desk.index()
    with Lake.open(desk.lake, desk.model) as lake:
        reds = Filters(lake).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        draft = reds.decisions.row(1)
        assert (draft.version, draft.decision, draft.label) == (None, None, None)
        said = [
            {"row_id": row.row_id, "label": "yes" if row.row_id <= 2 else "no", "labeller": "ann"}
            for row in reds.next(9, "audit").rows
        ]
        reds.label(said)
        version = reds.apply()["version"]
        found = reds.decisions.row(1)
        assert (found.version, found.decision, found.label_then) == (version, "keep", "yes")
        assert (found.label, found.labellers) == ("yes", {"ann": "yes"})
        assert reds.decisions.row(3).decision == "drop"
        reds.label([{"row_id": 1, "label": "no", "labeller": "bob"}])
        found = reds.decisions.row(1)
        assert (found.decision, found.label_then, found.label) == ("keep", "yes", "conflict")
        assert found.labellers == {"ann": "yes", "bob": "no"}
        with pytest.raises(BadRequest, match="version 1 was not applied"):
            reds.decisions.row(1, version=1)
        with pytest.raises(UnknownRow, match=r"my\.lake has no row 9"):
            reds.decisions.row(9)
    desk.add("e.png", (9, 9, 9))
    (desk.photos / "a.png").unlink()
    desk.sync()
    with Lake.open(desk.lake, desk.model) as lake:
        reds = Filters(lake).open("reds")
        since = reds.decisions.row(5)
        assert (since.version, since.decision, since.score) == (version, None, None)
        assert reds.decisions.row(1).decision == "keep"  # gone, and still in the ledger
        path_of(desk.lake / "filters" / "reds", version).write_bytes(b"no table")
        with pytest.raises(LakeDamaged):
            Filters(lake).open("reds").decisions.row(2)
