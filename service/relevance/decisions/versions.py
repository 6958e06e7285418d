"""The versions of one filter, as far as they can be used in the lake that it is in."""

from __future__ import annotations

from indexer.errors import WrongModel
from indexer.models import what_differs
from service.lake import Lake
from service.relevance.decisions.answers import Change, DiffAnswer
from service.relevance.decisions.store import FilterStore, diff
from service.relevance.definition import Definition


class Versions:
    """The versions of one filter of an open lake, as `Filter.versions`."""

    def __init__(self, lake: Lake, store: FilterStore, name: str) -> None:
        self._lake = lake
        self._store = store
        self._name = name

    def numbers(self) -> list[int]:
        """Of all versions, rising; at least one."""
        return self._store.versions(self._name)

    @property
    def latest(self) -> Definition:
        return self.at(None)

    def at(self, version: int | None) -> Definition:
        """One version; None: the latest.

        :raises BadRequest: if there is no such version; WrongModel: if it is of another model than
            the lake's.
        """
        definition = self._store.read(self._name, version)
        _check_model(definition, self._lake)
        return definition

    def diff(self, before: int, after: int) -> DiffAnswer:
        """What changed from one version to another, in the order of the fields."""
        found = diff(self.at(before), self.at(after))
        return DiffAnswer(tuple(Change(*each) for each in found))


def _check_model(definition: Definition, lake: Lake) -> None:
    """:raises WrongModel: if its scorer cannot be compared with the
    lake's vectors, as one put into another lake.
    """
    theirs, ours = definition.model, lake.manifest.fingerprint
    if dict(theirs) == dict(ours):
        return
    expected, found = what_differs(ours, theirs)
    raise WrongModel(
        str(lake.folder),
        expected,
        f"filter {definition.name} of {found}",
        "take it from its own lake with `lakesift filter copy --into`, or make it anew",
    )
