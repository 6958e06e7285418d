"""How a wrong use of the command is told: one sentence with the way out, and exit code 2."""

from __future__ import annotations

from typing import Any

import pytest

from service.cli.arguments import parser
from service.cli.usage import did_you_mean, in_quotes

Capture = pytest.CaptureFixture[str]


def mistake(capsys: Capture, *words: str) -> list[str]:
    """The lines on stderr."""
    with pytest.raises(SystemExit) as exited:
        parser().parse_args(words)
    out, err = capsys.readouterr()
    assert (exited.value.code, out) == (2, "")
    return err.splitlines()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("serch my.lake cat", "lakesift: there is no verb 'serch'; did you mean search?"),
        (
            "apply my.lake x",
            "lakesift: there is no verb 'apply'; did you mean lakesift filter apply?",
        ),
        (
            "list",
            "lakesift: there is no verb 'list'; did you mean lakesift filter list or lakesift key list?",
        ),
        (
            "key frobnicate",
            "lakesift key: there is no action 'frobnicate'; there are add, list, revoke",
        ),
        (
            "filter aply my.lake x",
            "lakesift filter: there is no action 'aply'; did you mean apply?",
        ),
        (
            "search my.lake cat --wher x",
            "lakesift search: there is no option --wher; did you mean --where?",
        ),
        ("search my.lake cat --frobnicate=1", "lakesift search: there is no option --frobnicate"),
        (
            "--json info my.lake",
            "lakesift: there is no option --json before the VERB; those of a verb stand behind it",
        ),
        (
            "filter -x list my.lake",
            "lakesift filter: there is no option -x before the ACTION; those of an action stand behind it",
        ),
        (
            "filter export my.lake x --out - --format coc",
            "lakesift filter export: --format: 'coc' is none of ",
        ),
        ("search my.lake cat -k ten", "lakesift search: -k: 'ten' is not a whole number"),
        ("search my.lake cat -k 0", "lakesift search: -k: 0 is not at least 1"),
        ("search my.lake --row x", "lakesift search: --row: 'x' is not a whole number"),
        (
            "filter apply my.lake x --recall 0,9",
            "lakesift filter apply: --recall: '0,9' is not a number",
        ),
        (
            "models my.lake",
            "lakesift models: nothing is expected at my.lake; a text or path with blanks stands in quotes",
        ),
        (
            "filter new my.lake ward --keep a hospital room",
            "lakesift filter new: nothing is expected at hospital room; a text or path with blanks stands in quotes",
        ),
    ],
)
def test_a_mistake_is_one_sentence(words: str, sentence: str, capsys: Capture) -> None:
    told, help = mistake(capsys, *words.split())
    assert told.startswith(sentence)
    assert help == f"help: {sentence.partition(':')[0]} --help"
    assert sentence.startswith("lakesift filter export") == told.endswith("; did you mean coco?")


@pytest.mark.parametrize(
    ("words", "way_out"),
    [
        ("search my.lake a cat", 'lakesift search my.lake "a cat"'),
        (
            "search my.lake a hospital room -baby --paths",
            'lakesift search my.lake "a hospital room -baby"',
        ),
        ("search my.lake -k 3 a room -kitten", 'lakesift search my.lake "a room -kitten"'),
        ("search my.lake -kitten", 'lakesift search my.lake -- "-kitten"'),
        ('search my.lake 12" vinyl', "lakesift search my.lake '12\" vinyl'"),
    ],
)
def test_a_query_without_quotes_gets_them(words: str, way_out: str, capsys: Capture) -> None:
    told, _ = mistake(capsys, *words.split())
    assert told == f"lakesift search: put quotes around the query: {way_out}"


def test_what_is_missing(capsys: Capture) -> None:
    usage, *_, told, _ = mistake(capsys, "search")
    assert usage.startswith("usage: lakesift search ")
    assert told == "lakesift search: the following arguments are required: LAKE"
    told_of_all = mistake(capsys)
    assert "    search        find images by text, by example images, by metadata" in told_of_all
    assert told_of_all[-1] == "lakesift: say which VERB"
    assert mistake(capsys, "filter")[-1] == "lakesift filter: say which ACTION"


@pytest.mark.parametrize(
    "words",
    [
        ["search", "my.lake", "a cat", "-k", "5", "--paths"],
        ["search", "my.lake", "--paths", "a cat", "-k5"],
        ["search", "my.lake", "-k=5", "--paths", "a cat"],
        ["search", "--paths", "my.lake", "-k", "5", "a cat"],
        ["search", "--paths", "-k", "5", "my.lake", "--", "a cat"],
    ],
)
def test_options_and_words_in_any_order(words: list[str]) -> None:
    found = parser().parse_args(words)
    assert (str(found.lake), found.text, found.k, found.paths) == ("my.lake", "a cat", 5, True)


@pytest.mark.parametrize("query", ["-kitten in a room", "-hen and a cat", "-5 degrees", '-"a b"'])
def test_a_query_that_begins_with_a_minus(query: str) -> None:
    assert parser().parse_args(["search", "my.lake", query]).text == query
    assert parser().parse_args(["search", "my.lake", "--paths", query]).text == query


def test_sources_and_files_between_options() -> None:
    def read(*words: str) -> Any:
        return parser().parse_args(words)

    assert read("index", "a", "--into", "my.lake", "b").sources == ["a", "b"]
    assert read("filter", "decide", "my.lake", "x", "a", "--ask", "b").sources == ["a", "b"]
    restore = read("filter", "restore", "my.lake", "x", "--labeller", "ann", "paths.txt")
    assert (restore.name, str(restore.file)) == ("x", "paths.txt")


def test_did_you_mean() -> None:
    assert did_you_mean("--paht", ["--path", "--print0"]) == "; did you mean --path?"
    assert did_you_mean("zebra", ["search", "sync"]) == ""


@pytest.mark.parametrize(
    ("text", "quoted"), [("a cat", '"a cat"'), ("$5", "'$5'"), ('a "b"', "'a \"b\"'")]
)
def test_quotes_for_a_shell(text: str, quoted: str) -> None:
    assert in_quotes(text) == quoted
