"""The lakes of one service: opened by name,
moved to new snapshots as they are committed, their models shared.

A lake that breaks while it is served (its folder gone, a damaged manifest) goes on answering from
the snapshot it has, and says so among its problems. Knows no HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.disk.layout import Layout
from indexer.embed import Embedder
from indexer.errors import BadRequest, LakeDamaged, LakeError, UnknownLake
from indexer.models import check_model, load_model_of
from indexer.words import count
from service.api.serving.shared_embedder import Kind, SharedEmbedder
from service.lake import Lake
from service.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from indexer.engines.engine import Engine
    from service.search.engine.lake_engine import LakeEngine, Outage

Moved = Callable[[Snapshot, Snapshot], None]

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
FIRST_EMBED_S = 60.0
ASK_ENGINES_EVERY_S = 2.0
AWAY: Mapping[Outage, str] = {
    "own": "searches go on in the lake's own index",
    "503": "searches are refused, but for those that are done without it",
}
END_WITHIN_S = 3.0


class ServedLake:
    """A lake under its name, its model, and what went wrong since it was opened."""

    def __init__(
        self,
        name: str,
        lake: Lake,
        models: Models,
        moved: Moved = lambda before, after: None,
        engine: LakeEngine | None = None,
    ) -> None:
        """
        :param moved: called with the snapshots before and after, once it has moved.
        :param engine: names the candidates of searches; None: the lake is searched here.
        """
        self.name = name
        self.lake = lake
        self.engine = engine
        self.trouble: str | None = None  # why it could not move to a newer snapshot
        self.without_model: str | None = None  # why it cannot be searched by text or upload
        self._models = models
        self._tell_moved = moved
        # Of no file: a commit may have come since the lake was opened, so the first look is a real
        # one.
        self._seen: tuple[int, int, int] | None = (0, 0, 0)

    def embedder(self) -> SharedEmbedder:
        """The lake's model, loaded when it is first asked for.

        :raises ModelUnavailable: if it cannot be loaded here.
        :raises WrongModel: if the one that can is another than the lake was built with.
        """
        try:
            model = self._models.of(self.lake)
        except LakeError as error:  # rows and vectors are found without one
            self.without_model = f"no search by text or upload: {error}"
            raise
        self.without_model = None
        return model

    @property
    def problems(self) -> Sequence[str]:
        own = (self.trouble, self.without_model, self._without_engine)
        return (*self.lake.problems, *(problem for problem in own if problem))

    @property
    def _without_engine(self) -> str | None:
        """Without its address, which callers may read here."""
        if self.engine is None or self.engine.trouble is None:
            return None
        return f"the engine cannot be asked; {AWAY[self.engine.outage]}"

    def look(self) -> bool:
        """Move to a new snapshot, if there is one; True if so. Never raises."""
        stamp = self._stamp()
        if stamp == self._seen and self.trouble is None:
            return False
        before = self.lake.snapshot
        try:
            moved = self.lake.reload()
        except LakeError as error:
            self._complain(f"{error}; snapshot {self.lake.snapshot.number} goes on answering")
            return False
        except OSError as error:
            self._complain(
                f"a newer snapshot cannot be opened ({error.strerror or error}); "
                f"snapshot {self.lake.snapshot.number} goes on answering"
            )
            return False
        self.trouble = None
        self._seen = stamp
        if moved:
            self._tell_moved(before, self.lake.snapshot)
        return moved

    def _complain(self, sentence: str) -> None:
        if sentence != self.trouble:
            log.warning("%s: %s", self.name, sentence)
        self.trouble = sentence

    def _stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever manifest.json is replaced."""
        try:
            stat = Layout(self.lake.folder).manifest.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size


class Models:
    """The models of all lakes, each loaded once; told apart by their fingerprints."""

    def __init__(
        self,
        given: Embedder | None = None,
        *,
        batched: Callable[[Kind, int], None] = lambda kind, size: None,
        looked_up: Callable[[Kind, bool], None] = lambda kind, found: None,
        trust_model: bool = False,
    ) -> None:
        """:param given: the model of every lake, if it is loaded already.
        :param trust_model: as `load_model_of` has it; the others as in `SharedEmbedder`.
        """
        self._given = given
        self._trust_model = trust_model
        self._batched = batched
        self._looked_up = looked_up
        self._shared: dict[str, SharedEmbedder] = {}
        self._lock = threading.Lock()
        # One each: who has a model never waits for another's download.
        self._loading: dict[str, threading.Lock] = {}

    def of(self, lake: Lake) -> SharedEmbedder:
        key = repr(sorted(lake.manifest.fingerprint.items()))
        with self._lock:
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            if key not in self._shared:
                name, manifest = str(lake.folder), lake.manifest
                model = self._given or load_model_of(name, manifest, trust_model=self._trust_model)
                check_model(name, manifest, model)
                self._shared[key] = SharedEmbedder(
                    model, batched=self._batched, looked_up=self._looked_up
                )
            return self._shared[key]

    def close(self) -> None:
        for shared in list(self._shared.values()):
            shared.close()


class Hub:
    """All lakes of one service, and the thread that looks for new snapshots."""

    def __init__(
        self,
        lakes: Sequence[ServedLake],
        models: Models,
        *,
        unopened: Mapping[str, LakeDamaged] | None = None,
        look_every_s: float = LOOK_EVERY_S,
        engine: Engine | None = None,
    ) -> None:
        """
        :param unopened: by name, why a lake that was asked for is not served.
        :param engine: that the lakes share; it is closed with them.
        """
        self._engine = engine
        self.lakes = tuple(lakes)
        self.unopened = dict(unopened or {})
        self._by_name = {served.name: served for served in lakes}
        self._models = models
        self._look_every_s = look_every_s
        self._stopping = threading.Event()
        self._looking = threading.Thread(target=self._look, name="snapshots", daemon=True)
        self._loading = threading.Thread(target=self._load, name="models", daemon=True)
        # Its own: an engine that does not answer keeps no lake from its new snapshots.
        self._asking = threading.Thread(target=self._ask_engines, name="engines", daemon=True)

    @classmethod
    def open(
        cls,
        folders: Mapping[str, Path],
        models: Models,
        *,
        moved: Moved = lambda before, after: None,
        engine: Engine | None = None,
        outage: Outage = "own",
        candidates: int | None = None,
    ) -> Hub:
        """Open every lake. One that is damaged keeps none of the others from being served.

        :param folders: name -> the lake's folder.
        :param moved: as `ServedLake` has it.
        :param engine: where all lakes have been pushed to; None: they are searched here.
        :param outage: what becomes of searches while it cannot answer; candidates: that it is
            asked for at first; None: as many as by default.
        :raises LakeNotFound: if a folder holds no lake, as where its name is mistyped.
        :raises LakeDamaged: if not one of them can be opened.
        """
        opened: list[ServedLake] = []
        unopened: dict[str, LakeDamaged] = {}
        try:
            for name, folder in folders.items():
                try:
                    beside = (
                        None if engine is None else _engine_of(engine, folder, outage, candidates)
                    )
                    opened.append(_opened(name, folder, models, moved, beside))
                except LakeDamaged as error:
                    unopened[name] = error
            if unopened and not opened:
                raise next(iter(unopened.values()))
        except BaseException:
            for served in opened:
                served.lake.close()
            raise
        return cls(opened, models, unopened=unopened, engine=engine)

    def start(self) -> None:
        """Begin to look for new snapshots, and load the models beside that,
        so that nobody's first query waits.
        """
        self._looking.start()
        self._loading.start()
        if self._engine is not None:
            self._asking.start()

    def close(self) -> None:
        """Stop looking, end the models' threads, let `vacuum` have the snapshots."""
        self._stopping.set()
        for thread in (self._looking, self._loading, self._asking):
            if thread.is_alive():
                thread.join(
                    END_WITHIN_S
                )  # a model on its way cannot be told to stop, and ends with the process
        for served in self.lakes:
            served.lake.close()
        self._models.close()
        if self._engine is not None:
            self._engine.close()

    def lake(self, name: str | None) -> ServedLake:
        """The lake of this name; without one, the only lake.

        :raises UnknownLake: if there is none of this name.
        :raises LakeDamaged: if it could not be opened.
        :raises BadRequest: if no name is given and several lakes are served.
        """
        if name is None and len(self.lakes) == 1 and not self.unopened:
            return self.lakes[0]
        if name is None:
            raise BadRequest("lake", f"several are served; name one of {self._names()}")
        if name in self.unopened:
            raise self.unopened[name]
        if name not in self._by_name:
            raise UnknownLake(name, self._names())
        return self._by_name[name]

    @property
    def has_loaded(self) -> bool:
        """Whether the models that can be loaded here are."""
        return self._loading.ident is not None and not self._loading.is_alive()

    def introduction(self) -> tuple[str, ...]:
        """What whoever starts the service is told: the lakes, and what is wrong with them."""
        said = []
        for served in self.lakes:
            rows, number = count(served.lake.rows, "image"), served.lake.snapshot.number
            said.append(f"{served.name}: {rows}, snapshot {number}")
            if served.engine is not None and served.engine.trouble is None:
                said.append(f"{served.name} is searched on {served.engine.kind}")
            elif served.engine is not None:
                said.append(f"warning: {served.name}: {served.engine.trouble}")
            said += [f"warning: {problem}" for problem in served.problems]
        said += [f"warning: {name} is not served: {error}" for name, error in self.unopened.items()]
        return tuple(said)

    def _names(self) -> str:
        return ", ".join(self._by_name) or "none"

    def _load(self) -> None:
        for served in self.lakes:
            try:
                served.embedder().works(FIRST_EMBED_S)
            except LakeError:
                log.warning("%s: %s", served.name, served.without_model)

    def _ask_engines(self) -> None:
        while not self._stopping.wait(ASK_ENGINES_EVERY_S):
            for served in self.lakes:
                try:
                    if served.engine is not None:
                        served.engine.look(served.lake.snapshot)
                # as below
                except Exception:
                    log.exception("%s: looking at its engine failed", served.name)

    def _look(self) -> None:
        while not self._stopping.wait(self._look_every_s):
            for served in self.lakes:
                try:
                    if served.look():
                        log.info("%s: now at snapshot %d", served.name, served.lake.snapshot.number)
                # the next look may go well; without this thread no lake would move again
                except Exception:
                    log.exception("%s: looking for a newer snapshot failed", served.name)


def _engine_of(engine: Engine, folder: Path, outage: Outage, candidates: int | None) -> LakeEngine:
    from indexer.engines.pushing import name_of
    from service.search.engine.lake_engine import CANDIDATES, LakeEngine

    return LakeEngine(engine, name_of(folder), outage, candidates or CANDIDATES)


def _opened(
    name: str, folder: Path, models: Models, moved: Moved, engine: LakeEngine | None
) -> ServedLake:
    """:raises LakeNotFound, LakeDamaged: if it cannot be opened, and then nothing of it is open."""
    lake = Lake.open(folder, background_check=True)
    try:
        served = ServedLake(name, lake, models, moved, engine)
        lake.snapshot.warm()
        if engine is not None:
            engine.look(lake.snapshot)
    except BaseException:
        lake.close()
        raise
    return served


def name_lakes(folders: Sequence[Path]) -> dict[str, Path]:
    """Lakes by the names that callers use: a folder's own, without `.lake`.

    :raises BadRequest: if two have one name.
    """
    named: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().name.removesuffix(".lake")
        if name in named:
            if named[name].resolve() == folder.resolve():
                raise BadRequest("LAKE", f"{folder} is given twice")
            raise BadRequest(
                "LAKE",
                f"{named[name]} and {folder} would both be called {name}; rename one of them",
            )
        named[name] = folder
    return named
