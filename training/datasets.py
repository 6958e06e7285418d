"""Sets of images to learn from or to be measured on:
what users have, read into one form. Opens no image.

Three forms: folders named after classes, a folder with a captions.csv, and a CSV of images anywhere
(a few labels of a lake, say). A split that the user made is kept; else one is drawn by the hash of
each image's name, so that it is the same on every machine and does not move when images are added.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from indexer.errors import BadRequest
from indexer.sources.names import is_hidden, may_be_image
from training.class_names import readable
from training.tables import Kind, local, rows

Split: TypeAlias = Literal["train", "validate", "test"]

CAPTIONS = "captions.csv"
SPLITS: dict[str, Split] = {
    "train": "train",
    "test": "test",
    "validate": "validate",
    "val": "validate",
    "valid": "validate",
}
FEWEST_TO_SPLIT = 50  # of fewer, a tenth would measure nothing
FORMS = (
    f"give a folder with one folder of images a class, a folder with a {CAPTIONS} (image,caption), or a CSV file "
    "(columns uri and text or label)"
)


@dataclass(frozen=True, slots=True)
class Example:
    path: Path
    texts: tuple[str, ...]  # its captions; of a labelled set, its class's name alone
    label: int | None  # its class's number in DataSet.classes; None in a captioned set
    split: Split


@dataclass(frozen=True, slots=True)
class DataSet:
    """One set, in the order of its images' names (folders) or lines (CSV)."""

    name: str  # of its folder or file
    folder: Path  # that it is, or that its CSV is in; a source.json there says where it comes from
    kind: Kind
    classes: tuple[str, ...]  # sorted; of a captioned set, none
    examples: tuple[Example, ...]
    missing: int = 0  # images that its CSV names and that are not there
    first_missing: str = ""  # the first of them, as the CSV has it

    def part(self, split: Split) -> tuple[Example, ...]:
        return tuple(example for example in self.examples if example.split == split)


def read(argument: Path, seed: int) -> DataSet:
    """Read one set, of whichever form; that its images can be decoded is not known yet.

    :param seed: of the split, where the user made none: 80 % train, 10 % validate, 10 % test, or
        all train below FEWEST_TO_SPLIT images. Of a set that has only train and test, a tenth of
        train becomes validate.
    :raises BadRequest: if there is nothing there, no image, an unreadable CSV, a text or class name
        that says nothing, or one class only.
    """
    argument = argument.expanduser()
    if argument.is_file():
        kind, images, missing = _listed(argument, [(argument, None)])
    elif argument.is_dir():
        kind, images, missing = _folder(argument)
    else:
        raise BadRequest(str(argument), "there is no such file or folder")
    name = argument.stem if argument.is_file() else argument.resolve().name
    classes = tuple(sorted({image.texts[0] for image in images})) if kind == "labelled" else ()
    if len(classes) == 1:
        raise BadRequest(str(argument), f"all images are of one class, {classes[0]!r}; {FORMS}")
    numbers = {text: number for number, text in enumerate(classes)}
    examples = tuple(
        Example(
            image.path, tuple(image.texts), numbers.get(image.texts[0]) if classes else None, split
        )
        for image, split in zip(images, _splits(images, seed), strict=True)
    )
    folder = argument.parent if argument.is_file() else argument
    return DataSet(
        name, folder, kind, classes, examples, len(missing), missing[0] if missing else ""
    )


def without_leaks(sets: Sequence[DataSet]) -> tuple[tuple[DataSet, ...], int]:
    """The sets without those images of their train that are,
    byte for byte, in any set's test or validate.

    Images that cannot be read stay, for `fit` to skip and count.

    :returns: the sets, in their order, and how many examples were left out.
    """
    held_out = [e.path for data in sets for e in data.examples if e.split != "train"]
    sizes = {_size(path) for path in held_out}  # files of another size need no reading
    hashes = {_hash(path) for path in held_out} - {None}
    clean = []
    for data in sets:
        kept = (
            e
            for e in data.examples
            if e.split != "train" or _size(e.path) not in sizes or _hash(e.path) not in hashes
        )
        clean.append(replace(data, examples=tuple(kept)))
    return tuple(clean), sum(len(data.examples) for data in sets) - sum(
        len(d.examples) for d in clean
    )


# -- the forms


@dataclass(slots=True)
class _Image:
    path: Path
    name: str  # relative to the set, or as its CSV has it
    texts: list[str]  # captions, or its class's name alone
    split: Split | None  # the user's own


_Found: TypeAlias = tuple[Kind, list[_Image], list[str]]


def _folder(root: Path) -> _Found:
    if (root / CAPTIONS).is_file():
        return _listed(root, [(root / CAPTIONS, None)])
    parts = _parts(root)
    tables = [
        (folder / CAPTIONS, split) for folder, split in parts if (folder / CAPTIONS).is_file()
    ]
    if tables:
        return _listed(root, tables)
    if sets := [
        folder.name for folder in _folders(root) if parts == [(root, None)] and _is_set(folder)
    ]:
        listed = ", ".join(sets[:3]) + (", ..." if len(sets) > 3 else "")
        raise BadRequest(
            str(root), f"it is a folder of data sets ({listed}); name the sets themselves"
        )
    images = _classes(root, parts)
    if not images:
        raise BadRequest(str(root), f"there are no images in folders named after classes; {FORMS}")
    return "labelled", images, []


def _parts(root: Path) -> list[tuple[Path, Split | None]]:
    """The folders that hold classes, and the split each is; train alone is no split."""
    # A class may be called `train` too; then it holds images, not folders of them.
    own = [
        f
        for f in _folders(root)
        if f.name.lower() in SPLITS and ((f / CAPTIONS).is_file() or _folders(f))
    ]
    splits = {folder: SPLITS[folder.name.lower()] for folder in own}
    if not own:
        return [(root, None)]
    return [(f, None if set(splits.values()) == {"train"} else splits[f]) for f in own]


def _is_set(folder: Path) -> bool:
    """Whether a folder has captions or splits of its own, so that it is no class."""
    return (folder / CAPTIONS).is_file() or any(
        part.name.lower() in SPLITS for part in _folders(folder)
    )


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))


def _classes(root: Path, parts: Sequence[tuple[Path, Split | None]]) -> list[_Image]:
    images: list[_Image] = []
    named: dict[str, str] = {}
    for part, split in parts:
        for folder in _folders(part):
            paths = list(_walk(folder))
            if not paths:
                continue
            text = _class_name(folder, folder.name)
            if named.setdefault(text, folder.name) != folder.name:
                raise BadRequest(
                    str(folder),
                    f"{named[text]!r} and {folder.name!r} both read as {text!r}; rename one of them",
                )
            images += [
                _Image(path, path.relative_to(root).as_posix(), [text], split) for path in paths
            ]
    return images


def _walk(folder: Path) -> Iterator[Path]:
    """What may be images below it, in the order of names."""

    def fail(error: OSError) -> None:
        raise BadRequest(str(error.filename), f"cannot be listed ({error.strerror})") from error

    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (Path(parent, name) for name in sorted(files) if may_be_image(name))


def _class_name(where: Path, name: str) -> str:
    text = readable(name)
    if text is None:
        raise BadRequest(
            str(where), f"the class name {name!r} is only an id; say in words what it shows"
        )
    return text


def _listed(argument: Path, tables: Sequence[tuple[Path, Split | None]]) -> _Found:
    """What CSV files name: an image once a table, with all its texts."""
    images: list[_Image] = []
    missing: dict[str, None] = {}
    kinds: set[Kind] = set()
    for table, split in tables:
        kind, lines = rows(table)
        kinds.add(kind)
        found: dict[Path, _Image] = {}
        for name, text in lines:
            path = local(table.parent, name)
            if path is None:
                missing[name] = None
                continue
            if kind == "labelled":
                text = _class_name(table, text)
            texts = found.setdefault(path, _Image(path, name, [], split)).texts
            if text not in texts:
                texts.append(text)
            if kind == "labelled" and len(texts) > 1:
                raise BadRequest(
                    str(table),
                    f"{name} is both {texts[0]!r} and {texts[1]!r}; keep one label an image",
                )
        images += found.values()
    if len(kinds) > 1:
        raise BadRequest(
            str(argument), f"one {CAPTIONS} has captions and another labels; split it in two sets"
        )
    if not images and missing:
        raise BadRequest(
            str(argument),
            f"none of the {len(missing):,} images it names is on this machine, first {next(iter(missing))}",
        )
    if not images:
        raise BadRequest(str(argument), "it names no images")
    return kinds.pop(), images, list(missing)


# -- splits


def _splits(images: Sequence[_Image], seed: int) -> list[Split]:
    own = {image.split for image in images}
    if own == {None} and len(images) < FEWEST_TO_SPLIT:
        return ["train"] * len(images)
    splits: list[Split] = []
    for image in images:
        drawn = _draw(image.name, seed)
        if image.split is None:
            splits.append("train" if drawn < 0.8 else "validate" if drawn < 0.9 else "test")
        elif image.split == "train" and "validate" not in own:
            splits.append("validate" if drawn < 0.1 else "train")
        else:
            splits.append(image.split)
    return splits


def _draw(name: str, seed: int) -> float:
    """In [0, 1), from the name and the seed alone."""
    digest = hashlib.sha256(os.fsencode(f"{name}{seed}")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


# -- leaks


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _hash(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
