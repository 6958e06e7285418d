"""Parts of a run whose lake is in a bucket: machines that share nothing but the bucket.

A part is a lake of its own, so it is published to, and pulled from, `parts/3-of-16/` of the lake's
folder as any lake is. `parts/plan.json` is put on the condition that it is not there, which decides
what all parts are held to. `3-of-16.json` comes last: what it says is done is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread

from indexer.buckets.origins import read_origins
from indexer.buckets.publishing import OF_PARTS, publish_lake
from indexer.buckets.pulling import pull_lake
from indexer.buckets.store import Bucket, Changed, Stored
from indexer.disk.durable import make_folder, replace_file
from indexer.disk.entries import read_file
from indexer.disk.layout import Layout
from indexer.errors import BadRequest, BucketError, CopiesDiverged, LakeDamaged, LakeError
from indexer.parts.agreement import read_agreement
from indexer.parts.leaving import discard_parts
from indexer.parts.places import PartFiles, parts_of
from indexer.parts.share import Share
from indexer.report import Progress, Silent

SEND_EVERY_S = 60.0
_PLAN = "parts/plan.json"


class BucketPart:
    """One part: its place in the working copy, and in the bucket."""

    def __init__(self, url: str, lake: Path, share: Share) -> None:
        """:param lake: the working copy, which has what the bucket's lake has."""
        self._bucket = Bucket.open(url)
        self._files = PartFiles(Layout(lake), share)
        self._sent: tuple[bytes | None, ...] | None = None  # what the last sending found here
        self._sending = Lock()
        self._refused: LakeError | None = None

    @property
    def url(self) -> str:
        """Of the part's own lake."""
        return f"{self._bucket.url}/parts/{self._files.share.name}"

    @property
    def refused(self) -> LakeError | None:
        """Why what is embedded from here on would be of no use."""
        return self._refused

    def fetch(
        self,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """What the parts are held to, and what this one embedded so far, on whichever machine.

        :raises BucketError: if the bucket cannot be read, or has what this machine does not go on
            from.
        """
        plan = self._bucket.read(_PLAN)
        if plan is None:
            _forget_sent(self._bucket, self._files.lake)
            return
        _fetch_plan(self._bucket, self._files.lake, plan[0])
        _fetch_part(self._bucket, self._files, progress, should_stop)

    def send(self, progress: Progress | None = None) -> None:
        """What is new here; nothing where nothing is.

        :raises BucketError: if the bucket cannot be written, if parts were begun otherwise, or if
            another machine embeds the same part.
        """
        with self._sending:
            self._send(progress or Silent())

    def _send(self, progress: Progress) -> None:
        files, bucket = self._files, self._bucket
        if not files.lake.parts_plan.exists():
            return
        # The note is read before the rest is sent, so that it tells of nothing that is not there.
        here = tuple(_read(p) for p in (files.layout.manifest, files.members, files.done))
        if here == self._sent:
            return
        self._send_plan(read_file(files.lake.parts_plan))
        manifest, members, done = here
        if manifest is not None:
            try:
                publish_lake(files.layout.root, self.url, progress=progress)
            except CopiesDiverged:
                raise _twice(self.url, files) from None
        for path, data in ((files.members, members), (files.done, done)):
            if data is not None:
                bucket.put(f"parts/{path.name}", data)
        self._sent = here

    def _send_plan(self, plan: bytes) -> None:
        try:
            self._bucket.swap(_PLAN, plan, None)
        except Changed:
            found = self._bucket.read(_PLAN)
            if found is None or found[0] != plan:
                # Which of the two differs, and how, the next run of this part says at its start.
                raise PlansDiffer(
                    self._bucket.url,
                    f"another part began with a plan of its own meanwhile; delete {self._files.lake.parts}, and run "
                    f"part {self._files.share} again, which tells what is otherwise",
                ) from None

    @contextmanager
    def sent_meanwhile(self, every_s: float = SEND_EVERY_S) -> Iterator[None]:
        """While a part embeds, what it has so far is sent every now and then, so that a machine
        that goes away takes little with it. An outage is not told: the sending at the end is.
        """
        over = Event()

        def go_on() -> None:
            while not over.wait(every_s):
                try:
                    self.send()
                except PlansDiffer as error:
                    self._refused = error
                    return
                except (LakeError, OSError):
                    continue

        thread = Thread(target=go_on, name="sending", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class PlansDiffer(BucketError):
    """What this part embeds is of no use to the others."""


def fetch_parts(
    url: str,
    lake: Path,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Stored]:
    """All parts of a lake in a bucket into its working copy, to be committed there.

    :returns: the objects that they were fetched from, by name, as `remove_parts` takes them.
    :raises BadRequest: if no part was begun.
    :raises BucketError: if they cannot be read.
    """
    bucket, layout = Bucket.open(url), Layout(lake)
    plan = bucket.read(_PLAN)
    if plan is None:
        raise BadRequest(
            "commit",
            f"{url} has no parts to commit; they are made by: lakesift index SOURCE --into {url} --part 1/16",
        )
    _fetch_plan(bucket, layout, plan[0])
    agreement = read_agreement(layout)
    assert agreement is not None, "it was just put there"
    stored = {
        name: each for name, each in bucket.names("parts").items() if OF_PARTS.fullmatch(name)
    }
    for part in parts_of(layout, agreement):
        if not should_stop():
            _fetch_part(bucket, part, progress, should_stop)
    return stored


def parts_done(url: str, share: Share) -> int:
    """How many of the parts of a bucket's lake have done their share."""
    names = {f"parts/{Share(number, share.of).name}.json" for number in range(1, share.of + 1)}
    return len(names.intersection(Bucket.open(url).names("parts")))


def remove_parts(url: str, fetched: Mapping[str, Stored] | None = None) -> int:
    """Throw away what parts sent; the plan goes last, so that what is half removed is still known
    to be parts.

    :param fetched: remove these alone, and no object that was put anew since; None: all.
    :returns: how many bytes they had.
    """
    bucket = Bucket.open(url)
    stored = bucket.names("parts")
    going = [
        name
        for name, each in stored.items()
        if OF_PARTS.fullmatch(name) and (fetched is None or fetched.get(name) == each)
    ]
    bucket.remove(sorted(name for name in going if name != _PLAN))
    left = [name for name in bucket.names("parts") if OF_PARTS.fullmatch(name) and name != _PLAN]
    if not left:
        bucket.remove([name for name in going if name == _PLAN])
    return sum(stored[name].length for name in going)


def _fetch_plan(bucket: Bucket, layout: Layout, plan: bytes) -> None:
    """:raises BucketError: if parts were begun here that are of another plan, and were not sent."""
    if layout.parts_plan.exists() and read_file(layout.parts_plan) != plan:
        _forget_sent(bucket, layout)
        if layout.parts_plan.exists():
            raise BucketError(
                bucket.url,
                f"its parts are of another plan than those in {layout.parts}, which were not sent; delete that folder, "
                "and run the same command again",
            )
    layout.root.parent.mkdir(parents=True, exist_ok=True)
    make_folder(layout.root)
    make_folder(layout.parts)
    replace_file(layout.parts_plan, plan)


def _forget_sent(bucket: Bucket, layout: Layout) -> None:
    """Throw away parts that were sent, and are no longer there: somebody committed them, or threw
    them away. Those that were not sent stay.
    """
    try:
        agreement = read_agreement(layout)
    except LakeDamaged:
        return
    if agreement is None:
        return
    begun = [each for each in parts_of(layout, agreement) if each.layout.root.exists()]
    if all(f"{bucket.url}/parts/{e.share.name}" in read_origins(e.layout) for e in begun):
        discard_parts(layout.root)


def _fetch_part(
    bucket: Bucket,
    files: PartFiles,
    progress: Progress | None,
    should_stop: Callable[[], bool],
) -> None:
    name = files.share.name
    # First, so that what it says is done is fetched after it.
    done = bucket.read(f"parts/{files.done.name}")
    if bucket.read(f"parts/{name}/manifest.json") is not None:
        url = f"{bucket.url}/parts/{name}"
        try:
            pull_lake(url, files.layout.root, progress=progress, should_stop=should_stop)
        except CopiesDiverged:
            raise _twice(url, files) from None
    members = bucket.read(f"parts/{files.members.name}")
    for path, found in ((files.members, members), (files.done, done)):
        if found is not None:
            replace_file(path, found[0])


def _twice(url: str, files: PartFiles) -> BucketError:
    return BucketError(
        url,
        f"another machine embedded part {files.share}, too, and what it sent counts; delete {files.layout.root} and "
        "run the part again, which goes on from there",
    )


def _read(path: Path) -> bytes | None:
    try:
        return read_file(path)
    except FileNotFoundError:
        return None
