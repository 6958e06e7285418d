"""Labels from files of Label Studio, CVAT and COCO: what each answer means, and what is listed as a problem."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import BadRequest
from service.export import export
from service.export.cvat import ANNOTATIONS
from service.export.incoming import IncomingLabel, IncomingLabels, read_labels
from service.export.label_studio import LABEL_CONFIG
from tests.service.export.things import HANDOVER, item, items


def label(row_id: int | None, uri: str | None, said: Any, labeller: str | None = None) -> IncomingLabel:
    return IncomingLabel(row_id, uri, said, labeller)


def written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


# -- Label Studio


def choice(*choices: str) -> dict[str, Any]:
    return {"from_name": "decision", "to_name": "image", "type": "choices", "value": {"choices": [*choices]}}


def box(*labels: str) -> dict[str, Any]:
    value = {"x": 1, "y": 1, "width": 5, "height": 5, "rotation": 0, "rectanglelabels": [*labels]}
    return {"from_name": "boxes", "to_name": "image", "type": "rectanglelabels", "value": value}


def annotation(*result: dict[str, Any], by: Any = 1, cancelled: bool = False) -> dict[str, Any]:
    return {"id": 5, "completed_by": by, "was_cancelled": cancelled, "result": [*result]}


def answered(folder: Path, *answers: list[dict[str, Any]]) -> Path:
    """What Label Studio gives back of tasks that were handed over: each with its annotations, by row."""
    given = items(len(answers))
    export(given, HANDOVER, "label_studio", folder / "tasks.json")
    tasks = json.loads((folder / "tasks-00001.json").read_bytes())
    for number, (task, made) in enumerate(zip(tasks, answers, strict=True), 1):
        task.update({"id": 100 + number, "annotations": made, "drafts": []})
    return written(folder, "export.json", tasks)


def test_label_studios_answers_come_back_by_row_and_labeller(tmp_path: Path) -> None:
    path = answered(
        tmp_path,
        [annotation(choice("keep"), by={"id": 3, "email": "ann@example.org"})],
        [annotation(choice("drop"), by=3), annotation(choice("keep"), by=4)],
        [annotation(choice("ask"))],
        [annotation(cancelled=True)],
        [],  # nobody looked; its prediction is no answer
    )
    assert read_labels(path, "label_studio") == IncomingLabels(
        [
            label(1, "/photos/1.jpg", "yes", "ann@example.org"),
            label(2, "/photos/2.jpg", "no", "3"),
            label(2, "/photos/2.jpg", "yes", "4"),
            label(3, "/photos/3.jpg", "skip", "1"),
            label(4, "/photos/4.jpg", "skip", "1"),
        ],
        [],
        unanswered=1,
    )


def test_the_annotations_of_these_tests_are_ones_that_label_studio_takes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's word to Label Studio, that it is old-fashioned
        from label_studio_sdk.label_interface import LabelInterface

        interface = LabelInterface(LABEL_CONFIG)
    for name in ("keep", "drop", "ask"):
        assert interface.validate_annotation(annotation(choice(name)))
    assert not interface.validate_annotation(annotation(choice("table")))


def test_a_byte_order_mark_is_no_reason_to_refuse_a_file(tmp_path: Path) -> None:
    path = answered(tmp_path, [annotation(choice("keep"))])
    found = read_labels(path, "label_studio")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_labels(path, "label_studio") == found


def test_a_box_of_a_named_category_is_a_yes_and_one_of_others_a_no(tmp_path: Path) -> None:
    path = answered(
        tmp_path, [annotation(box("chair"), box("bed"))], [annotation(box("chair"))], [annotation()]
    )
    found = read_labels(path, "label_studio", yes=["bed", "drip"])
    assert [(one.row_id, one.label) for one in found.labels] == [(1, "yes"), (2, "no")]
    assert found.unanswered == 1
    found = read_labels(path, "label_studio", yes=["bed", "drip"], empty_is_no=True)
    assert [(one.row_id, one.label) for one in found.labels] == [(1, "yes"), (2, "no"), (3, "no")]
    assert found.unanswered == 0


def test_a_task_that_nobody_annotated_is_not_a_no(tmp_path: Path) -> None:
    found = read_labels(answered(tmp_path, []), "label_studio", yes=["bed"], empty_is_no=True)
    assert (found.labels, found.unanswered) == ([], 1)


def test_a_task_without_our_data_is_found_by_its_address(tmp_path: Path) -> None:
    tasks = [
        {
            "id": 1,
            "data": {"image": "/data/local-files/?d=a/%C3%BC%20%26.jpg"},
            "annotations": [annotation(choice("yes"))],
        },
        {"id": 2, "data": {"image": "s3://shop/b.jpg"}, "annotations": [annotation(choice("No"))]},
        {"id": 3, "data": {"row_id": "12", "image": "?"}, "annotations": [annotation(choice("keep"))]},
    ]
    path = written(tmp_path, "export.json", tasks)
    assert read_labels(path, "label_studio", root="/photos").labels == [
        label(None, "/photos/a/ü &.jpg", "yes", "1"),
        label(None, "s3://shop/b.jpg", "no", "1"),
        label(12, None, "yes", "1"),
    ]
    assert read_labels(path, "label_studio").labels[0].uri == "/a/ü &.jpg"


def test_what_label_studios_file_says_wrong_is_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    tasks = [
        {"id": 1, "data": {"row_id": 1}, "annotations": [annotation(choice("table"))]},
        {"id": 2, "data": {"row_id": 2}, "annotations": [annotation(choice("keep", "drop"))]},
        {"id": 3, "data": {"text": "a"}, "annotations": []},
        {"id": 4, "row_id": 4, "decision": "keep"},
        "nonsense",
        {"id": 6, "data": None, "annotations": []},
        {"id": 7, "data": {"row_id": 7}, "annotations": [{"result": [5]}]},
        {"id": 8, "data": {"row_id": True}, "annotations": [annotation(choice("keep"))]},
        {"id": 9, "data": {"row_id": 9}, "annotations": [annotation(choice("keep"), by=None)]},
    ]
    found = read_labels(written(tmp_path, "export.json", tasks), "label_studio")
    assert found.labels == [label(9, None, "yes")]
    nameless = "its data name no image: there is neither row_id, uri nor an address"
    misbuilt = "it is not built as a task of Label Studio's JSON export"
    assert found.problems == [
        ("task 1", "'table' is not keep, drop or ask; name the categories that mean yes"),
        ("task 2", "it is both keep and drop"),
        ("task 3", nameless),
        ("task 4", "it has no annotations; export as JSON, not as JSON-MIN"),
        ("task 5 in the file", misbuilt),
        ("task 6", misbuilt),
        ("task 7", misbuilt),
        ("task 8", nameless),
    ]


# -- CVAT


def xml(*images: str, meta: str = "") -> str:
    body = "".join(images)
    return (
        f'<?xml version="1.0"?>\n<annotations><version>1.1</version><meta>{meta}</meta>{body}</annotations>'
    )


def image(name: str, *marks: str) -> str:
    return f'<image id="0" name="{name}" width="4" height="4">{"".join(marks)}</image>'


def tag(name: str, source: str = "manual") -> str:
    return f'<tag label="{name}" source="{source}"></tag>'


def test_cvats_tags_come_back_by_name_and_the_tasks_assignee(tmp_path: Path) -> None:
    meta = "<task><assignee><username>ann</username><email></email></assignee></task>"
    images = (
        image("a/1.jpg", tag("keep")),
        image("a/&lt;2&gt;.jpg", tag("drop")),
        image("a/3.jpg", tag("ask")),
    )
    path = written(tmp_path, "annotations.xml", xml(*images, meta=meta))
    assert read_labels(path, "cvat", root="/photos") == IncomingLabels(
        [
            label(None, "/photos/a/1.jpg", "yes", "ann"),
            label(None, "/photos/a/<2>.jpg", "no", "ann"),
            label(None, "/photos/a/3.jpg", "skip", "ann"),
        ]
    )


def test_of_several_assignees_nobody_knows_who_it_was(tmp_path: Path) -> None:
    tasks = "".join(
        f"<task><assignee><username>{name}</username></assignee></task>" for name in ("ann", "bob")
    )
    path = written(
        tmp_path, "a.xml", xml(image("1.jpg", tag("keep")), meta=f"<project><tasks>{tasks}</tasks></project>")
    )
    assert read_labels(path, "cvat").labels == [label(None, "/1.jpg", "yes")]


def test_what_was_handed_over_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    """CVAT marks what it read from a file; somebody may also give us our own file back."""
    images = (
        image("1.jpg", tag("keep", "file")),
        image("2.jpg", tag("keep", "file"), tag("keep")),
        image("3.jpg"),
    )
    found = read_labels(written(tmp_path, "a.xml", xml(*images)), "cvat")
    assert ([one.uri for one in found.labels], found.unanswered) == (["/2.jpg"], 2)

    export([item(1), item(2, label="yes")], HANDOVER, "cvat", tmp_path / "kept")
    found = read_labels(tmp_path / "kept-00001" / ANNOTATIONS, "cvat")
    assert found == IncomingLabels([label(None, "/photos/2.jpg", "yes")], [], unanswered=1)


def test_a_person_who_leaves_our_tag_and_adds_another_is_heard(tmp_path: Path) -> None:
    path = written(tmp_path, "a.xml", xml(image("1.jpg", tag("keep", "file"), tag("drop"))))
    assert read_labels(path, "cvat").labels == [label(None, "/1.jpg", "no")]


def test_shapes_of_a_named_category_are_a_yes(tmp_path: Path) -> None:
    shape = '<box label="bed" source="manual" occluded="0" xtl="0" ytl="0" xbr="1" ybr="1"></box>'
    other = '<polygon label="chair" points="0,0;1,1;0,1"><attribute name="x">y</attribute></polygon>'
    images = image("1.jpg", other, shape), image("2.jpg", other), image("3.jpg")
    path = written(tmp_path, "a.xml", xml(*images))
    found = read_labels(path, "cvat", yes=["bed"])
    assert [(one.uri, one.label) for one in found.labels] == [("/1.jpg", "yes"), ("/2.jpg", "no")]
    found = read_labels(path, "cvat", yes=["bed"], empty_is_no=True)
    assert [(one.uri, one.label) for one in found.labels][2] == ("/3.jpg", "no")


def test_what_cvats_file_says_wrong_is_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    images = '<image id="7" width="4" height="4"/>', image("1.jpg", tag("bed")), image("2.jpg", tag("keep"))
    track = '<track id="0" label="bed"><box frame="0" label="bed"/></track>'
    found = read_labels(written(tmp_path, "a.xml", xml(track, *images)), "cvat")
    assert [one.uri for one in found.labels] == ["/2.jpg"]
    assert found.problems == [
        ("a track", "it is of CVAT for video; export as CVAT for images"),
        ("image 7", "it has no name"),
        ("1.jpg", "'bed' is not keep, drop or ask; name the categories that mean yes"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_grows_is_refused_before_it_grows(tmp_path: Path, encoding: str) -> None:
    """A billion laughs: ten entities, each ten times the one before, would be 10 GB."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 11))
    text = f'<!DOCTYPE annotations [<!ENTITY l0 "ha">{entities}]>{image("&l10;", tag("keep"))}'
    path = tmp_path / "a.xml"
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding))
    with pytest.raises(BadRequest) as caught:
        read_labels(path, "cvat")
    assert str(caught.value) == (
        f"file: {path} is no cvat file: it declares a document type, which no export of CVAT does; it is not read"
    )


def test_xml_that_names_a_file_of_this_machine_is_refused(tmp_path: Path) -> None:
    secret = written(tmp_path, "secret", "s3cret")
    text = (
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]>' + xml(image("&x;", tag("keep"))).split("\n")[1]
    )
    with pytest.raises(BadRequest, match="declares a document type"):
        read_labels(written(tmp_path, "a.xml", text), "cvat")


def test_xml_that_is_cut_off_or_of_something_else_is_a_sentence(tmp_path: Path) -> None:
    whole = xml(image("1.jpg", tag("keep")))
    with pytest.raises(BadRequest, match=r"is no cvat file: its XML is broken \("):
        read_labels(written(tmp_path, "a.xml", whole[:-20]), "cvat")
    with pytest.raises(
        BadRequest, match=r"it does not begin with <annotations>; export as CVAT for images 1.1$"
    ):
        read_labels(written(tmp_path, "a.xml", "<svg/>"), "cvat")
    with pytest.raises(BadRequest, match=r"is no cvat file: its XML is broken \("):
        read_labels(written(tmp_path, "a.xml", ""), "cvat")


# -- COCO


def coco(images: list[Any], annotations: list[Any], **more: Any) -> dict[str, Any]:
    categories = [{"id": 1, "name": "bed"}, {"id": 2, "name": "chair"}, {"id": 3, "name": "keep"}]
    return {"images": images, "annotations": annotations, "categories": categories, **more}


def on(image_id: Any, category_id: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": image_id, "category_id": category_id, "bbox": [0, 0, 1, 1]}


def test_coco_says_which_images_have_a_named_category(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"a/{n}.jpg", "width": 4, "height": 4} for n in (1, 2, 3)]
    path = written(tmp_path, "a.json", coco(images, [on(1, 1), on(1, 2), on(2, 2)]))
    found = read_labels(path, "coco", yes=["bed"], root="/photos")
    assert found == IncomingLabels(
        [label(None, "/photos/a/1.jpg", "yes"), label(None, "/photos/a/2.jpg", "no")], [], unanswered=1
    )
    found = read_labels(path, "coco", yes=["bed"], root="/photos", empty_is_no=True)
    assert found.labels[2] == label(None, "/photos/a/3.jpg", "no")


def test_cocos_ids_are_row_ids_only_in_a_file_that_was_handed_over(tmp_path: Path) -> None:
    export(items(2), HANDOVER, "coco", tmp_path / "kept.json")
    document = json.loads((tmp_path / "kept.json").read_bytes())
    document["categories"] = [{"id": 3, "name": "keep"}]
    document["annotations"] = [on(2, 3)]
    path = written(tmp_path, "back.json", document)
    assert read_labels(path, "coco").labels == [label(2, "/photos/2.jpg", "yes")]
    del document["info"]
    path = written(tmp_path, "back.json", document)
    assert read_labels(path, "coco").labels == [label(None, "/photos/2.jpg", "yes")]


def test_what_cocos_file_says_wrong_is_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    images = [
        {"id": 1, "file_name": "1.jpg"},
        {"file_name": "2.jpg"},
        {"id": 3},
        {"id": 4, "file_name": "4.jpg"},
    ]
    annotations = [on(1, 3), on(1, 9), on(8, 3), "nonsense", on([1], 3), on(4, 1)]
    found = read_labels(written(tmp_path, "a.json", coco(images, annotations)), "coco")
    assert found.labels == [label(None, "/1.jpg", "yes")]
    assert found.problems == [
        ("annotation 2 in the file", "there is no category 9"),
        ("annotation 3 in the file", "there is no image 8"),
        ("annotation 4 in the file", "it is not built as an annotation"),
        ("annotation 5 in the file", "there is no image [1]"),
        ("image 2 in the file", "it has no id"),
        ("image 3 in the file", "it has no file_name"),
        ("4.jpg", "'bed' is not keep, drop or ask; name the categories that mean yes"),
    ]


# -- all


@pytest.mark.parametrize(
    ("format", "content", "why"),
    [
        ("label_studio", {"images": []}, "it is not a list of tasks; export as JSON, not as COCO or CSV"),
        ("coco", [1], "it has no list of images"),
        ("coco", {"images": [], "annotations": []}, "it has no list of categories"),
    ],
)
def test_a_file_of_another_kind_is_a_sentence(tmp_path: Path, format: str, content: object, why: str) -> None:
    path = written(tmp_path, "a.json", content)
    with pytest.raises(BadRequest) as caught:
        read_labels(path, format)
    assert str(caught.value) == f"file: {path} is no {format} file: {why}"


@pytest.mark.parametrize("format", ["label_studio", "coco"])
def test_a_file_that_is_no_json_is_a_sentence(tmp_path: Path, format: str) -> None:
    path = written(tmp_path, "a.json", "id,label\n")
    with pytest.raises(BadRequest, match=f"^file: .* is no {format} file: unexpected character"):
        read_labels(path, format)


def test_a_file_that_is_not_there_and_a_format_that_brings_nothing_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(BadRequest) as caught:
        read_labels(tmp_path / "no.json", "coco")
    assert str(caught.value) == f"file: {tmp_path}/no.json cannot be read: no such file or directory"
    with pytest.raises(BadRequest, match=r"^format: 'yolo' brings no labels; label_studio, cvat, coco do$"):
        read_labels(tmp_path / "no.json", "yolo")
