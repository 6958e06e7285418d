"""The first step of a run: what each source lists goes into the plan.

A source that fails or lists nothing, where it had rows, deletes nothing: it is told, and the run
goes on with the others. A source that is given for the first time has to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from indexer.address import PART
from indexer.disk.manifest import SourceEntry
from indexer.errors import SourceError
from indexer.run.context import Context
from indexer.sources import ImageFile, Listing, Whole
from indexer.sources.guard import remember_sites
from indexer.sources.names import absolute, uri_of
from indexer.sources.opening import OpenSource, open_source, sites_of
from indexer.words import count


@dataclass(slots=True)
class Listed:
    """What came of the listing."""

    entries: list[SourceEntry]  # of the run's sources, each with its full uri
    # those that could be listed, by their position in entries
    sources: dict[int, OpenSource] = field(default_factory=dict)
    complete: list[str] = field(default_factory=list)  # sources whose rows may be found gone
    unlisted: list[str] = field(default_factory=list)  # prefixes that could not be looked into


@dataclass(frozen=True, slots=True)
class Scope:
    """What of its sources a run looks into; by default into all."""

    # whether a container is the run's own, by its uri
    is_ours: Callable[[str], bool] = lambda _: True
    # uri of a container -> what a listing before found in it
    known: Callable[[str], Sequence[ImageFile]] = lambda _: ()
    # containers that need not be opened, by their uri; None: as the run's plan says
    whole: Mapping[str, Whole] | None = None
    # True: the sources are named by a lake, though they are the run's to add
    careful: bool = False


class Lister:
    """Stores what sources list. `list` may run in a thread of its own, and then alone tells the
    report and adds to the plan.
    """

    def __init__(
        self,
        run: Context,
        entries: Sequence[SourceEntry],
        *,
        known: Sequence[SourceEntry],
        relocated: Collection[str],
        adding: bool,
        remember: bool = True,
        scope: Scope | None = None,
    ) -> None:
        """Open the sources; nothing is listed yet.

        :param entries: the sources of this run.
        :param known: the lake's sources so far.
        :param relocated: uris of those that moved house with this run.
        :param adding: True: the user gives these sources just now.
        :param remember: False: that the user named their sites is not written down.
        :param scope: None: all.
        :raises SourceError: if one that is given or moved house cannot be opened.
        """
        self.listed = Listed(list(entries))
        self.images = 0  # stored so far
        self.others = 0  # containers that were left to others
        self._scope = scope or Scope()
        self._run, self._relocated, self._adding = run, relocated, adding
        self._remember = remember
        self._failed: dict[int, SourceError] = {}
        for number, entry in enumerate(entries):
            named = self._is_named(entry)
            try:
                source = _open(entry, known, careful=not named or self._scope.careful)
            except SourceError as error:
                if named:
                    raise
                self._failed[number] = error
                continue
            if named and remember:
                remember_sites(sites_of(source))
            self.listed.entries[number] = _entry(source)
            self.listed.sources[number] = source

    def list(
        self,
        tell: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Store every source's listing, or those before the run is asked to stop.

        :param tell: is told how many images more are stored.
        :param should_stop: asked about once a second.
        :raises SourceError: if a source that is given or moved house is not there or lists nothing.
        """
        run, listed = self._run, self.listed
        scope = self._scope
        whole = run.plan.whole_containers() if scope.whole is None else scope.whole
        for number, entry in enumerate(listed.entries):
            try:
                if number in self._failed:
                    raise self._failed[number]
                source = listed.sources[number]
                listing = Listing(
                    whole=whole,
                    still_us=int(run.config.still_s * 1e6),
                    seeks=run.bytes_of.seeks,
                    mends_seeks=self._remember,
                    sizes=run.plan.sizes,
                    listers=run.config.listers,
                    should_stop=should_stop,
                    is_ours=scope.is_ours,
                    known=scope.known,
                )
                found = self._list_one(number, source, listing, tell, should_stop)
            except SourceError as error:
                if self._is_named(entry):
                    raise
                run.plan.forget_listing(number)  # half a listing would read as deletions
                _note_empty(run, entry, f"{error}", listed)
            else:
                self.others += listing.others
                if not found and should_stop():
                    break  # it was not looked at
                is_new = self._adding and not run.plan.rows_of_source(entry.uri)
                if found:
                    listed.complete.append(entry.uri)
                elif entry.uri in self._relocated or is_new:
                    raise SourceError(entry.uri, why_empty(listing))
                # a container that could not be read has been told of, and keeps its rows
                elif not listing.partial and not listing.lacking and not listing.in_motion:
                    _note_empty(run, entry, f"{entry.uri}: lists no images now", listed)
            if should_stop():
                break

    def _is_named(self, entry: SourceEntry) -> bool:
        return self._adding or entry.uri in self._relocated

    def _list_one(
        self,
        number: int,
        source: OpenSource,
        listing: Listing,
        tell: Callable[[int], None],
        should_stop: Callable[[], bool],
    ) -> int:
        """The number of images found, or of containers that are as they were."""
        stored = 0
        for stored_now in self._run.plan.add_listing(number, source.files(listing), listing):
            self.images += stored_now - stored
            tell(stored_now - stored)
            stored = stored_now
            if should_stop():
                break
        _tell(self._run, source, listing, self.listed, every_folder=source.uri in self._relocated)
        return stored + len(listing.untouched)


def _open(entry: SourceEntry, known: Sequence[SourceEntry], *, careful: bool) -> OpenSource:
    """A known source that is given again without a table, a layout, crops, moments or frames keeps
    what it had.
    """
    source = _opened(entry, careful=careful)
    now = _entry(source)
    before = next((other for other in known if other.uri == now.uri), None)
    if before is None:
        return source
    both = SourceEntry(
        now.uri,
        now.columns or before.columns,
        now.layout or before.layout,
        now.crops or before.crops,
        now.moments or before.moments,
        frames=now.frames or before.frames,
    )
    return source if both == now else _opened(both, careful=careful)


def _opened(entry: SourceEntry, *, careful: bool) -> OpenSource:
    return open_source(
        entry.uri,
        entry.columns,
        layout=entry.layout,
        crops=entry.crops,
        moments=entry.moments,
        frames=entry.frames,
        careful=careful,
    )


def _entry(source: OpenSource) -> SourceEntry:
    """What the manifest remembers of a source."""
    return SourceEntry(
        source.uri,
        source.table_path,
        source.layout,
        source.crops,
        source.moments,
        frames=source.frames,
    )


def why_empty(listing: Listing) -> str:
    """Why a source has no images, for a message that begins with its uri."""
    lacking = [(uris[0], why) for why, uris in listing.lacking.items()]
    told = [*listing.unlisted, *listing.left_out, *lacking][:1]
    named = (f" ({uri.removesuffix(PART)}: {why})" for uri, why in told)
    return "there are no image files in it" + "".join(named)


def _tell(
    run: Context, source: OpenSource, listing: Listing, listed: Listed, *, every_folder: bool
) -> None:
    """What a listing left out or could not look into.

    :param every_folder: True: each must be readable.
    """
    listing.sort()
    unread = [uri for uris in listing.lacking.values() for uri in uris]
    run.plan.add_containers(unread, [])
    # of a table that cannot be looked into not even its files are known
    listed.unlisted += [f"{uri}/" for uri in unread]
    run.report.in_motion += listing.in_motion
    for why, uris in listing.lacking.items():
        left_out = count(len(uris), "file of it is", "files of it are")
        kept = "; the rows that they had are kept" if run.plan.rows_of_source(source.uri) else ""
        run.report.notes.append(f"{source.uri}: {left_out} left out: {why}{kept}")
    if source.unmatched_rows:
        rows = count(source.unmatched_rows, "row belongs", "rows belong")
        run.report.notes.append(f"{source.table_path}: {rows} to no image of {source.uri}")
    own = uri_of(absolute(str(run.layout.root)))[0]
    run.report.notes += [f"{uri}: {reason}" for uri, reason in listing.left_out if uri != own]
    for prefix, reason in listing.unlisted:
        name = prefix.removesuffix(PART)
        if every_folder:
            raise SourceError(name, f"{reason}; with --root every folder must be readable")
        kept = (
            "the images that it had are kept"
            if prefix.endswith(PART)
            else "its images were left as they are"
        )
        run.report.problems.append(f"{name}: {reason}; {kept}")
        listed.unlisted.append(prefix)


def _note_empty(run: Context, entry: SourceEntry, what: str, listed: Listed) -> None:
    rows = run.plan.rows_of_source(entry.uri)
    if run.config.allow_empty:
        listed.complete.append(entry.uri)
    elif rows:
        kept = count(rows, "row was kept (if it should go", "rows were kept (if they should go")
        run.report.problems.append(f"{what}; its {kept}, use --allow-empty)")
    else:
        run.report.problems.append(what)
