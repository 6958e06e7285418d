"""Sets whose images are named by a file, or by a few: COCO, Label Studio, CVAT, Datumaro.

Each kind has a module that reads the file's bytes; which images its names mean is found here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from indexer.errors import SourceError
from indexer.sources import ColumnValue, ImageFile, Listing
from indexer.sources.guard import site_of
from indexer.sources.labelled import Said
from indexer.sources.labelled.reading.files import Files, shown, uri_of_name
from indexer.sources.labelled.reading.names import Folders, Spell, spellings
from indexer.sources.names import is_url

MAX_BYTES = 2_000_000_000

Merge: TypeAlias = Callable[[Sequence[Said | None]], Said | None]


def both(said: Sequence[Said | None]) -> Said | None:
    """Of an image that is named several times all that is said; what two say of one place, the
    same label there, counts once. None where nothing is known.
    """
    known = [each for each in said if each is not None]
    if len(known) < 2:
        return known[0] if known else None
    boxes = list(known[0].boxes)
    twice = 0
    for each in known[1:]:
        seen = set(boxes)
        new = [box for box in each.boxes if box not in seen]
        twice += len(each.boxes) - len(new)
        boxes += new
    labels = [each.labels for each in known if each.labels is not None]
    counts = [each.box_count for each in known if each.box_count is not None]
    captions = dict.fromkeys(each.caption for each in known if each.caption is not None)
    return Said(
        tuple(sorted({label for each in labels for label in each})) if labels else None,
        sum(counts) - twice if counts else None,
        tuple(boxes),
        next((each.split for each in known if each.split is not None), None),
        tuple(part for each in known for part in each.parts),
        "\n".join(captions) if captions else None,
        any(each.is_disputed for each in known),
    )


@dataclass
class Named:
    """What a file of labels says, by the names of images as it has them."""

    said: dict[str, Said | None]  # None: nothing is known of what is on it
    faults: Counter[str] = field(default_factory=Counter)  # sentences, and how often each is true
    spell: Spell = spellings
    merge: Merge = both
    # where no image is there at all, what that means and the way out; None: each is told by itself
    none_there: str | None = None
    only_if_there: frozenset[str] = frozenset()  # names of images that may not be there


class Document(NamedTuple):
    """One file of labels."""

    name: str
    # raises ValueError with what is wrong with it
    read: Callable[[bytes], Named]
    split: str | None = None  # the part of the set that it is of


class NamedImages:
    """The images that files of labels name, each with what they say of it."""

    def __init__(
        self,
        files: Files,
        documents: Callable[[Listing], Sequence[Document]],
        *,
        root: str | None = None,
        with_boxes: bool = False,
    ) -> None:
        """
        :param documents: finds the files, for each listing anew.
        :param root: images lie below this folder, and others are left out; None: anywhere.
        :param with_boxes: the places of the boxes are wanted, and not their number alone.
        """
        self._files, self._documents, self._root = files, documents, root
        self._with_boxes = with_boxes
        self._said: dict[str, Said | None] = {}
        self._parsed: dict[str, Named] = {}  # read for `sites`, and not yet listed

    def images(self, listing: Listing) -> Iterator[ImageFile]:
        self._files.begin()
        self._said = {}
        found: dict[str, list[tuple[Merge, Said | None]]] = defaultdict(list)
        for document in self._documents(listing):
            named = self._parsed.pop(document.name, None) or self._read(document)
            for name, said in self._placed(document, named, listing):
                if said is not None and said.split is None and document.split is not None:
                    said = replace(said, split=document.split)
                found[name].append((named.merge, said))
            tell(listing, shown(document.name), named.faults)
        for name, all_said in found.items():
            said = _merged(all_said)
            if said is not None and not self._with_boxes:
                said = replace(said, boxes=(), parts=())
            self._said[uri_of_name(name)] = said
            listing.files += 1
            yield self._files.image(name)

    def mark(self, file: ImageFile) -> str | None:
        said = self._said.get(file.uri)
        return None if said is None else said.mark

    def said(self, file: ImageFile) -> Said | None:
        return self._said.get(file.uri)

    def beside(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        return {}

    def sites(self, most: int) -> list[str]:
        found: dict[str, None] = {}
        for document in self._documents(Listing()):
            named = self._parsed[document.name] = self._read(document)
            for name in named.said:
                for spelling in named.spell(name)[:1]:
                    if is_url(spelling):
                        found[site_of(spelling)] = None
                if len(found) >= most:
                    return list(found)
        return list(found)

    def _read(self, document: Document) -> Named:
        name = shown(document.name)
        try:
            # a byte more than there may be tells that it is too large
            size_bytes = self._files.image(document.name).size_bytes
            if size_bytes > MAX_BYTES:
                reason = f"it has {size_bytes:,} bytes; at most {MAX_BYTES:,} are read"
                raise SourceError(name, f"{reason}; split it")
            return document.read(self._files.read(document.name, MAX_BYTES + 1))
        except FileNotFoundError as error:
            raise SourceError(name, "it cannot be read: it is not there") from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower() if error.errno else str(error)
            raise SourceError(name, f"it cannot be read: {reason}") from error
        except ValueError as error:
            raise SourceError(name, str(error)) from error

    def _placed(
        self, document: Document, named: Named, listing: Listing
    ) -> Iterator[tuple[str, Said | None]]:
        """Each image by the name under which it lies, or would lie."""
        if not named.said:
            return
        folders = Folders(self._files, document.name, list(named.said), named.spell)
        if not folders.any_there and named.none_there is not None:
            raise SourceError(shown(document.name), named.none_there)
        for name, said in named.said.items():
            place = folders.path_of(name)
            if self._root is not None and not place.startswith(self._root.rstrip("/") + "/"):
                named.faults[
                    "an image lies outside of the folder, and is left out; give this file by itself"
                ] += 1
                continue
            if name not in named.only_if_there or self._files.is_file(place):
                yield place, said


def tell(listing: Listing, uri: str, faults: Mapping[str, int]) -> None:
    """Each fault once, with how often it was found."""
    for fault, count in faults.items():
        listing.left_out.append((uri, f"{fault} ({count:,} times)" if count > 1 else fault))


def _merged(all_said: Sequence[tuple[Merge, Said | None]]) -> Said | None:
    if len(all_said) == 1:
        return all_said[0][1]
    merges: Iterable[Merge] = {merge for merge, _ in all_said}
    merge = next(iter(merges)) if len(set(merges)) == 1 else both
    return merge([said for _, said in all_said])
