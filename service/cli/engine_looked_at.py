"""What `doctor` says of the engine that a lake was pushed to: what it has, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from indexer.disk.groups import KINDS, Kind
from indexer.embed import Embedder
from indexer.engines.engine import Recalled
from indexer.engines.opening import open_engine
from indexer.engines.standing import standing
from indexer.errors import LakeError
from service.cli.engine import behind, pushed, unfit
from service.lake import Lake
from service.search.comparing import compare_on_engine
from service.search.engine.lake_engine import LakeEngine

# Of the 10 nearest rows. An engine promises nothing; below this, more candidates are worth asking.
LEAST_RECALL = 0.95


def engine_looked_at(lake: Lake, url: str, candidates: int) -> Iterator[tuple[bool, str]]:
    """Whether each is well, and a sentence.

    :param candidates: that a service asks for at first.
    """
    try:
        with closing(open_engine(url)) as engine:
            found = standing(lake.folder, engine)
            if why := unfit(found):
                yield False, why
                return
            state = f"{found.kind} at {found.engine}: {pushed(found)}"
            # That costs time and no image, so it is no fault.
            yield True, f"{state}; {behind(found)}" if found.is_behind else state
            beside = LakeEngine(engine, found.name, candidates=candidates)
            for kind in KINDS:
                yield _found(lake, kind, beside)
    except LakeError as error:
        yield False, str(error)


def _found(lake: Lake, kind: Kind, engine: LakeEngine) -> tuple[bool, str]:
    def model() -> Embedder:
        return lake.embedder

    try:
        measured, candidates = compare_on_engine(lake.snapshot, kind, model, engine)
    except LakeError as error:
        return True, f"searches by {kind} were not looked at: {error}"
    if engine.trouble is not None:
        return False, f"searches by {kind} were not looked at: {engine.trouble}"
    told = [each for each in measured if each.queries]
    if not told:
        return True, f"searches by {kind} are done here: the engine names too few rows"
    shares = " and ".join(f"{each.share:.3f} of the {each.nearest} nearest" for each in told)
    said = f"{told[0].queries} searches by {kind} found {shares}, of {candidates:,} candidates"
    if _is_well(told[0]):
        return True, said
    more = f"`lakesift serve {lake.folder} --engine ENGINE --engine-candidates {3 * engine.candidates}`"
    return False, f"{said}; ask for more: {more}"


def _is_well(measured: Recalled) -> bool:
    return measured.share >= LEAST_RECALL
