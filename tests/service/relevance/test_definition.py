from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from indexer.disk.checks import FileCheck
from indexer.disk.filter_checks import FilterChecks, LabelsMark
from indexer.errors import BadRequest, LakeDamaged
from service.relevance.definition import (
    Copied,
    Definition,
    ExampleImage,
    Examples,
    LabelsUsed,
    Part,
    Target,
    Thresholds,
)
from service.relevance.scoring.calibration import Calibration
from service.relevance.scoring.scorer import Scorer
from tests.service.relevance.definitions import definition

FULL = definition(
    version=3,
    reason="applied",
    keep=Examples(
        ("ein Krankenhaus, früh",), (4, 2), (ExampleImage("a.jpg", "ab" * 32, (0.1, 1 / 3, -2.0)),)
    ),
    where="width_px > 100",
    target=Target(0.98, 0.5, 0.9),
    scorer=Scorer(
        "linear", np.array([[0.1, -2, 3]], np.float32), np.empty((0, 3), np.float32), bias=-0.25
    ),
    calibration=Calibration(12.5, -3.0),
    audit=1,
    thresholds=Thresholds(0.25, 0.125),
    labels=LabelsUsed(5, 2, 1, 1, "0" * 64),
    measured={"recall": {"low": 0.97, "high": 1.0}, "kept": 12},
)


def unsealed() -> dict[str, Any]:
    """FULL as older versions wrote it, without a checksum."""
    document: dict[str, Any] = json.loads(FULL.to_json())
    del document["checksum"]
    return document


def test_a_definition_comes_back_as_it_was() -> None:
    for written in (FULL, definition()):
        read = Definition.from_json(written.to_json(), "x.json")
        assert read == written
        assert read.to_json() == written.to_json()


def test_the_bytes_are_these() -> None:
    """Worked out by hand: the order of the fields, one space a level,
    floats as Python writes them, a last newline.
    """
    lines = FULL.to_json().decode().split("\n")
    assert lines[:7] == [
        "{",
        ' "format": 1,',
        ' "name": "hospital",',
        ' "version": 3,',
        ' "created_at": "2026-03-01T12:00:00.000+01:00",',
        ' "parent": 2,',
        ' "reason": "applied",',
    ]
    assert lines[8:10] == ['  "texts": [', '   "ein Krankenhaus, früh"']
    assert "     0.3333333333333333," in lines
    assert lines[-2:] == ["}", ""]
    fields = (
        "format name version created_at parent reason keep drop where target model snapshot scorer calibration "
        "audit thresholds labels measured checksum"
    )
    assert " ".join(json.loads(FULL.to_json())) == fields


CHECKED = replace(
    FULL,
    checks=FilterChecks(
        {"ledger/000003.parquet": FileCheck(7, "ab" * 32, ("cd" * 32,))}, LabelsMark(12, "ef" * 16)
    ),
)


def test_checks_and_checksum_stand_behind_the_rest() -> None:
    document = json.loads(CHECKED.to_json())
    assert list(document)[-3:] == ["measured", "checks", "checksum"]
    check = {"length": 7, "ends": "ab" * 32, "blocks": ["cd" * 32]}
    labels = {"lines": 12, "head": "ef" * 16}
    assert document["checks"] == {"files": {"ledger/000003.parquet": check}, "labels": labels}
    checksum = document.pop("checksum")
    plain = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert checksum == hashlib.sha256(plain.encode()).hexdigest()
    assert Definition.from_json(CHECKED.to_json(), "x.json") == CHECKED
    assert "checks" not in CHECKED.to_document()


def test_a_version_of_an_older_lakesift_is_read() -> None:
    assert Definition.from_json(json.dumps(unsealed()).encode(), "x.json") == FULL


def test_no_flipped_bit_gives_another_definition() -> None:
    data = CHECKED.to_json()
    told = 0
    for at in range(len(data)):
        for bit in (0, at % 7 + 1):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            try:
                read = Definition.from_json(bytes(flipped), "x.json")
            except LakeDamaged:
                told += 1
            else:
                # between two fields, say: a blank for a line feed
                assert read == CHECKED
    assert told > len(data)


@pytest.mark.parametrize(
    ("checks", "reason"),
    [
        ({"files": [], "labels": None}, "checks.files is not a JSON object"),
        ({"files": {"x": {}}, "labels": None}, "it has no field checks.files.x.blocks"),
        (
            {"files": {"ledger/../../x.parquet": FileCheck(1, "", ()).to_json()}, "labels": None},
            "'ledger/../../x.parquet' is no file of a filter",
        ),
        ({"files": {}, "labels": {"lines": 0, "head": ""}}, "checks.labels.lines is not a whole"),
    ],
)
def test_checks_that_are_none_are_damage(checks: Any, reason: str) -> None:
    document = {**unsealed(), "checks": checks}
    with pytest.raises(LakeDamaged) as damage:
        Definition.from_json(json.dumps(document).encode(), "x.json")
    assert str(damage.value).startswith(f"x.json is damaged: {reason}")


def test_an_audit_that_follows_the_lake_makes_it_format_3() -> None:
    following = replace(FULL, audit=2, pieces=3)
    document = json.loads(following.to_json())
    assert (document["format"], document["audit"], document["pieces"]) == (3, 2, 3)
    assert Definition.from_json(following.to_json(), "x.json") == following
    copy = replace(following, copied=Copied("hospital", "2026-02-01T12:00:00.000+01:00", 3))
    assert json.loads(copy.to_json())["format"] == 3
    assert Definition.from_json(copy.to_json(), "x.json") == copy


def test_an_audit_of_scenes_makes_it_format_4() -> None:
    scenes = replace(FULL, audit=2, scene="sequence")
    document = json.loads(scenes.to_json())
    assert (document["format"], document["audit"], document["scene"]) == (4, 2, "sequence")
    assert Definition.from_json(scenes.to_json(), "x.json") == scenes
    copy = replace(scenes, copied=Copied("hospital", "2026-02-01T12:00:00.000+01:00", 3))
    assert json.loads(copy.to_json())["format"] == 4
    assert Definition.from_json(copy.to_json(), "x.json") == copy


def test_a_copy_is_of_format_2_and_what_is_none_stays_as_it_was() -> None:
    copy = replace(FULL, copied=Copied("hospital", "2026-02-01T12:00:00.000+01:00", 3))
    document = json.loads(copy.to_json())
    assert document.pop("copied") == {
        "origin": "hospital",
        "made_at": "2026-02-01T12:00:00.000+01:00",
        "audits": 3,
    }
    del document["checksum"]
    assert document == {**unsealed(), "format": 2}
    assert Definition.from_json(copy.to_json(), "x.json") == copy
    part = replace(copy, copied=replace(copy.copied, part=Part("01J", 6, 2)))  # type: ignore[type-var]
    assert json.loads(part.to_json())["copied"]["part"] == {
        "branch": "01J",
        "one_in": 6,
        "given": 2,
    }
    assert Definition.from_json(part.to_json(), "x.json") == part
    with pytest.raises(LakeDamaged, match="it has the unknown field copied"):
        Definition.from_json(json.dumps({**unsealed(), "copied": None}).encode(), "x.json")


def test_what_is_not_finite_is_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        definition(measured={"recall": float("nan")}).to_json()


def test_every_cut_of_the_file_is_damage_that_names_it() -> None:
    data = FULL.to_json()
    for length in range(len(data) - 2):  # without the last newline it is whole
        with pytest.raises(LakeDamaged, match=r"^f/1\.json is damaged: "):
            Definition.from_json(data[:length], "f/1.json")


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("format", 5, "it has format 5, this lakesift reads up to 4: update lakesift"),
        ("format", 4, "it has no field scene"),
        ("format", 3, "it has no field pieces"),
        ("format", 2, "it has no field copied"),
        ("format", "1", "format is not a whole number from 1"),
        ("version", 0, "version is not a whole number from 1"),
        ("version", True, "version is not a whole number from 1"),
        ("name", "../x", "name: '../x' is no name for a filter"),
        ("created_at", "2026-03-01T12:00:00", "created_at is not an ISO 8601 time with an offset"),
        ("created_at", "yesterday", "created_at is not an ISO 8601 time with an offset"),
        ("keep", None, "keep is not a JSON object"),
        ("keep.texts", [1], "keep.texts is not a list of texts"),
        ("keep.row_ids", [1.5], "keep.row_ids is not a whole number from 1"),
        ("drop.more", 1, "it has the unknown field drop.more"),
        ("extra", 1, "it has the unknown field extra"),
        ("target.recall", 1.0, "recall: 1 is not between 0 and 1; 0.95 means 95 %"),
        ("target.recall", float("nan"), "NaN is not JSON"),
        ("target.confidence", 10**400, "target.confidence is not a finite number"),
        ("model", {"dim": [3]}, "model is not an object of texts and whole numbers"),
        ("scorer", {"kind": "linear"}, "it has no field scorer.dim"),
        ("scorer", None, "scorer: "),
        ("scorer.keep", [["x", 1, 2]], "scorer: could not convert"),
        ("calibration.slope", -1.0, "calibration.slope is below 0"),
        ("thresholds.keep", 0.0, "thresholds.keep is below thresholds.drop"),
        ("labels.sha256", "abc", "labels.sha256 is not 64 hexadecimal digits"),
        ("measured", [], "measured is not a JSON object"),
    ],
)
def test_what_is_no_definition_is_damage(path: str, value: Any, reason: str) -> None:
    document = unsealed()
    *outer, last = path.split(".")
    place = document
    for name in outer:
        place = place[name]
    place[last] = value
    with pytest.raises(LakeDamaged) as damage:
        Definition.from_json(json.dumps(document).encode(), "hospital/000003.json")
    assert str(damage.value).startswith(f"hospital/000003.json is damaged: {reason}")


def test_every_field_must_be_there() -> None:
    for name in unsealed():
        document = unsealed()
        del document[name]
        with pytest.raises(LakeDamaged, match=f"is damaged: it has no field {name}$"):
            Definition.from_json(json.dumps(document).encode(), "x.json")


def test_other_things_than_objects_are_damage() -> None:
    for data in (b"", b"[]", b"null", b"\xff", b"[" * 100_000, b"7"):
        with pytest.raises(LakeDamaged, match=r"^x\.json is damaged: "):
            Definition.from_json(data, "x.json")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "A", ".a", "-a", "a" * 65, "a\n", "ä", "a b"]
)
def test_a_name_cannot_leave_the_folder(name: str) -> None:
    with pytest.raises(BadRequest, match="is no name for a filter: 1 to 64 of a-z"):
        definition(name)


def test_names_that_are_fine() -> None:
    for name in ("a", "0", "hospital-rooms_v1.2", "a" * 64):
        assert definition(name).name == name


def test_a_target_wants_something_possible() -> None:
    assert (Target().recall, Target().precision, Target().confidence) == (0.95, None, 0.95)
    assert Target(None, 0.9).precision == 0.9
    with pytest.raises(
        BadRequest, match="recall: a filter promises recall, precision or both; name at least one"
    ):
        Target(None, None)
    for share in (0.0, 1.0, 95.0, -0.1, float("nan")):
        for name in ("recall", "precision", "confidence"):
            with pytest.raises(BadRequest, match=rf"^{name}: .* is not between 0 and 1"):
                Target(**{name: share})
