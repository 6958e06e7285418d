"""An engine that a lake was pushed to, in sentences: what it has, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from indexer.disk.groups import KINDS, Kind
from indexer.embed import Embedder
from indexer.engines.engine import Recalled
from indexer.engines.opening import open_engine
from indexer.engines.standing import Standing, standing
from indexer.errors import LakeError
from indexer.words import count, moment
from service.lake import Lake
from service.search.comparing import compare_on_engine
from service.search.engine.lake_engine import LakeEngine

# Of the 10 nearest rows. An engine promises nothing; below this, more candidates are worth asking.
LEAST_RECALL = 0.95


def engine_looked_at(
    lake: Lake, model: Callable[[], Embedder], url: str, candidates: int
) -> Iterator[tuple[bool, str]]:
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
                yield _found(lake, model, kind, beside)
    except LakeError as error:
        yield False, str(error)


def _found(
    lake: Lake, model: Callable[[], Embedder], kind: Kind, engine: LakeEngine
) -> tuple[bool, str]:
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


def unfit(found: Standing) -> str | None:
    """Why the engine cannot search the lake, and the way out; None: it can."""
    push = f"lakesift engine push {found.lake} ENGINE"
    if not found.is_there:
        return f"{found.engine} has nothing of {found.name}; push it with: {push}"
    if not found.is_same_model:
        return (
            f"{found.engine} has vectors of another model under the name {found.name}; take them away with: lakesift "
            f"engine drop {found.lake} ENGINE"
        )
    if not found.is_complete:
        cut = f"{found.engine}: a push of {found.name} was cut short, or its index is gone"
        return f"{cut}; go on with: {push}"
    return None


def behind(found: Standing) -> str:
    """:param found: is behind."""
    return (
        f"the lake is at snapshot {found.snapshot}: {found.missing_rows:,} of its rows are not there, "
        f"{found.gone_rows:,} there are gone; push again with: lakesift engine push {found.lake} ENGINE"
    )


def pushed(found: Standing) -> str:
    when = "" if found.pushed_at is None else f", pushed {moment(found.pushed_at)}"
    return f"{count(found.rows, 'row')}, snapshot {found.pushed_snapshot}{when}"
