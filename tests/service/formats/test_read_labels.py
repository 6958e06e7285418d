"""Labels from files of Label Studio, CVAT and COCO:
what each answer means, and what is listed as a problem.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import BadRequest
from service.formats.cvat import ANNOTATIONS
from service.formats.exporting import export
from service.formats.incoming import IncomingLabel, IncomingLabels, plain_name
from service.formats.label_studio import LABEL_CONFIG
from service.formats.read_labels import read_labels
from tests.service.formats.things import HANDOVER, item, items


def label(
    row_id: int | None, uri: str | None, said: Any, labeller: str | None = None
) -> IncomingLabel:
    return IncomingLabel(row_id, uri, said, labeller)


def written(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def said(found: IncomingLabels) -> list[tuple[Any, str]]:
    return [(one.row_id or one.uri, one.label) for one in found.labels]


# -- Label Studio


def choice(*choices: str) -> dict[str, Any]:
    return {
        "from_name": "decision",
        "to_name": "image",
        "type": "choices",
        "value": {"choices": [*choices]},
    }


def box(*labels: str) -> dict[str, Any]:
    value = {"x": 1, "y": 1, "width": 5, "height": 5, "rotation": 0, "rectanglelabels": [*labels]}
    return {"from_name": "boxes", "to_name": "image", "type": "rectanglelabels", "value": value}


def annotation(*result: dict[str, Any], by: Any = 1, cancelled: bool = False) -> dict[str, Any]:
    return {"id": 5, "completed_by": by, "was_cancelled": cancelled, "result": [*result]}


def answered(folder: Path, *answers: list[dict[str, Any]]) -> Path:
    """What Label Studio gives back of tasks that were handed over:
    each with its annotations, by row.
    """
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
        tmp_path,
        [annotation(box("chair"), box("bed"))],
        [annotation(box("chair"))],
        [annotation()],
        [annotation(box("drip"))],
    )
    found = read_labels(path, "label_studio", yes=["bed", "drip"])
    assert said(found) == [(1, "yes"), (2, "no"), (4, "yes")]
    assert found.unanswered == 1
    found = read_labels(path, "label_studio", yes=["bed", "drip"], empty_is_no=True)
    assert said(found) == [(1, "yes"), (2, "no"), (3, "no"), (4, "yes")]
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
        {
            "id": 3,
            "data": {"row_id": "12", "image": "?"},
            "annotations": [annotation(choice("keep"))],
        },
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


def test_a_taxonomys_way_is_all_its_categories_and_a_relation_none(tmp_path: Path) -> None:
    bird = {"type": "taxonomy", "value": {"taxonomy": [["bird", "robin"]]}}
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    fish = {"type": "taxonomy", "value": {"taxonomy": [["fish"]]}}
    path = answered(tmp_path, [annotation(bird, relation)], [annotation(fish)])
    assert said(read_labels(path, "label_studio", yes=["robin"])) == [(1, "yes"), (2, "no")]
    assert said(read_labels(path, "label_studio", yes=["bird"])) == [(1, "yes"), (2, "no")]


def test_a_name_that_is_no_text_makes_no_no(tmp_path: Path) -> None:
    path = answered(tmp_path, [annotation(box("chair", 5))], [annotation(box("bed"))])  # type: ignore[arg-type]
    found = read_labels(path, "label_studio", yes=["bed"])
    assert said(found) == [(2, "yes")]
    assert found.problems == [("task 101", "'5' is no name of a category")]


# -- CVAT


def xml(*images: str, meta: str = "") -> str:
    body = "".join(images)
    return f'<?xml version="1.0"?>\n<annotations><version>1.1</version><meta>{meta}</meta>{body}</annotations>'


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
        tmp_path,
        "a.xml",
        xml(image("1.jpg", tag("keep")), meta=f"<project><tasks>{tasks}</tasks></project>"),
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
    other = (
        '<polygon label="chair" points="0,0;1,1;0,1"><attribute name="x">y</attribute></polygon>'
    )
    images = image("1.jpg", other, shape), image("2.jpg", other), image("3.jpg")
    path = written(tmp_path, "a.xml", xml(*images))
    found = read_labels(path, "cvat", yes=["bed"])
    assert [(one.uri, one.label) for one in found.labels] == [("/1.jpg", "yes"), ("/2.jpg", "no")]
    found = read_labels(path, "cvat", yes=["bed"], empty_is_no=True)
    assert [(one.uri, one.label) for one in found.labels][2] == ("/3.jpg", "no")


def test_what_cvats_file_says_wrong_is_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    images = (
        '<image id="7" width="4" height="4"/>',
        image("1.jpg", tag("bed")),
        image("2.jpg", tag("keep")),
    )
    track = '<track id="0" label="bed"><box frame="0" label="bed"/></track>'
    found = read_labels(written(tmp_path, "a.xml", xml(track, *images)), "cvat")
    assert [one.uri for one in found.labels] == ["/2.jpg"]
    assert found.problems == [
        ("a track", "it is of CVAT for video; export as CVAT for images"),
        ("image 7", "it has no name"),
        ("1.jpg", "'bed' is not keep, drop or ask; name the categories that mean yes"),
    ]


def test_a_mark_of_a_person_that_says_nothing_known_makes_no_no(tmp_path: Path) -> None:
    images = (
        image("1.jpg", tag("chair"), '<box source="manual"/>'),
        image("2.jpg", tag("chair"), '<brush label="bed" source="manual"/>'),
        image("3.jpg", tag("chair"), '<brush label="bed" source="auto"/>', tag("bed", "file")),
        image("4.jpg", tag("bed")),
    )
    found = read_labels(written(tmp_path, "a.xml", xml(*images)), "cvat", yes=["bed"])
    assert said(found) == [("/3.jpg", "no"), ("/4.jpg", "yes")]
    assert found.problems == [
        ("1.jpg", "there is a box without a label on it"),
        ("2.jpg", "there is a 'brush' on it, which is no mark of CVAT 1.1"),
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
        f"file: {path} is no cvat file: it declares a document type, which no annotation tool writes; it is not read"
    )


def test_xml_that_names_a_file_of_this_machine_is_refused(tmp_path: Path) -> None:
    secret = written(tmp_path, "secret", "s3cret")
    text = (
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]>'
        + xml(image("&x;", tag("keep"))).split("\n")[1]
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
        [label(None, "/photos/a/1.jpg", "yes"), label(None, "/photos/a/2.jpg", "no")],
        [],
        unanswered=1,
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


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        (
            [{"id": 1, "file_name": "1.jpg"}, {"id": 1, "file_name": "2.jpg"}],
            "id 1 is of both '1.jpg' and '2.jpg': which of them was annotated is not known",
        ),
        (
            [{"id": 1, "file_name": f"{n}.jpg"} for n in (1, 2, 3, 4)],
            "id 1 is of '1.jpg', '2.jpg' and 2 more: which of them was annotated is not known",
        ),
    ],
)
def test_images_of_one_id_have_no_label(
    tmp_path: Path, images: list[dict[str, Any]], problem: str
) -> None:
    document = coco([*images, {"id": 9, "file_name": "9.jpg"}], [on(1, 1), on(9, 2)])
    found = read_labels(written(tmp_path, "a.json", document), "coco", yes=["bed"])
    assert said(found) == [("/9.jpg", "no")]
    assert found.problems == [(image["file_name"], problem) for image in images]


def test_an_image_that_stands_there_twice_is_one(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "1.jpg"}, {"id": 1, "file_name": "1.jpg", "width": 4}]
    path = written(tmp_path, "a.json", coco(images, [on(1, 1), on(1, 2)]))
    found = read_labels(path, "coco", yes=["bed"])
    assert found == IncomingLabels([label(None, "/1.jpg", "yes")])


def test_a_category_of_two_names_is_nobodys(tmp_path: Path) -> None:
    """Image 1 may have a bed: its chair makes it no no. Image 2 has one, whatever else it has."""
    images = [{"id": n, "file_name": f"{n}.jpg"} for n in (1, 2, 3, 4)]
    document = coco(images, [on(1, 1), on(1, 2), on(2, 1), on(2, 4), on(3, 2), on(4, 1)])
    names = {1: ["bed", "lamp"], 2: ["chair", "chair"], 4: ["bed"]}
    document["categories"] = [
        {"id": key, "name": name} for key, both in names.items() for name in both
    ]
    found = read_labels(
        written(tmp_path, "a.json", document), "coco", yes=["bed"], empty_is_no=True
    )
    assert said(found) == [("/2.jpg", "yes"), ("/3.jpg", "no")]
    twice = "category 1 is both 'bed' and 'lamp'; give each an id of its own"
    assert found.problems == [
        ("annotation 1 in the file", twice),
        ("annotation 3 in the file", twice),
        ("annotation 6 in the file", twice),
        ("1.jpg", "what annotation 1 in the file says of it is not known, so it is not answered"),
        ("4.jpg", "what annotation 6 in the file says of it is not known, so it is not answered"),
    ]


def test_an_image_whose_annotation_is_of_no_category_is_no_no(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.jpg"} for n in (1, 2)]
    path = written(tmp_path, "a.json", coco(images, [on(1, 9), on(1, 2), on(2, 2)]))
    found = read_labels(path, "coco", yes=["bed"], empty_is_no=True)
    assert said(found) == [("/2.jpg", "no")]
    assert [about for about, _ in found.problems] == ["annotation 1 in the file", "1.jpg"]


def test_cocos_ids_that_are_written_in_two_ways(tmp_path: Path) -> None:
    """7.0 is 7. "8" is not 8, but may have been meant: image 8 is not empty for certain."""
    images = [{"id": n, "file_name": f"{n}.jpg"} for n in (7, 8, 9)]
    document = coco(images, [on(7.0, 1.0), on("8", 1)])
    found = read_labels(
        written(tmp_path, "a.json", document), "coco", yes=["bed"], empty_is_no=True
    )
    assert said(found) == [("/7.jpg", "yes"), ("/9.jpg", "no")]
    assert found.problems == [
        ("annotation 2 in the file", "there is no image '8'"),
        ("8.jpg", "what annotation 2 in the file says of it is not known, so it is not answered"),
    ]


# -- all


CATS = {
    "coco": {
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "annotations": [on(1, 1)],
        "categories": [{"id": 1, "name": "Cat"}, {"id": 2, "name": "dog "}],
    },
    "label_studio": [
        {"id": 1, "data": {"row_id": 1}, "annotations": [annotation(box("Cat"), box("dog "))]}
    ],
    "cvat": xml(
        image("1.jpg", tag("Cat")),
        meta="<task><labels><label><name>dog </name></label></labels></task>",
    ),
}


@pytest.mark.parametrize("format", CATS)
@pytest.mark.parametrize(
    ("yes", "unknown"),
    [
        (["cat"], "'cat'; did you mean 'Cat'?"),
        (["Cat", "dog"], "'dog'; did you mean 'dog '?"),
        (["Cats", "dog "], "'Cats'; did you mean 'Cat'?"),
        (["wheelchair"], "'wheelchair';"),
        ([""], "'';"),
    ],
)
def test_a_category_that_the_file_does_not_know_is_refused(
    tmp_path: Path, format: str, yes: list[str], unknown: str
) -> None:
    path = written(tmp_path, "file", CATS[format])
    with pytest.raises(BadRequest) as caught:
        read_labels(path, format, yes=yes)
    assert str(caught.value) == f"yes: {path} has no category {unknown} it has 'Cat', 'dog '"
    assert said(read_labels(path, format, yes=["Cat"]))[0][1] == "yes"


def test_a_category_that_is_defined_and_on_no_image_makes_nos(tmp_path: Path) -> None:
    coco_path = written(tmp_path, "a.json", CATS["coco"])
    assert said(read_labels(coco_path, "coco", yes=["dog "])) == [("/1.jpg", "no")]
    cvat_path = written(tmp_path, "a.xml", CATS["cvat"])
    assert said(read_labels(cvat_path, "cvat", yes=["dog "])) == [("/1.jpg", "no")]


def test_of_many_categories_some_are_shown(tmp_path: Path) -> None:
    document = coco([], [])
    document["categories"] = [{"id": n, "name": f"c{n:02d}"} for n in range(15)]
    with pytest.raises(BadRequest, match=r"it has 'c00', 'c01', .*'c11' and 3 more$"):
        read_labels(written(tmp_path, "a.json", document), "coco", yes=["bed"])


def test_numbers_that_json_does_not_have_cost_nothing(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": 'NaN "Infinity\\.jpg', "width": float("nan")}]
    more = {"area": float("inf"), "score": float("-inf")}
    path = written(tmp_path, "a.json", coco(images, [{**on(1, 1), **more}]))
    assert "NaN" in path.read_text() and "-Infinity" in path.read_text()
    found = read_labels(path, "coco", yes=["bed"])
    assert found == IncomingLabels([label(None, '/NaN "Infinity\\.jpg', "yes")])
    tasks = [{"id": 1, "data": {"row_id": 3, "x": float("nan")}, "annotations": [annotation()]}]
    path = written(tmp_path, "a.json", tasks)
    assert read_labels(path, "label_studio").unanswered == 1
    path = written(tmp_path, "a.json", '[{"id": NaN, "id": nan}]')
    with pytest.raises(BadRequest, match=r"invalid literal.*: line 1 column 21 "):
        read_labels(path, "label_studio")


def test_an_id_that_is_no_number_is_no_id(tmp_path: Path) -> None:
    document = coco([{"id": float("nan"), "file_name": "1.jpg"}], [on(float("nan"), 1)])
    found = read_labels(written(tmp_path, "a.json", document), "coco", yes=["bed"])
    assert found == IncomingLabels(
        [],
        [
            ("annotation 1 in the file", "there is no image None"),
            ("image 1 in the file", "it has no id"),
        ],
    )


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.jpg", "a.jpg"),
        ("./a.jpg", "a.jpg"),
        (".//./a.jpg", "a.jpg"),
        (".\\a.jpg", "a.jpg"),
        ("b/a.jpg", None),
        ("b\\a.jpg", None),
        ("/a.jpg", None),
        ("s3://b/a.jpg", None),
        ("../a.jpg", None),
        ("", None),
        (".a.jpg", ".a.jpg"),
    ],
)
def test_a_file_name_alone(name: str, plain: str | None) -> None:
    assert plain_name(name) == plain


def test_every_format_says_where_a_file_name_stands_alone(tmp_path: Path) -> None:
    files: dict[str, object] = {
        "coco": coco([{"id": 1, "file_name": "1.jpg"}], [on(1, 3)]),
        "cvat": xml(image("1.jpg", tag("keep"))),
        "csv": "uri,label\n1.jpg,yes\n",
    }
    for data in ({"image": "/data/local-files/?d=1.jpg"}, {"image": "1.jpg"}):
        tasks = [{"id": 1, "data": data, "annotations": [annotation(choice("keep"))]}]
        files |= {"label_studio": tasks}
        for format, content in files.items():
            (one,) = read_labels(written(tmp_path, "f", content), format, root="/p").labels
            assert (one.uri, one.plain, one.label) == ("/p/1.jpg", "1.jpg", "yes")


@pytest.mark.parametrize(
    ("format", "content", "why"),
    [
        (
            "label_studio",
            {"images": []},
            "it is not a list of tasks; export as JSON, not as COCO or CSV",
        ),
        ("coco", [1], "it has no list of images"),
        ("coco", {"images": [], "annotations": []}, "it has no list of categories"),
    ],
)
def test_a_file_of_another_kind_is_a_sentence(
    tmp_path: Path, format: str, content: object, why: str
) -> None:
    path = written(tmp_path, "a.json", content)
    with pytest.raises(BadRequest) as caught:
        read_labels(path, format)
    assert str(caught.value) == f"file: {path} is no {format} file: {why}"


@pytest.mark.parametrize("format", ["label_studio", "coco"])
def test_a_file_that_is_no_json_is_a_sentence(tmp_path: Path, format: str) -> None:
    path = written(tmp_path, "a.json", "id,label\n")
    with pytest.raises(BadRequest, match=f"^file: .* is no {format} file: unexpected character"):
        read_labels(path, format)


def test_a_file_that_is_not_there_and_a_format_that_brings_nothing_are_sentences(
    tmp_path: Path,
) -> None:
    with pytest.raises(BadRequest) as caught:
        read_labels(tmp_path / "no.json", "coco")
    assert (
        str(caught.value) == f"file: {tmp_path}/no.json cannot be read: no such file or directory"
    )
    with pytest.raises(
        BadRequest, match=r"^format: 'yolo' brings no labels; csv, coco, label_studio, cvat do$"
    ):
        read_labels(tmp_path / "no.json", "yolo")
