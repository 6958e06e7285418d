"""Labels that come back: which row each of them means, and what is told of those of no use."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.errors import BadRequest
from service.formats import csv
from service.formats.incoming import FileProblem, IncomingLabel, IncomingLabels, Reading
from service.formats.read_labels import read_labels
from service.relevance.labels.book import NewLabel
from service.relevance.labels.label_imports import labels_of
from service.relevance.labels.row_names import RowNames

URIS = {"/p/a.jpg": 1, "/p/b, c.jpg": 2, "/p/ü.jpg": 3}
Taken = tuple[list[NewLabel], list[FileProblem]]


def taken(incoming: IncomingLabels, labeller: str = "unnamed") -> Taken:
    labels, problems = labels_of(
        incoming.labels, URIS.get, set(URIS.values()).__contains__, labeller
    )
    return labels, sorted([*incoming.problems, *problems])


def read(path: Path) -> Taken:
    return taken(read_labels(path, "csv"))


def lines(text: str, labeller: str = "unnamed") -> Taken:
    return taken(csv.read(text.encode(), Reading()), labeller)


# -- a person's table


def test_rows_are_named_by_uri_or_number() -> None:
    labels, problems = lines(
        'uri,label,labeller\n/p/a.jpg,yes,ann\n"/p/b, c.jpg",No,\n', labeller="bob"
    )
    assert labels == [NewLabel(1, "yes", "ann", "picked"), NewLabel(2, "no", "bob", "picked")]
    assert problems == []
    assert lines("row_id,label\n3,skip\n") == ([NewLabel(3, "skip", "unnamed", "picked")], [])


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
    assert lines("row_id,uri,label\n1,/old/a.jpg,yes\n") == (
        [NewLabel(1, "yes", purpose="picked")],
        [],
    )


def test_spreadsheets_write_marks_and_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes("\ufeffURI;Label\r\n/p/ü.jpg;yes\r\n".encode())
    assert read(path) == ([NewLabel(3, "yes", purpose="picked")], [])
    assert lines("\ufeffrow_id\tlabel\n1\tno\n") == ([NewLabel(1, "no", purpose="picked")], [])


def test_files_that_cannot_be_read_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with pytest.raises(
        BadRequest, match=r"^labels: .*labels\.csv cannot be read \(No such file or directory\)$"
    ):
        read(path)
    path.write_bytes("uri,label\n/p/ü.jpg,yes\n".encode("latin-1"))
    with pytest.raises(
        BadRequest, match=r"labels\.csv is not UTF-8 text; save it as CSV in UTF-8$"
    ):
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


def test_a_table_becomes_the_same_labels_as_a_tools_file() -> None:
    found = csv.read(b"row_id,uri,label,labeller\n2,,y,ann\n,/p/a.jpg,skip,\n", Reading())
    assert found == IncomingLabels(
        [
            IncomingLabel(2, None, "yes", "ann", line=2),
            IncomingLabel(None, "/p/a.jpg", "skip", None, line=3),
        ]
    )


# -- a tool's file


def test_in_a_tools_file_a_name_counts_more_than_another_lakes_row_id() -> None:
    incoming = IncomingLabels(
        [
            IncomingLabel(99, "/p/a.jpg", "yes", "ann"),
            IncomingLabel(2, None, "no", None),
            IncomingLabel(1, "/elsewhere.jpg", "yes", None),
            IncomingLabel(99, None, "yes", None),
        ],
        [("task 7", "it is both keep and drop")],
    )
    labels, problems = taken(incoming, "bob")
    assert labels == [NewLabel(1, "yes", "ann", "picked"), NewLabel(2, "no", "bob", "picked")]
    assert problems == [
        (
            "/elsewhere.jpg",
            "uri: it is not in this lake; if the tool shortened its name, say from where (root)",
        ),
        ("row 99", "row_id: 99 is no row of this lake"),
        ("task 7", "it is both keep and drop"),
    ]


# -- names, and answers that contradict each other


def rows_named(incoming: IncomingLabels, root: str | None = None) -> Taken:
    names = RowNames(URIS)
    labels, problems = labels_of(
        incoming.labels,
        names.find,
        set(URIS.values()).__contains__,
        find_plain=lambda name: names.find_plain(name, root),
    )
    return labels, [*incoming.problems, *problems]


def test_a_table_may_name_images_below_a_root_or_alone() -> None:
    text = b"uri,label\na.jpg,yes\n./u\xcc\x88.jpg,no\n/p//b%2C%20c.jpg,skip\nq/a.jpg,yes\n"
    labels, problems = rows_named(csv.read(text, Reading()))
    assert [(each.row_id, each.label) for each in labels] == [(1, "yes"), (3, "no"), (2, "skip")]
    assert problems == [
        (5, "uri: 'q/a.jpg' is not in this lake; if it is below a folder, say which (root)")
    ]
    labels, problems = rows_named(csv.read(b"uri,label\np/a.jpg,yes\n", Reading(root="/")), "/")
    assert [(each.row_id, each.label) for each in labels] == [(1, "yes")]
    labels, problems = rows_named(csv.read(b"uri,label\na.jpg,yes\n", Reading(root="/q")), "/q")
    assert (labels, problems) == ([], [(2, "uri: '/q/a.jpg' is not in this lake")])


def test_a_whole_path_that_is_not_there_is_not_taken_for_its_file_name() -> None:
    names = [IncomingLabel(None, "/q/a.jpg", "yes", None), IncomingLabel(None, "/a.jpg", "no", "x")]
    labels, problems = rows_named(IncomingLabels(names))
    assert labels == []
    assert [about for about, _ in problems] == ["/q/a.jpg", "/a.jpg"]


def test_a_number_beside_a_file_name_decides_which_of_two_is_meant() -> None:
    names = RowNames({"/p/a.jpg": 1, "/q/a.jpg": 2, "/p/b.jpg": 3})
    table = b"row_id,uri,label\n2,a.jpg,yes\n3,a.jpg,no\n,a.jpg,no\n1,b.jpg,no\n3,gone.jpg,no\n"
    labels, problems = labels_of(
        csv.read(table, Reading()).labels, names.find, {1, 2, 3}.__contains__, "x", names.find_plain
    )
    assert [(each.row_id, each.label) for each in labels] == [(2, "yes"), (3, "no")]
    assert problems == [
        (3, "row_id: row 3 is not 'a.jpg'; take one of the two out"),
        (4, "uri: it may be any of 2 images (rows 1, 2); say which"),
        (5, "row_id: row 1 is not 'b.jpg'; take one of the two out"),
    ]


def test_a_contradiction_that_nobody_signed_is_no_label() -> None:
    """Row 1 by two spellings; row 2 by two people; row 3 says the same twice, and skip."""
    text = (
        "uri,label,labeller\n/p/a.jpg,yes,\n/p/./a.jpg,no,unnamed\n/p/a.jpg,yes,ann\n"
        '"/p/b, c.jpg",yes,ann\n"/p/b, c.jpg",no,\n/p/ü.jpg,no,\n/p/ü.jpg,no,\n/p/ü.jpg,skip,\n'
    )
    labels, problems = rows_named(csv.read(text.encode(), Reading()))
    assert [(each.row_id, each.label, each.labeller) for each in labels] == [
        (1, "yes", "ann"),
        (2, "yes", "ann"),
        (2, "no", "unnamed"),
        (3, "no", "unnamed"),
        (3, "no", "unnamed"),
        (3, "skip", "unnamed"),
    ]
    said = "label: it is yes in one place and no in another, and neither says by whom; take one out"
    assert problems == [(2, said), (3, said)]


def test_a_labeller_for_the_whole_file_signs_no_contradiction() -> None:
    labels, problems = lines("row_id,label\n1,yes\n1,no\n2,no\n", labeller="bob")
    assert labels == [NewLabel(2, "no", "bob", "picked")]
    assert [line for line, _ in problems] == [2, 3]
    assert lines("row_id,label,labeller\n1,yes,ann\n1,no,ann\n")[1] == []
