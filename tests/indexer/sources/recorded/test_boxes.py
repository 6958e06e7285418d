"""3D boxes in a camera's picture, with values worked out by hand.

The camera looks along the car's x, 1 m ahead of its middle and 1.5 m up; a metre at d metres is
1000 / d px of a picture of 1600 x 900.
"""

from __future__ import annotations

import numpy as np
import pytest

from indexer.sources.recorded.nuscenes.boxes import (
    Camera,
    Numbers,
    Pose,
    are_in_picture,
    corners,
    heading_deg,
    matrices,
)
from tests.indexer.drives import BACK, FRONT, HALF, TURNS

STRAIGHT = np.array([1.0, 0, 0, 0])
CAR = Pose(np.array([100.0, 200.0, 0.0]), np.array([HALF, 0, 0, HALF]))
INTRINSIC = np.array([[1000.0, 0, 800], [0, 1000, 450], [0, 0, 1]])


def camera(name: str) -> Camera:
    return Camera(Pose(np.array([1.0, 0, 1.5]), np.array(TURNS[name])), INTRINSIC, 1600, 900)


def cube(centre: tuple[float, float, float], side_m: float = 2.0) -> Numbers:
    turned = CAR.rotation[None]
    return corners(np.array([centre]), np.array([[side_m] * 3]), turned)


def test_a_quaternion_turns_as_it_should() -> None:
    # a quarter turn to the left: x becomes y
    assert np.allclose(matrices(CAR.rotation[None])[0] @ [1, 0, 0], [0, 1, 0])
    # a camera's right, down and ahead in the car's ahead, left and up
    assert np.allclose(matrices(np.array([TURNS[FRONT]]))[0], [[0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def test_a_size_is_width_length_height() -> None:
    found = corners(np.zeros((1, 3)), np.array([[2.0, 4.0, 6.0]]), STRAIGHT[None])[0]
    assert found.min(axis=0).tolist() == [-2, -1, -3]  # length ahead, width aside, height up
    assert found.max(axis=0).tolist() == [2, 1, 3]
    turned = corners(np.zeros((1, 3)), np.array([[2.0, 4.0, 6.0]]), CAR.rotation[None])[0]
    assert np.allclose(turned.max(axis=0), [1, 2, 3])


@pytest.mark.parametrize(
    ("centre", "seen_by"),
    [
        # The car looks along the map's y: 20 m ahead, 10 m behind.
        ((100.0, 220.0, 1.0), [FRONT]),
        ((100.0, 190.0, 1.0), [BACK]),
        # To the right is the map's x. Its corners are 18 and 20 m before the camera, and 0.8 m
        # aside for a metre ahead is the picture's edge: 16 m at 20 m.
        ((100.0 + 16.9, 220.0, 1.0), [FRONT]),  # its near side is 15.9 m aside
        ((100.0 + 17.1, 220.0, 1.0), []),  # and 16.1 m here
        # Above the picture: 450 px up is 9 m at 20 m, and the camera is at 1.5 m.
        ((100.0, 220.0, 1.5 + 9.9), [FRONT]),
        ((100.0, 220.0, 1.5 + 10.1), []),
        # Its near side is 0.05 m before the camera: not all of it is in front.
        ((100.0, 202.05, 1.5), []),
        # Its near side is 0.5 m before the camera, its far side 2.5 m, and all of the far side
        # falls within the picture.
        ((100.0, 202.5, 1.5), [FRONT]),
    ],
)
def test_which_camera_sees_a_thing(centre: tuple[float, float, float], seen_by: list[str]) -> None:
    found = [n for n in (FRONT, BACK) if are_in_picture(cube(centre), CAR, camera(n))[0]]
    assert found == seen_by


def test_a_thing_that_fills_the_picture_from_all_sides_is_not_told_by_its_corners() -> None:
    # It is 40 m high, from 2 to 42 m ahead: even there its corners are 1000 * 20 / 42 = 476 px
    # above and below the middle of a picture of 900 px. So it is with nuScenes' own tools, too.
    assert not are_in_picture(cube((100.0, 223.0, 1.5), 40.0), CAR, camera(FRONT))[0]


@pytest.mark.parametrize(
    ("rotation", "heading"),
    [((1.0, 0, 0, 0), 0.0), ((HALF, 0, 0, HALF), 90.0), ((HALF, 0, 0, -HALF), -90.0)],
)
def test_a_heading_is_the_angle_from_the_maps_x(
    rotation: tuple[float, float, float, float], heading: float
) -> None:
    assert heading_deg(rotation) == pytest.approx(heading)
    # a quaternion of another length is the same turn
    assert heading_deg([3 * part for part in rotation]) == pytest.approx(heading)
