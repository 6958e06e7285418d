"""Sets as users have them: folders and CSV files of tiny images,
read into classes, texts and splits.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from indexer.errors import BadRequest
from training.datasets import DataSet, read, without_leaks


def png(path: Path, colour: tuple[int, int, int] = (0, 0, 0)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2), colour).save(path, "PNG")
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def shown(data: DataSet, root: Path) -> list[tuple[str, tuple[str, ...], int | None, str]]:
    return [(e.path.relative_to(root).as_posix(), e.texts, e.label, e.split) for e in data.examples]


def complaint(argument: Path) -> str:
    with pytest.raises(BadRequest) as raised:
        read(argument, 0)
    return str(raised.value)


# -- class folders


def test_folders_are_classes(tmp_path: Path) -> None:
    for name in ("red_car/2.png", "red_car/1.png", "AnnualCrop/deep/3.png"):
        png(tmp_path / "set" / name)
    write(tmp_path / "set/red_car/notes.txt", "not an image")
    png(tmp_path / "set/.hidden/4.png")
    png(tmp_path / "set/red_car/.thumbnails/5.png")
    (tmp_path / "set/no images").mkdir()
    data = read(tmp_path / "set", 0)
    assert (data.name, data.kind, data.classes, data.missing) == (
        "set",
        "labelled",
        ("annual crop", "red car"),
        0,
    )
    assert shown(data, tmp_path / "set") == [
        ("AnnualCrop/deep/3.png", ("annual crop",), 0, "train"),
        ("red_car/1.png", ("red car",), 1, "train"),
        ("red_car/2.png", ("red car",), 1, "train"),
    ]


@pytest.mark.parametrize("validate", ["validate", "val", "valid", "Val"])
def test_a_split_of_folders_is_kept(tmp_path: Path, validate: str) -> None:
    for number in range(30):
        png(tmp_path / f"train/cat/{number}.png")
    png(tmp_path / "test/dog/a.png")
    png(tmp_path / validate / "cat/b.png")
    data = read(tmp_path, 0)
    assert data.classes == ("cat", "dog")
    assert Counter((e.split, e.label) for e in data.examples) == {
        ("train", 0): 30,
        ("test", 1): 1,
        ("validate", 0): 1,
    }
    assert [e.path.name for e in data.part("validate")] == ["b.png"]


def test_without_validate_a_tenth_of_train_becomes_it(tmp_path: Path) -> None:
    for number in range(20):
        png(tmp_path / f"train/cat/{number}.png")
    png(tmp_path / "test/dog/a.png")
    # The first byte of a sha256 says whether the number is under a tenth: below 25, or above 25 for
    # not; none is 25.
    first = {n: hashlib.sha256(f"train/cat/{n}.png5".encode()).digest()[0] for n in range(20)}
    assert 25 not in first.values()
    expected = {f"{n}.png" for n in range(20) if first[n] < 25}
    data = read(tmp_path, 5)
    assert 0 < len(expected) < 20
    assert {e.path.name for e in data.part("validate")} == expected
    assert len(data.part("test")) == 1


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    png(tmp_path / "train/1.png")
    png(tmp_path / "bus/2.png")
    assert read(tmp_path, 0).classes == ("bus", "train")


def test_train_alone_is_no_split(tmp_path: Path) -> None:
    for number in range(100):
        png(tmp_path / f"train/{'cat' if number % 2 else 'dog'}/{number}.png")
    assert set(Counter(e.split for e in read(tmp_path, 0).examples)) == {
        "train",
        "validate",
        "test",
    }


def test_only_a_set_of_fifty_is_split(tmp_path: Path) -> None:
    for number in range(49):
        png(tmp_path / f"{'cat' if number % 2 else 'dog'}/{number}.png")
    assert {e.split for e in read(tmp_path, 0).examples} == {"train"}
    png(tmp_path / "cat/49.png")
    assert {e.split for e in read(tmp_path, 0).examples} == {"train", "validate", "test"}


def test_the_drawn_split_hangs_on_names_and_seed_alone(tmp_path: Path) -> None:
    lines = "".join(f"{number}.png,{'cat' if number % 2 else 'dog'}\n" for number in range(1000))
    for number in range(1000):
        (tmp_path / f"{number}.png").touch()
    table = write(tmp_path / "labels.csv", "image,label\n" + lines)
    data = read(table, 1)
    parts = Counter(e.split for e in data.examples)
    # 800, 100 and 100 expected; four standard deviations of a binomial are 51 and 38.
    assert abs(parts["train"] - 800) < 51
    assert abs(parts["validate"] - 100) < 38
    assert abs(parts["test"] - 100) < 38
    assert read(table, 1) == data
    assert [e.split for e in read(table, 2).examples] != [e.split for e in data.examples]
    write(table, "image,label\n" + "".join(reversed(lines.splitlines(keepends=True))))
    assert {(e.path, e.split) for e in read(table, 1).examples} == {
        (e.path, e.split) for e in data.examples
    }


# -- captions and tables


def test_a_quote_that_keeps_spreadsheets_from_running_a_cell_is_no_part_of_it(
    tmp_path: Path,
) -> None:
    png(tmp_path / "-1.png")
    png(tmp_path / "2.png")
    table = write(tmp_path / "t.csv", "image,caption\n'-1.png,'=a dog\n2.png,'tis a dog\n")
    found = {(e.path.name, e.texts) for e in read(table, 0).examples}
    assert found == {("-1.png", ("=a dog",)), ("2.png", ("'tis a dog",))}


def test_captions_lie_beside_images(tmp_path: Path) -> None:
    png(tmp_path / "1.png")
    png(tmp_path / "sub/2.png")
    write(
        tmp_path / "captions.csv",
        'image,caption\n1.png,a dog\nsub/2.png,"a cat, asleep"\n1.png,a  brown dog\n1.png,a dog\n',
    )
    data = read(tmp_path, 0)
    assert (data.kind, data.classes) == ("captioned", ())
    assert shown(data, tmp_path) == [
        ("1.png", ("a dog", "a brown dog"), None, "train"),
        ("sub/2.png", ("a cat, asleep",), None, "train"),
    ]


def test_captions_lie_in_the_folders_of_a_split(tmp_path: Path) -> None:
    for part in ("train", "test", "valid"):
        png(tmp_path / part / "1.png")
        write(tmp_path / part / "captions.csv", f"image,caption\n1.png,from {part}\n")
    assert shown(read(tmp_path, 0), tmp_path) == [
        ("test/1.png", ("from test",), None, "test"),
        ("train/1.png", ("from train",), None, "train"),
        ("valid/1.png", ("from valid",), None, "validate"),
    ]


def test_a_table_names_images_anywhere(tmp_path: Path) -> None:
    near, far, odd = (
        png(tmp_path / "lists/near.png"),
        png(tmp_path / "far.png"),
        png(tmp_path / "odd %41 name.png"),
    )
    quoted = odd.as_uri()
    assert quoted.startswith("file:///") and "odd%20%2541%20name" in quoted
    table = write(
        tmp_path / "lists/mine.csv",
        f"\ufeffScore, URI,Label\n1,near.png,red_car\n2,{far},dog\n3,{quoted},dog\n",
    )
    data = read(table, 0)
    assert (data.name, data.kind, data.classes) == ("mine", "labelled", ("dog", "red car"))
    assert [(e.path, e.label) for e in data.examples] == [(near, 1), (far, 0), (odd, 0)]


def test_missing_images_are_counted(tmp_path: Path) -> None:
    png(tmp_path / "1.png")
    table = write(
        tmp_path / "t.csv", "uri,text\ngone.png,a\ns3://bucket/x.png,b\n1.png,c\ngone.png,d\n"
    )
    data = read(table, 0)
    assert (len(data.examples), data.missing, data.first_missing) == (1, 2, "gone.png")


# -- leaks


def test_train_loses_what_any_set_is_measured_on(tmp_path: Path) -> None:
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    png(tmp_path / "a/train/x/1.png", red)
    png(tmp_path / "a/train/y/2.png", green)
    png(tmp_path / "a/validate/x/3.png", blue)
    png(tmp_path / "a/test/x/4.png", blue)
    png(tmp_path / "b/x/1.png", red)
    png(tmp_path / "b/y/2.png", blue)
    png(tmp_path / "c/train/x/1.png", (1, 2, 3))
    png(tmp_path / "c/test/y/2.png", red)
    sets = [read(tmp_path / name, 0) for name in "abc"]
    clean, removed = without_leaks(sets)
    assert removed == 3
    assert [[e.path.relative_to(tmp_path).as_posix() for e in data.examples] for data in clean] == [
        ["a/test/x/4.png", "a/train/y/2.png", "a/validate/x/3.png"],
        [],
        ["c/test/y/2.png", "c/train/x/1.png"],
    ]
    assert without_leaks(clean) == (clean, 0)


def test_an_image_that_vanished_stops_no_search_for_leaks(tmp_path: Path) -> None:
    png(tmp_path / "train/x/1.png")
    png(tmp_path / "test/y/2.png")
    data = read(tmp_path, 0)
    (tmp_path / "test/y/2.png").unlink()
    assert without_leaks([data]) == ((data,), 0)


# -- mistakes


def test_nothing_there(tmp_path: Path) -> None:
    assert complaint(tmp_path / "none") == f"{tmp_path / 'none'}: there is no such file or folder"


def test_no_images(tmp_path: Path) -> None:
    write(tmp_path / "cat/notes.txt", "x")
    assert complaint(tmp_path).startswith(
        f"{tmp_path}: there are no images in folders named after classes; give a"
    )


def test_a_folder_of_sets(tmp_path: Path) -> None:
    for name in ("one/train/cat/1.png", "one/test/dog/1.png", "two/cat/2.png"):
        png(tmp_path / "data" / name)
    assert "it is a folder of data sets (one); name the sets themselves" in complaint(
        tmp_path / "data"
    )


def test_one_class(tmp_path: Path) -> None:
    png(tmp_path / "images/1.png")
    assert (
        "all images are of one class, 'images'; give a folder with one folder of images a class"
        in complaint(tmp_path)
    )


def test_a_class_of_an_id_only(tmp_path: Path) -> None:
    png(tmp_path / "n02123045/1.png")
    assert complaint(tmp_path) == (
        f"{tmp_path}/n02123045: the class name 'n02123045' is only an id; say in words what it shows"
    )


def test_two_folders_of_one_name(tmp_path: Path) -> None:
    png(tmp_path / "red-car/1.png")
    png(tmp_path / "red_car/2.png")
    assert complaint(tmp_path).endswith(
        "'red-car' and 'red_car' both read as 'red car'; rename one of them"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a,b\n1,2\n", "it has no column uri (or image); its columns are: a, b"),
        ("", "it has no column uri (or image); its columns are: none"),
        ("uri,b\n1,2\n", "it has no column text (or caption), or label; its columns are: uri, b"),
        ("uri,text,label\n1,2,3\n", "it has both text and label; keep the one to learn from"),
        ("uri,label\n", "it names no images"),
        ("uri,label\n1.png,a\n1.png,\n", "line 3 has no label"),
        ("uri,text\n1.png\n", "line 2 has no text"),
        ("uri,text\n ,a\n", "line 2 has no uri"),
        ("uri,label\n1.png,7\n", "the class name '7' is only an id; say in words what it shows"),
        ("uri,label\n1.png,a\n1.png,b\n", "1.png is both 'a' and 'b'; keep one label an image"),
        (
            "uri,text\nfile://[x,a\n",
            "none of the 1 images it names is on this machine, first file://[x",
        ),
        (
            "uri,text\n2.png,a\n3.png,a\n",
            "none of the 2 images it names is on this machine, first 2.png",
        ),
        (
            f"uri,text\n{'x' * 300}.png,a\n",
            f"none of the 1 images it names is on this machine, first {'x' * 300}.png",
        ),
        (
            f"uri,text\n1.png,{'x' * 140_000}\n",
            "it is not CSV (field larger than field limit (131072))",
        ),
    ],
)
def test_tables_that_say_too_little(tmp_path: Path, content: str, reason: str) -> None:
    png(tmp_path / "1.png")
    table = write(tmp_path / "t.csv", content)
    assert complaint(table) == f"{table}: {reason}"


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("uri,text\n1.png,café\n".encode("latin-1"))
    assert complaint(tmp_path / "t.csv").endswith("it is not UTF-8; save it as CSV in UTF-8")


def test_an_image_for_a_table(tmp_path: Path) -> None:
    assert complaint(png(tmp_path / "1.png")).endswith("it is not UTF-8; save it as CSV in UTF-8")


def test_captions_in_one_part_and_labels_in_another(tmp_path: Path) -> None:
    for part, column in (("train", "caption"), ("test", "label")):
        png(tmp_path / part / "1.png")
        write(tmp_path / part / "captions.csv", f"image,{column}\n1.png,a dog\n")
    assert complaint(tmp_path).endswith(
        "one captions.csv has captions and another labels; split it in two sets"
    )
