"""`kill -9` while tars, zips, tables, recordings and videos are indexed and synced: as in
`test_crash`, and every image is still read from where its row says.

LAKESIFT_CRASH_TRIES sets how many moments of each verb are tried.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mcap.writer import CompressionType

from indexer.errors import UnreadableImage
from indexer.sources.bytes_of import BytesOf
from tests.indexer.killed_writers import TRIES, Story, Writers
from tests.indexer.killed_writers import writers as writers
from tests.indexer.lakes import png
from tests.indexer.recordings import mcap_of, photo
from tests.indexer.sources.containers.test_tar import tar_of
from tests.indexer.sources.containers.test_zip import zip_of
from tests.indexer.videos import film
from tests.lakes import LONG_AGO_S, live_rows_by_address, write

# a try takes as long as two of folders
FEW = 1 if TRIES <= 5 else TRIES
LATER_S = LONG_AGO_S + 1000
FILM = [("red", 2), ("lime", 2), ("blue", 2)]


def image(number: int) -> bytes:
    return png((number * 3 + 10, 255 - number * 3, number * 7 % 256))


def images(*spans: range) -> dict[str, bytes]:
    return {f"i{number:02d}.png": image(number) for span in spans for number in span}


def table_of(path: Path, files: Mapping[str, bytes], rows_a_group: int, modified_s: float) -> None:
    """As Hugging Face lays out a set of images."""
    structs = [{"bytes": data, "path": name} for name, data in files.items()]
    made = io.BytesIO()
    pq.write_table(pa.table({"image": pa.array(structs)}), made, row_group_size=rows_a_group)
    write(path, made.getvalue(), modified_s)


def recording_of(files: Sequence[bytes], compression: CompressionType) -> bytes:
    """A photo a second, about two in each chunk."""
    sent = [photo(second * 10**9, data) for second, data in enumerate(files)]
    return mcap_of(sent, compression, chunk_size=200)


def make_containers(folder: Path) -> None:
    """12 images and one that is none in a tar, 10 in a zip, 12 in a table, 12 in a recording, 6
    frames of a film, 4 in another tar.
    """
    write(folder / "a.tar", tar_of({**images(range(12)), "broken.png": b"no image"}))
    write(folder / "b.zip", bytes(zip_of(images(range(12, 22)), zipfile.ZIP_DEFLATED)))
    table_of(folder / "c.parquet", images(range(22, 34)), 5, LONG_AGO_S)
    recorded = list(images(range(34, 46)).values())
    write(folder / "d.mcap", recording_of(recorded, CompressionType.ZSTD))
    film(folder / "e.mkv", FILM)
    write(folder / "t.tar", tar_of(images(range(46, 50))))


def change_containers(folder: Path) -> None:
    """Everything is written anew somewhere, 2 images go, 5 + 3 + 1 + 4 are new; one tar and one
    recording are cut short.
    """
    (folder / "a.tar").unlink()
    write(folder / "a0.tar", tar_of(images(range(5))), LATER_S)
    rest = {**images(range(6, 12), range(60, 65)), "broken.png": b"no image"}
    write(folder / "a1.tar", tar_of(rest), LATER_S)
    (folder / "b.zip").unlink()
    write(folder / "z.zip", bytes(zip_of(images(range(12, 21), range(5, 6)))), LATER_S)
    backwards = dict(reversed(images(range(22, 34), range(65, 68)).items()))
    table_of(folder / "c.parquet", backwards, 100, LATER_S)
    recorded = list(images(range(34, 45), range(68, 69)).values())
    write(folder / "d.mcap", recording_of(recorded, CompressionType.NONE), LATER_S)
    (folder / "e.mkv").rename(folder / "f.mkv")
    os.truncate(folder / "t.tar", 2_000)
    uncompressed = recording_of(list(images(range(69, 75)).values()), CompressionType.NONE)
    in_the_fifth = uncompressed.index(image(73)) + 10
    write(folder / "cut.mcap", uncompressed[:in_the_fifth], LATER_S)


@pytest.fixture(scope="module")
def index_story(writers: Writers, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("index")
    make_containers(folder / "photos")
    return Story(writers, "index", folder, folder / "photos")


@pytest.fixture(scope="module")
def sync_story(writers: Writers, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("sync")
    make_containers(folder / "photos")
    assert writers.run("index", folder / "start", folder / "photos") == 0
    change_containers(folder / "photos")
    return Story(writers, "sync", folder, folder / "photos", folder / "start")


@pytest.fixture(params=["index", "sync"])
def story(request: pytest.FixtureRequest) -> Story:
    story: Story = request.getfixturevalue(f"{request.param}_story")
    return story


def hashes_at_their_places(lake: Path) -> dict[int, str]:
    """Row id -> sha256 of the bytes that lie where the row says; without those that are not there
    any more.
    """
    bytes_of, found = BytesOf(), {}
    for address, row in live_rows_by_address(lake).items():
        with suppress(UnreadableImage):
            data = bytes_of.read(address, 1 << 20)
            found[row["row_id"]] = hashlib.sha256(data).hexdigest()
    return found


def test_the_undisturbed_runs_are_what_was_worked_out_by_hand(
    index_story: Story, sync_story: Story
) -> None:
    before, after = sync_story.before, sync_story.after
    assert sorted(index_story.after) == list(range(1, 57))
    assert index_story.skipped == {"a.tar#member=broken.png"}
    assert sync_story.skipped == {"a1.tar#member=broken.png"}
    assert sorted(after) == [*range(1, 22), *range(23, 46), *range(47, 57), *range(57, 70)]
    assert {row_id: row.sha256 for row_id, row in after.items() if row_id < 57} == {
        row_id: row.sha256 for row_id, row in before.items() if row_id not in (22, 46)
    }
    assert str(after[6].address).endswith("z.zip#member=i05.png"), "it was in a.tar"


def test_a_writer_killed_before_any_step_can_be_continued(story: Story) -> None:
    story.kill_before_steps(FEW)


def test_a_writer_killed_at_a_random_moment_can_be_continued(sync_story: Story) -> None:
    sync_story.kill_at_moments(FEW)


def test_every_image_lies_where_its_row_says(story: Story) -> None:
    sha256 = {row_id: row.sha256 for row_id, row in story.after.items()}
    found = hashes_at_their_places(story.folder / "undisturbed.lake")
    # the last two of t.tar; a member takes 1,024 bytes
    cut_short = {55, 56} if story.verb == "sync" else set()
    assert found == {row_id: sha256[row_id] for row_id in sha256.keys() - cut_short}
