"""Frames of one video that are near in time as one hit with its span: by hand, and against one
slow, obvious loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.address import Address
from indexer.errors import BadRequest
from service import Hit, Lake, Query
from service.search.hits import Span
from service.search.query import ByMoment, MaxPer
from tests.service.lakes import Maker

RED = Query(texts=[("red", 1.0)])
PHOTO, OTHER = 0xFFFF_FFFF_0000_0000, 0x0000_FFFF_FFFF_0000
S = 1_000_000
SOME = "row_id NOT IN (3, 30, 31, 32, 60, 61, 99, 200, 201, 202, 300)"


def frame(second: float, uri: str = "/a.mp4", stream: str = "video") -> Address:
    return Address(uri, stream=stream, time_us=round(second * S))


def scored(score: float) -> tuple[float, float, float]:
    """A vector with this score for "red"."""
    return score, (1 - score * score) ** 0.5, 0.0


def film(maker: Maker, scores: Sequence[float], uri: str = "/a.mp4", **columns: Any) -> None:
    """One frame a second."""
    for second, score in enumerate(scores):
        maker.add(scored(score), frame(second, uri), **columns)


def found(hits: list[Hit]) -> list[tuple[int, tuple[float, float, int] | None]]:
    """row_id, and the span in seconds with its number of frames."""
    spans = [(hit.row_id, hit.span) for hit in hits]
    return [
        (row_id, None if span is None else (span.from_us / S, span.to_us / S, span.frames))
        for row_id, span in spans
    ]


def test_a_moment_is_its_best_frame_and_the_span_that_fits_half_as_well(maker: Maker) -> None:
    # The median is 0, so the moment of 0.8 reaches as far as 0.4, that of 0.6 as far as 0.3.
    film(maker, [0, 0, 0, 0.45, 0.8, 0.7, 0.35, 0, 0, 0, 0, 0, 0.6, 0, 0, 0, 0])
    hits = maker.open().search("red", moments=1, k=2)
    assert found(hits) == [(5, (3, 5, 3)), (13, (12, 12, 1))]
    assert hits[0].span == Span(3 * S, 5 * S, 3)
    assert hits[0].to_json()["span"] == {"from_us": 3 * S, "to_us": 5 * S, "frames": 3}
    # Frame 6 is within a second of the first span: it is no hit, though no part of the span.
    every = maker.open().search("red", moments=1, k=None)
    assert 7 not in [hit.row_id for hit in every]
    assert "span" not in maker.open().search("red", k=1)[0].to_json()


def test_a_hole_no_longer_than_the_gap_breaks_no_span(maker: Maker) -> None:
    film(maker, [0.8, 0, 0.7, 0, 0, 0.75, 0, 0, 0, 0, 0, 0])
    lake = maker.open()
    assert found(lake.search("red", moments=1, k=3)) == [
        (1, (0, 0, 1)),
        (6, (5, 5, 1)),
        (3, (2, 2, 1)),
    ]
    assert found(lake.search("red", moments=2, k=2)) == [(1, (0, 2, 2)), (6, (5, 5, 1))]
    assert found(lake.search("red", moments=ByMoment(3), k=1)) == [(1, (0, 5, 3))]


def test_videos_topics_and_photos_are_apart(maker: Maker) -> None:
    maker.add(scored(0.9))
    maker.add(scored(0.8), frame(7))
    maker.add(scored(0.7), frame(7.5, "/b.mp4"))
    maker.add(scored(0.6), frame(7.5, "/c.mcap", "/front"))
    maker.add(scored(0.5), frame(7.5, "/c.mcap", "/back"))
    maker.segment()
    # Of the first video again, in another segment.
    maker.add(scored(0.45), frame(7.5))
    maker.add(scored(0.85))
    for _ in range(8):
        maker.add(scored(0))
    assert found(maker.open().search("red", moments=1, k=6)) == [
        (1, None),
        (7, None),
        (2, (7, 7.5, 2)),
        (3, (7.5, 7.5, 1)),
        (4, (7.5, 7.5, 1)),
        (5, (7.5, 7.5, 1)),
    ]


def test_a_frame_that_stands_for_a_while_reaches_as_far(maker: Maker) -> None:
    maker.add(scored(0.8), frame(10), still_s=30.0)
    maker.add(scored(0.7), frame(41), still_s=0.0)
    maker.add(scored(0.0), frame(42), still_s=600.0)
    for _ in range(4):
        maker.add(scored(0))
    assert found(maker.open().search("red", moments=1, k=1)) == [(1, (10, 41, 2))]


def test_where_and_min_z_come_first(maker: Maker) -> None:
    film(maker, [0.7, 0.8, 0.7, 0.6] + [0] * 8)
    lake = maker.open()
    assert found(lake.search("red", moments=1, k=1, where="row_id <> 1")) == [(2, (1, 3, 3))]
    assert found(lake.search("red", moments=1, where="time_us = 3000000")) == [(4, (3, 3, 1))]
    for number in range(300):
        maker.add(scored((number % 7) / 100))
    lake = maker.open()
    z = lake.search("red", k=1, where="row_id = 3")[0].z
    assert z is not None
    assert found(lake.search("red", moments=1, k=None, min_z=z - 0.01)) == [(2, (0, 2, 3))]


def test_with_collapse_a_copy_takes_its_moment_with_it(maker: Maker) -> None:
    """The second video is the first one, encoded anew; its frames are seen a little worse."""
    film(maker, [0, 0.9, 0.8, 0], phash=PHOTO)
    film(maker, [0, 0.89, 0.79, 0], "/b.mp4", phash=PHOTO ^ 3)
    film(maker, [0, 0, 0.5, 0], "/c.mp4", phash=OTHER)
    hits = maker.open().search("red", moments=1, collapse=True, k=2)
    assert found(hits) == [(2, (1, 2, 2)), (11, (2, 2, 1))]
    # 9 is of the third video, but of no moment that was found.
    assert [hit.collapsed for hit in hits] == [(6,), (9,)]


def test_with_max_per_moments_are_counted(maker: Maker) -> None:
    film(maker, [0.9, 0.8, 0, 0, 0.7, 0.6, 0, 0, 0.5, 0, 0, 0])
    film(maker, [0, 0.4], "/b.mp4")
    lake = maker.open()
    asked = replace(RED, moments=ByMoment(1), max_per=MaxPer("uri", 2))
    assert found(lake.search_query(replace(asked, k=3))) == [
        (1, (0, 1, 2)),
        (5, (4, 5, 2)),
        (14, (1, 1, 1)),
    ]


def test_a_lake_without_videos_is_searched_as_ever(maker: Maker) -> None:
    for number in range(5):
        maker.add(scored(number / 10))
    lake = maker.open()
    assert found(lake.search("red", moments=5)) == [(n, None) for n in (5, 4, 3, 2, 1)]
    assert Maker(maker.layout.root.with_name("empty.lake")).open().search("red", moments=5) == []


def test_a_moment_as_people_read_it() -> None:
    video, log = {"stream_id": "video"}, {"stream_id": "/camera"}

    def said(begin: float, end: float, frames: int, columns: dict[str, str]) -> str | None:
        return Hit(
            1, 0.5, None, "/a", columns, None, Span(round(begin * S), round(end * S), frames)
        ).moment

    assert said(723, 729.96, 7, video) == "12:03 to 12:09 (7 frames)"
    assert said(723.1, 723.9, 2, video) == "12:03 (2 frames)"
    assert said(3599, 3601, 1, video) == "59:59 to 1:00:01"
    assert (
        said(1_700_000_000, 1_700_000_004, 9, log) == "2023-11-14 22:13:20 to 22:13:24 (9 frames)"
    )
    assert said(1_700_000_000, 1_700_000_000, 1, log) == "2023-11-14 22:13:20"
    assert said(2**60 / S, 2**60 / S + 1, 2, log) is not None
    assert Hit(1, 0.5, None, "/a", video).moment is None


def test_mistakes_are_told(maker: Maker) -> None:
    lake = maker.open()
    with pytest.raises(BadRequest, match=r"moments: a gap of -1 s is none from 0 to a day"):
        lake.search("red", moments=-1)
    with pytest.raises(BadRequest, match="moments: a gap of nan s is none"):
        lake.search("red", moments=float("nan"))
    with pytest.raises(BadRequest, match="moments: 'soon' is no time of whole milliseconds"):
        ByMoment.parse("soon")
    assert [ByMoment.parse(text).gap_s for text in ("5", "0.5s", "500ms", "2m")] == [
        5,
        0.5,
        0.5,
        120,
    ]
    document = replace(RED, moments=ByMoment(2.5)).to_json()
    assert document["moments"] == {"gap_s": 2.5}
    assert Query.from_json(document).moments == ByMoment(2.5)
    with pytest.raises(BadRequest, match="rows without a query have no order"):
        replace(Query(), moments=ByMoment(1)).check_browsing()


# -- one slow, obvious loop


class Moment(NamedTuple):
    best: int
    span: tuple[int, int, int]
    stream: tuple[str, str]


def slow(hits: list[Hit], median: float, gap_us: int, n: int | None) -> list[Moment | int]:
    """Of all hits, best first: a moment of each frame that is of none yet; a row_id of any other.

    :param n: at most so many of each stream.
    """
    streams: dict[tuple[str, str], list[Hit]] = {}
    for hit in hits:
        if hit.columns["stream_id"] is not None:
            streams.setdefault((hit.uri, hit.columns["stream_id"]), []).append(hit)
    answer: list[Moment | int] = []
    taken: set[int] = set()
    for hit in hits:
        if hit.columns["stream_id"] is None:
            answer.append(hit.row_id)
            continue
        stream = (hit.uri, hit.columns["stream_id"])
        is_full = n is not None and n <= sum(
            isinstance(each, Moment) and each.stream == stream for each in answer
        )
        if hit.row_id in taken or is_full:
            continue
        least = min(hit.score, (hit.score + median) / 2)
        free = [one for one in streams[stream] if one.row_id not in taken]
        # Those of a moment before are walls.
        walls = [one.columns["time_us"] for one in streams[stream] if one.row_id in taken]
        at = hit.columns["time_us"]
        low = max((wall for wall in walls if wall < at), default=-1)
        high = min((wall for wall in walls if wall > at), default=10**15)
        fits = sorted(
            one.columns["time_us"]
            for one in free
            if one.score >= least and low < one.columns["time_us"] < high
        )
        span = [at]
        while more := [
            time
            for time in fits
            if time not in span and min(abs(time - other) for other in span) <= gap_us
        ]:
            span += more
        answer.append(Moment(hit.row_id, (min(span), max(span), len(span)), stream))
        taken |= {
            one.row_id
            for one in free
            if min(span) - gap_us <= one.columns["time_us"] <= max(span) + gap_us
        }
    return answer


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Films whose scores go up and down, photos between, in several segments, in any order."""
    random = np.random.default_rng(5)
    maker = Maker(tmp_path_factory.mktemp("films") / "my.lake")
    rows: list[tuple[float, Address | str]] = [(float(s), "") for s in random.uniform(0, 0.9, 40)]
    for number, length in enumerate((400, 90, 30, 3, 1)):
        steps = np.abs(np.cumsum(random.normal(0, 0.12, length)))
        for second, score in enumerate(np.clip(steps % 0.95, 0, 0.95).round(2)):
            rows.append((float(score), frame(second * 2, f"/{number}.mp4")))
    for at, number in enumerate(random.permutation(len(rows))):
        score, place = rows[number]
        maker.add(scored(score), place)
        if at % 150 == 149:
            maker.segment()
    return maker.open()


@settings(max_examples=15, deadline=None)
@given(
    gap_s=st.sampled_from([0, 1, 2, 4, 11, 5_000]),
    k=st.sampled_from([3, 17, 60, 400]),
    n=st.sampled_from([None, None, 1, 3]),
    where=st.sampled_from([None, SOME, "uri <> '/0.mp4'", "stream_id IS NULL"]),
)
def test_pages_are_pieces_of_the_slow_loop(
    films: Lake, gap_s: float, k: int, n: int | None, where: str | None
) -> None:
    everything = films.search("red", k=None)
    median = float(np.median([hit.score for hit in everything]))
    if where is not None:
        everything = films.search("red", k=None, where=where)
    expected = slow(everything, median, round(gap_s * S), n)
    max_per = None if n is None else MaxPer("uri", n)  # photos have a uri each
    asked = replace(RED, moments=ByMoment(gap_s), max_per=max_per, where=where)
    answer: list[Moment | int] = []
    offset: int | None = 0
    while offset is not None:
        page = films.search_page(replace(asked, k=k, offset=offset))
        assert page.next_offset in (None, offset + k)
        answer += [_as_slow(hit) for hit in page.hits]
        offset = page.next_offset
    assert answer == expected
    assert [_as_slow(hit) for hit in films.stream(replace(asked, k=None))] == expected


def _as_slow(hit: Hit) -> Moment | int:
    if hit.span is None:
        return hit.row_id
    span = (hit.span.from_us, hit.span.to_us, hit.span.frames)
    return Moment(hit.row_id, span, (hit.uri, hit.columns["stream_id"]))
