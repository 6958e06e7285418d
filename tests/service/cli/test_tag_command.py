"""The verb `tag`, as a person uses it. Rows 1 to 4 are blue, green, red and yellow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.cli.main import main
from service.doctor import examine as doctor
from service.lake import Lake
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, YELLOW, Desk

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    desk = Desk(tmp_path)
    for name, colour in (("a", BLUE), ("b", GREEN), ("c", RED), ("d", YELLOW)):
        desk.add(f"{name}.png", colour)
    desk.index()
    whole = Lake.open
    monkeypatch.setattr(
        Lake, "open", lambda folder, **options: whole(folder, ColourEmbedder(), **options)
    )
    return str(desk.lake)


def told(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_images_are_tagged_listed_searched_and_untagged(lake: str, capsys: Capture) -> None:
    assert told(capsys, "tag", lake) == (0, "", "no image has a tag\n")
    back = f"`lakesift tag {lake} --undo --act 1` takes it back"
    assert told(capsys, "tag", lake, "night", "--row", "1", "--row", "3") == (
        0, f"tagged 2 images night; {back}\n", "",
    )  # fmt: skip
    where = ("--where", "row_id >= 3")
    assert told(capsys, "tag", lake, "Late shift", *where)[0] == 0
    assert told(capsys, "tag", lake) == (0, f"Late shift{2:>12}\nnight{2:>17}\n", "")
    _, found, _ = told(capsys, "search", lake, "red", "--where", "tag = 'night'", "--json")
    hits = json.loads(found)["hits"]
    assert [(hit["row_id"], hit["columns"]["tags"]) for hit in hits] == [
        (3, ["Late shift", "night"]), (1, ["night"]),
    ]  # fmt: skip
    gone = told(capsys, "tag", lake, "night", "--remove", "--row", "1")
    assert (
        gone[1]
        == f"took the tag night from 1 image; `lakesift tag {lake} --undo --act 3` gives it back\n"
    )
    assert json.loads(told(capsys, "tag", lake, "--json")[1]) == {
        "tags": [{"name": "Late shift", "rows": 2}, {"name": "night", "rows": 1}]
    }


def test_a_search_tags_its_hits(lake: str, capsys: Capture) -> None:
    done = told(capsys, "tag", lake, "warm", "--query", "red", "-k", "2", "--json")
    assert json.loads(done[1]) == {
        "name": "warm", "rows": 2, "missing": [], "missing_count": 0, "act": 1,
    }  # fmt: skip
    with Lake.open(lake) as opened:
        assert [row.row_id for row in opened.browse("tag = 'warm'")] == [3, 4]
    narrow = ("--query", "red", "--where", "row_id < 3")
    assert told(capsys, "tag", lake, "cold", *narrow)[1].startswith("tagged 2 images cold; ")


def test_the_last_act_is_taken_back(lake: str, capsys: Capture) -> None:
    assert told(capsys, "tag", lake, "--undo")[1] == "there is nothing to take back\n"
    told(capsys, "tag", lake, "night", "--row", "1", "--by", "ann")
    told(capsys, "tag", lake, "rain", "--row", "2", "--by", "bob")
    refused = told(capsys, "tag", lake, "--undo", "--act", "1")
    assert refused[0] == 2
    assert "act 1 is not the last: bob gave the tag rain since, in act 2; take that" in refused[2]
    alone = told(capsys, "tag", lake, "night", "--act", "1", "--row", "1")[2]
    assert "--act: it says which act to take back; say --undo, too" in alone
    code, out, _ = told(capsys, "tag", lake, "--undo", "--by", "ann", "--act", "1")
    assert code == 0 and out.startswith("took back act 1, of 2")
    assert out.endswith(": 1 image tagged night\n")
    undone = json.loads(told(capsys, "tag", lake, "--undo", "--json")[1])["undone"]
    assert (undone["act"], undone["name"], undone["rows"], undone["by"]) == (2, "rain", 1, "bob")
    assert json.loads(told(capsys, "tag", lake, "--undo", "--json")[1]) == {"undone": None}


def test_rows_that_are_not_there_are_named_and_the_others_done(lake: str, capsys: Capture) -> None:
    code, out, err = told(capsys, "tag", lake, "night", "--row", "1", "--row", "9")
    assert (code, out[:21]) == (0, "tagged 1 image night;")
    assert err == "note: the lake has no row 9; the others were done\n"
    code, _, err = told(capsys, "tag", lake, "night", "--row", "9")
    assert code == 1 and err.startswith(f"lakesift: {lake} has no row 9; ")
    assert told(capsys, "tag", lake, "none", "--where", "row_id > 9")[1] == (
        "no image is meant, so nothing was tagged\n"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["night"], "NAME: say which images get it: --where, --row, --query or --filter"),
        (["--row", "1"], "NAME: name the tag, before --where or --row"),
        (["a/b", "--row", "1"], "name: 'a/b' is no name for a tag: 1 to 64 letters, "),
        (
            ["night", "--undo"],
            "--undo: --undo and --mend stand alone; leave the tag and images out",
        ),
        (["night", "--row", "1", "--where", "row_id = 1"], "--row: say --row alone, or choose by "),
        (["night", "--where", "row_id = 1", "-k", "1"], "-k: -k and --min-z are of a search; "),
        (["night", "--row", "1", "--decision", "keep"], "--decision: it is a filter's; "),
        (["night", "--remove"], "name: no image has the tag night; the tags are: none"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(
    lake: str, capsys: Capture, arguments: list[str], reason: str
) -> None:
    code, out, err = told(capsys, "tag", lake, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"lakesift: {reason}")
    assert not (Path(lake) / "tags").exists()


def test_a_damaged_log_is_mended(lake: str, capsys: Capture) -> None:
    assert (
        told(capsys, "tag", lake, "--mend")[1] == "nothing is damaged in the log of tags: 0 acts\n"
    )
    told(capsys, "tag", lake, "night", "--row", "1")
    told(capsys, "tag", lake, "rain", "--row", "2")
    log = Path(lake) / "tags" / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b"night", b"right"))
    code, _, err = told(capsys, "tag", lake)
    assert code == 1 and err.endswith(f"`lakesift tag {lake} --mend` puts aside what is damaged\n")
    with Lake.open(lake) as opened:
        (finding,) = doctor._people(opened)
    assert (finding.what, finding.ok) == ("tags", False) and "--mend" in finding.detail
    done = json.loads(told(capsys, "tag", lake, "--mend", "--json")[1])
    assert (done["kept"], done["lost"]) == (1, 1)
    assert b"right" in Path(done["aside"]).read_bytes()
    assert told(capsys, "tag", lake)[1] == f"rain{1:>12}\n"
    with Lake.open(lake) as opened:
        opened.searches.save("a", {"query": "red"})
        assert [(each.what, each.detail) for each in doctor._people(opened)] == [
            ("tags", "1 tag, every act as it was written"), ("searches", "1 search saved"),
        ]  # fmt: skip


def test_a_search_is_saved_listed_taken_up_and_deleted(lake: str, capsys: Capture) -> None:
    assert told(capsys, "saved", lake) == (0, "", "no search was saved\n")
    first = told(
        capsys, "search", lake, "red", "--where", "row_id < 4", "--save", "Warm", "--paths"
    )
    assert first[0] == 0 and first[2].startswith("saved as Warm\n")
    again = told(capsys, "search", lake, "--saved", "warm", "--paths")
    assert (again[0], again[1]) == (0, first[1])
    assert (
        len(told(capsys, "search", lake, "--saved", "warm", "--paths", "-k", "1")[1].split()) == 1
    )
    (listed,) = json.loads(told(capsys, "saved", lake, "--json")[1])["searches"]
    assert (listed["name"], listed["query"]["where"]) == ("Warm", "row_id < 4")
    assert told(capsys, "saved", lake)[1].startswith('Warm  {"texts": [{"text": "red", ')
    code, _, err = told(capsys, "search", lake, "blue", "--saved", "warm")
    assert code == 2 and err.startswith("lakesift: --saved: it brings its own texts")
    assert told(capsys, "saved", lake, "--delete", "WARM")[1] == "deleted Warm\n"
    code, _, err = told(capsys, "search", lake, "--saved", "warm")
    assert code == 1 and err.startswith(f"lakesift: {lake} has no saved search 'warm'; ")
