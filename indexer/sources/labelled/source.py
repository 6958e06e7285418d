"""A labelled set as a source: what it says of an image becomes columns of the image's row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from indexer.address import PART
from indexer.errors import UnreadableImage
from indexer.sources import ColumnValue, ImageFile, Listing, UnreadColumns
from indexer.sources.columns import ColumnTable
from indexer.sources.containers.kinds import kind_of
from indexer.sources.joining import Join
from indexer.sources.labelled import LabelledSet, Said
from indexer.sources.labelled.reading.sizes import Sizes
from indexer.sources.sidecars import mark

_AT_ONCE = 1_000  # images whose sizes the lake is asked for


class LabelledSource:
    """The images of a set, with `labels`, `box_count` and `split` where the set knows them, and on
    demand each of its boxes as an image of its own, whose label is the box's.

    The user's table has the last word. An archive among the images is listed as it is: what is in
    it has no labels.
    """

    def __init__(
        self,
        uri: str,
        root: str,
        images: LabelledSet,
        table: ColumnTable | None,
        *,
        crops: bool = False,
        careful: bool = False,
    ) -> None:
        """
        :param uri: that opens the set again.
        :param root: the uri of the folder that the table's relative paths are below.
        :param crops: each box is an image, too.
        :param careful: True: a lake names the images, and not the user (`guard`).
        """
        self._uri = uri
        self._set = images
        self._crops = crops
        self._sizes = Sizes(careful=careful)
        self.join = Join(root.rstrip("/"), table)

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def table_path(self) -> str | None:
        return self.join.table_path

    def sites(self, most: int) -> Collection[str]:
        """Its own place, and the stores that it names images in; at most so many."""
        return [self._uri, *self._set.sites(most - 1)][:most]

    def files(self, listing: Listing) -> Iterator[ImageFile]:
        self.join.begin()
        self._sizes.begin()
        images = self._set.images(listing)
        while batch := list(islice(images, _AT_ONCE if self._crops else 1)):
            if self._crops:
                self._sizes.remember(listing.sizes(batch))
            for file in batch:
                yield from self._rows(file, listing)

    def _rows(self, file: ImageFile, listing: Listing) -> Iterator[ImageFile]:
        if kind_of(file.uri) is not None:
            yield file
            return
        marks = [each for each in (file.columns_etag, self._set.mark(file)) if each]
        yield replace(file, columns_etag=self.join.etag(file.address, marks))
        # What is not there is one image that cannot be read, and not one for each of its boxes.
        if self._crops and file.modified_us is not None:
            try:
                said = self._placed(file, self._set.said(file))
            # The boxes that it had are kept: nothing says that they are gone.
            except (UnreadColumns, UnreadableImage) as error:
                listing.unlisted.append((f"{file.uri}{PART}", error.reason))
                return
            yield from _boxes(file, said, listing)

    def _placed(self, file: ImageFile, said: Said | None) -> Said | None:
        """With all of its boxes in px.

        :raises UnreadableImage: if an image has to be opened for that, and cannot be just now.
        """
        if said is None or not said.parts:
            return said
        size = self._sizes.of(file)
        return replace(said, parts=()) if size is None else said.at_size(*size)

    def columns(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        if file.address.region is None:
            return self.join.with_table(file, lambda: self._of_image(file))
        said = self._set.said(file)
        size = self._sizes.known(file.uri)
        if said is not None and said.parts and size is not None:
            said = said.at_size(*size)
        return said.of_region(file.address.region).columns() if said else {}

    def _of_image(self, file: ImageFile) -> Mapping[str, ColumnValue]:
        try:
            beside, unread = self._set.beside(file), None
        except UnreadColumns as error:
            beside, unread = error.values, error
        try:
            said = self._set.said(file)
        except UnreadColumns as error:
            said, unread = None, error
        own = {**beside, **(said.columns() if said else {})}
        if unread is not None:
            raise UnreadColumns(unread.name, unread.reason, own) from unread
        return own


def _boxes(file: ImageFile, said: Said | None, listing: Listing) -> Iterator[ImageFile]:
    regions: Iterable[tuple[int, int, int, int]] = (
        dict.fromkeys(box.region for box in said.boxes) if said else ()
    )
    for region in regions:
        assert said is not None
        of_box = said.of_region(region)
        listing.files += 1
        yield replace(
            file,
            address=replace(file.address, region=region),
            columns_etag=mark((of_box.labels, of_box.split)),
            sidecars=(),
        )
