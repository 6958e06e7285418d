from __future__ import annotations

import io
from pathlib import Path

import pytest

from indexer.errors import BadRequest
from service.relevance.label_files import Problem, read_label_file
from service.relevance.labels import NewLabel

URIS = {"/p/a.jpg": 1, "/p/b, c.jpg": 2, "/p/ü.jpg": 3}


def read(source: str | Path | io.StringIO, **options: str) -> tuple[list[NewLabel], list[Problem]]:
    return read_label_file(source, URIS.get, set(URIS.values()).__contains__, **options)


def lines(text: str, **options: str) -> tuple[list[NewLabel], list[Problem]]:
    return read(io.StringIO(text), **options)


def test_rows_are_named_by_uri_or_number() -> None:
    labels, problems = lines('uri,label,labeller\n/p/a.jpg,yes,ann\n"/p/b, c.jpg",No,\n', labeller="bob")
    assert labels == [NewLabel(1, "yes", "ann", "picked"), NewLabel(2, "no", "bob", "picked")]
    assert problems == []
    assert lines("row_id,label\n3,skip\n", purpose="audit") == ([NewLabel(3, "skip", "unnamed", "audit")], [])


@pytest.mark.parametrize(
    ("word", "label"),
    [
        *[(word, "yes") for word in ("yes", "Y", "1", "TRUE", " keep ")],
        *[(word, "no") for word in ("no", "n", "0", "false", "Drop")],
        ("skip", "skip"),
    ],
)
def test_the_words_for_a_label(word: str, label: str) -> None:
    assert lines(f"row_id,label\n1,{word}\n") == ([NewLabel(1, label, purpose="picked")], [])


def test_a_bad_line_is_a_problem_and_the_rest_goes_on() -> None:
    text = (
        "row_id,uri,label,labeller,note\n"
        "1,,yes,,a\n"
        "9,,yes,,\n"
        "\n"
        ",/p/none.jpg,no,,\n"
        ",,no,,\n"
        "2,,perhaps,,\n"
        "2,,,,\n"
        "1,/p/ü.jpg,yes,,\n"
        "1.5,,yes,,\n"
        '3,,no,,"two\nlines"\n'
        "2,,no,,,,\n"
        f"2,,no,{'x' * 65},\n"
        "2,,no,,\n"
    )
    labels, problems = lines(text)
    assert [(label.row_id, label.label) for label in labels] == [(1, "yes"), (3, "no"), (2, "no")]
    assert problems[:-1] == [
        (3, "row_id: '9' is no row of this lake"),
        (5, "uri: '/p/none.jpg' is not in this lake"),
        (6, "uri: the line names no image: both uri and row_id are empty"),
        (7, "label: 'perhaps' is not a label; write yes, no or skip"),
        (8, "label: it is empty; write yes, no or skip"),
        (9, "row_id: row 1 is not '/p/ü.jpg'; take one of the two out"),
        (10, "row_id: '1.5' is no row of this lake"),
        (13, "it has 7 cells, the header 5"),
    ]
    assert problems[-1][0] == 14 and "is not 1 to 64 printable characters" in problems[-1][1]


def test_a_moved_image_is_known_by_its_number() -> None:
    assert lines("row_id,uri,label\n1,/old/a.jpg,yes\n") == ([NewLabel(1, "yes", purpose="picked")], [])


def test_spreadsheets_write_marks_and_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes("\ufeffURI;Label\r\n/p/ü.jpg;yes\r\n".encode())
    assert read(path) == ([NewLabel(3, "yes", purpose="picked")], [])
    assert read(str(path)) == read(path)
    assert lines("\ufeffrow_id\tlabel\n1\tno\n") == ([NewLabel(1, "no", purpose="picked")], [])


def test_files_that_cannot_be_read_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with pytest.raises(
        BadRequest, match=r"^labels: .*labels\.csv cannot be read \(No such file or directory\)$"
    ):
        read(path)
    path.write_bytes("uri,label\n/p/ü.jpg,yes\n".encode("latin-1"))
    with pytest.raises(BadRequest, match=r"labels\.csv is not UTF-8 text; save it as CSV in UTF-8$"):
        read(path)
    path.write_text("image,label\n1,yes\n")
    with pytest.raises(BadRequest, match=r"a column uri or row_id; it has image, label$"):
        read(path)
    path.write_text("")
    with pytest.raises(BadRequest, match=r"it has nothing$"):
        read(path)
    path.write_text("row_id,label,label\n1,yes,no\n")
    with pytest.raises(BadRequest, match=r"has two columns label; take one out$"):
        read(path)


def test_a_line_that_is_no_csv_takes_no_other_with_it() -> None:
    labels, problems = lines('row_id,label\n1,"yes"x\n2,no\n3,"yes\n1,no\n')
    assert [(label.row_id, label.label) for label in labels] == [(2, "no")]
    assert problems == [
        (2, "it is not CSV (',' expected after '\"'); check the quotes"),
        (4, "lines 4 to 5 are not CSV (unexpected end of data); check the quotes"),
    ]
    huge = "y" * 200_000
    labels, ((line, problem),) = lines(f"row_id,label\n1,{huge}\n2,no\n")
    assert [label.row_id for label in labels] == [2]
    assert line == 2 and problem.startswith("it is not CSV (field larger than field limit")
    _, ((_, problem),) = lines(f"row_id,label\n1,{huge[:1000]}\n")
    assert len(problem) < 300
