"""Images that are parts of files, through the steps of a run."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from indexer.address import Address
from indexer.config import IndexConfig, ReadLimits
from indexer.disk.layout import Layout
from indexer.disk.manifest import Manifest, read_manifest
from indexer.errors import ImageGone
from indexer.images.decoder import ReadSettings
from indexer.run.embedding.pipeline import Pipeline
from indexer.run.embedding.tasks import Embedded, Failed, Task
from indexer.run.live import add_live_rows
from indexer.run.plan.plan import Plan
from indexer.run.roots import Roots
from indexer.run.writing.commits import Commits, prepare_folder
from indexer.sources import ImageFile
from indexer.sources.guard import Reach
from service.pictures.originals import IndexedImage, Originals
from tests.fakes import ColourEmbedder
from tests.lakes import BLUE, GREEN, RED, live_rows_by_address, png

ONE, TWO = png(RED), png(BLUE, (6, 6))
PACKED = b"0123456789" + ONE + b"----" + TWO


def listing(archive: Path) -> list[ImageFile]:
    """Of an archive's two images, and one that lies beside its end."""
    spans = {"one.png": (10, len(ONE)), "two.png": (14 + len(ONE), len(TWO))}
    spans["cut.png"] = (14 + len(ONE), len(TWO) + 1)
    return [
        ImageFile(Address(str(archive), None, name, *span), span[1], 5, None, None)
        for name, span in spans.items()
    ]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "two.tar"
    path.write_bytes(PACKED)
    return path


@pytest.fixture
def lake(tmp_path: Path, archive: Path) -> Layout:
    """A lake of the archive's images, made by the steps of a run."""
    layout, model = Layout(tmp_path / "my.lake"), ColourEmbedder()
    prepare_folder(layout)
    plan = Plan(tmp_path)
    assert list(plan.add_listing(0, iter(listing(archive)))) == [3]
    assert plan.compare([], []).new == 3
    plan.pair()
    tasks = [Task.of(todo.file, str(archive), {}) for todo in plan.todo()]
    plan.close()
    assert [task.address.member for task in tasks] == ["one.png", "two.png", "cut.png"]
    settings = ReadSettings(model.input_shape, ReadLimits())
    manifest = Manifest(model.model_id, model.fingerprint, model.dim)
    commits = Commits(layout, manifest, IndexConfig(), 10_000_000)
    with Pipeline(model, settings, decoders=1, readers=1, batch_size=8) as pipeline:
        for result in (result for results in pipeline.run(tasks) for result in results):
            if isinstance(result, Embedded):
                commits.add(result)
            else:
                commits.skip(result)
                assert isinstance(result, Failed)
                assert result.reason == (
                    f"it should end at byte {len(PACKED) + 1:,} of its file, "
                    f"which has only {len(PACKED):,}"
                )
    commits.commit()
    return layout


def rows(layout: Layout) -> dict[str, IndexedImage]:
    found = live_rows_by_address(layout.root)
    return {
        str(address.member): IndexedImage.of(row, Reach(["/"])) for address, row in found.items()
    }


def test_members_become_rows_and_their_bytes_are_found_again(lake: Layout, archive: Path) -> None:
    found = live_rows_by_address(lake.root)
    assert [
        (str(a), row["row_id"], row["vector"], row["width_px"]) for a, row in found.items()
    ] == [
        (f"{archive}#member=one.png", 1, [1, 0, 0], 4),
        (f"{archive}#member=two.png", 2, [0, 0, 1], 6),
    ]
    images = rows(lake)
    originals = Originals()
    assert originals.read(images["one.png"]) == ONE
    assert originals.read(images["two.png"]) == TWO
    assert images["two.png"].sha256 == sha256(TWO).hexdigest()


def test_a_member_that_is_another_by_now_gives_nothing_away(lake: Layout, archive: Path) -> None:
    image = rows(lake)["one.png"]
    for data in (b"0123456789" + png(GREEN) + b"----" + TWO, PACKED[:60], b"9" + PACKED):
        archive.write_bytes(data)
        with pytest.raises(ImageGone) as caught:
            Originals().read(image)
        assert caught.value.uri == f"{archive}#member=one.png"
        assert caught.value.reason == "it has changed since it was indexed"
    archive.unlink()
    with pytest.raises(ImageGone, match="it is not there any more"):
        Originals().read(image)
    unread = replace(image, address=Address(str(archive), row_index=3))
    with pytest.raises(ImageGone):
        Originals().read(unread)


def test_a_later_run_tells_members_apart_by_their_names(lake: Layout, archive: Path) -> None:
    """The archive is written anew: two.png comes first, one.png is gone, three.png is new."""
    plan = Plan(lake.staging)
    add_live_rows(plan, lake, read_manifest(lake)[0], Roots({}))
    files = [
        ImageFile(Address(str(archive), None, "two.png", 0, len(TWO)), len(TWO), 6, None, None),
        ImageFile(Address(str(archive), None, "three.png", 99, 7), 7, 6, None, None),
    ]
    assert list(plan.add_listing(0, iter(files))) == [2]
    counts = plan.compare([str(archive)], [])
    assert (counts.gone, counts.changed, counts.new, counts.same) == (1, 1, 1, 0)
    assert [str(file.address) for file in plan.to_hash()] == [f"{archive}#member=two.png"]
    plan.add_hashes([(Address(str(archive), member="two.png").key, sha256(TWO).hexdigest())])
    plan.pair()
    [rerow] = plan.rerows()
    assert (rerow.file.address, rerow.old.position) == (files[0].address, 1)
    assert [todo.file.address for todo in plan.todo()] == [files[1].address]
    plan.close()
