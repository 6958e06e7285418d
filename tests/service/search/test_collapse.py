from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from indexer.arrays import InputShape
from indexer.config import ReadLimits
from indexer.images import read_image
from service import Hit, Lake, Query
from service.search.choosing import Folding
from service.search.collapse import BLOCK, NEAR_BITS, are_alike, are_near
from service.search.ranking import Ranking
from tests.conftest import sample_folders
from tests.service.lakes import Maker, unit

RED = Query(texts=[("red", 1.0)], collapse=True)
PHOTO = 0xFFFF_FFFF_0000_0000  # 32 bits set, as in every photo's hash
OTHER = 0x0000_FFFF_FFFF_0000  # 32 bits away from it


def bits(number: int) -> int:
    """That many bits."""
    return (1 << number) - 1


def folded(hits: list[Hit]) -> list[tuple[int, tuple[int, ...] | None]]:
    return [(hit.row_id, hit.collapsed) for hit in hits]


def fall(maker: Maker, *phashes: int | None) -> Lake:
    """Rows whose scores for "red" fall from 1, with these hashes."""
    for number, phash in enumerate(phashes):
        maker.add((1, number / 10, 0), phash=phash)
    return maker.open()


def test_near_hashes_fold_into_the_best_hit(maker: Maker) -> None:
    lake = fall(maker, PHOTO, OTHER, PHOTO ^ bits(NEAR_BITS), PHOTO ^ bits(NEAR_BITS + 1), OTHER)
    page = lake.search_page(replace(RED, k=10))
    assert folded(page.hits) == [(1, (3,)), (2, (5,)), (4, ())]
    assert page.next_offset is None
    assert folded(lake.search("red")) == [(1, None), (2, None), (3, None), (4, None), (5, None)]


def test_folding_does_not_chain(maker: Maker) -> None:
    """Row 3 is near row 2 alone, which is no hit: it folded into row 1."""
    lake = fall(maker, PHOTO, PHOTO ^ bits(6), PHOTO ^ bits(12))
    assert folded(lake.search("red", collapse=True)) == [(1, (2,)), (3, ())]


def test_a_page_is_refilled_to_k(maker: Maker) -> None:
    lake = fall(maker, PHOTO, PHOTO, PHOTO, OTHER, OTHER, PHOTO, 0x00FF00FF00FF00FF)
    first = lake.search_page(replace(RED, k=2))
    assert (folded(first.hits), first.next_offset) == ([(1, (2, 3, 6)), (4, (5,))], 6)
    second = lake.search_page(replace(RED, k=2, offset=6))
    assert (folded(second.hits), second.next_offset) == ([(7, ())], None)


def test_copies_of_an_earlier_pages_hit_are_left_out(maker: Maker) -> None:
    lake = fall(maker, PHOTO, OTHER, PHOTO, OTHER)
    first = lake.search_page(replace(RED, k=1))
    assert (folded(first.hits), first.next_offset) == ([(1, ())], 1)
    second = lake.search_page(replace(RED, k=1, offset=1))
    assert (folded(second.hits), second.next_offset) == ([(2, (4,))], None)


def test_where_and_min_z_come_before_the_folding(maker: Maker) -> None:
    lake = fall(maker, PHOTO, PHOTO, OTHER, PHOTO)
    assert folded(lake.search("red", collapse=True, where="row_id > 1")) == [(2, (4,)), (3, ())]


def test_flat_pictures_are_told_apart_by_their_vectors(maker: Maker) -> None:
    """Whatever the colour, a flat picture's hash has hardly a bit set:
    red and green ones do not fold.
    """
    for vector, phash in (((1, 0, 0), 1), ((1, 0.1, 0), 0), ((0, 1, 0), 1), ((0, 1, 0.1), 1)):
        maker.add(vector, phash=phash)
    assert folded(maker.open().search("red", collapse=True)) == [(1, (2,)), (3, (4,))]


def test_many_hits_fold_as_one_slow_loop_says(maker: Maker) -> None:
    """Across blocks, windows and segments, against a plain loop over Python's whole numbers."""
    random = np.random.default_rng(4)
    motifs = [int(n) for n in random.integers(0, 2**63, 300)]
    hashes = []
    for number in range(2 * BLOCK + 200):
        flips = random.choice(64, int(random.integers(0, 9)), replace=False)
        hashes.append(int(motifs[int(random.integers(300))]) ^ sum(1 << int(bit) for bit in flips))
        maker.add((1, number / 1000, 0), phash=hashes[-1])
        if number % 400 == 399:
            maker.segment()
    lake = maker.open()
    stays: dict[int, list[int]] = {}
    for row_id, phash in enumerate(hashes, 1):
        near = [kept for kept in stays if (hashes[kept - 1] ^ phash).bit_count() <= NEAR_BITS]
        if near:
            stays[near[0]].append(row_id)
        else:
            stays[row_id] = []
    assert 300 < len(stays) < 1_000
    everything = lake.search("red", collapse=True, k=None)
    assert folded(everything) == [(row_id, tuple(others)) for row_id, others in stays.items()]
    paged, offset = [], 0
    while True:
        page = lake.search_page(replace(RED, k=170, offset=offset))
        paged += page.hits
        if page.next_offset is None:
            break
        offset = page.next_offset
    assert [hit.row_id for hit in paged] == list(stays)
    assert folded(list(lake.stream(replace(RED, k=None)))) == folded(everything)


def test_folding_by_single_hits_is_folding_at_once(maker: Maker) -> None:
    lake = fall(maker, PHOTO, OTHER, PHOTO ^ 1, OTHER ^ 1, 3, 0)
    found = Ranking(lake.snapshot, unit(1, 0, 0), None).top(None)
    bit_by_bit = Folding(lake.snapshot)
    singles = [int(bit_by_bit.add(found.at(slice(n, n + 1)))[0]) for n in range(6)]
    assert singles == Folding(lake.snapshot).add(found).tolist() == [0, 1, 0, 1, 4, 4]


def test_nearness_is_counted_in_bits_and_cosines() -> None:
    some = np.array([0, 2**64 - 1], np.uint64)
    assert are_near(some, np.array([bits(8), bits(9), 2**64 - 1], np.uint64)).tolist() == [
        [True, False, False],
        [False, False, True],
    ]
    assert are_alike(
        np.eye(2, dtype=np.float32), np.array([[1, 0], [0.6, 0.8]], np.float32)
    ).tolist() == [
        [True, False],
        [False, False],
    ]


def test_collapsed_is_in_json_only_where_it_was_asked(maker: Maker) -> None:
    lake = fall(maker, PHOTO, PHOTO, OTHER)
    documents = [hit.to_json() for hit in lake.search("red", collapse=True)]
    assert [document["collapsed"] for document in documents] == [[2], []]
    assert json.loads(json.dumps(documents)) == documents
    assert all("collapsed" not in hit.to_json() for hit in lake.search("red"))


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    names = ("chelsea.png", "coffee.png", "china.jpg", "flower.jpg", "rocket.jpg")
    paths = [Path(folder) / name for folder in sample_folders() for name in names]
    return [Image.open(path).convert("RGB") for path in paths if path.exists()]


def hash_of(image: Image.Image, quality: int = 90) -> int:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return read_image(
        "photo", data.getvalue(), InputShape(224, 224, mode="squash"), ReadLimits()
    ).phash


def test_copies_of_real_photos_are_near_and_other_photos_far(photos: list[Image.Image]) -> None:
    originals = [hash_of(photo, 95) for photo in photos]
    assert len(originals) == 5
    for number, photo in enumerate(photos):
        width, height = photo.size
        copies = [
            hash_of(photo, 30),
            hash_of(photo.resize((width // 2, height // 2))),
            hash_of(photo.resize((2 * width, 2 * height))),
            hash_of(ImageEnhance.Brightness(photo).enhance(1.1)),
            hash_of(
                photo.crop(
                    (width // 100, height // 100, width - width // 100, height - height // 100)
                )
            ),
        ]
        distances = [[(copy ^ original).bit_count() for original in originals] for copy in copies]
        for to_each in distances:
            assert to_each.pop(number) <= NEAR_BITS
            assert min(to_each) > 2 * NEAR_BITS
