"""Which boxes of a sample are in a picture: 3D boxes seen through a camera.

A box belongs to the sample, which is the whole scene around the car, and not to a picture. It is in
a picture as nuScenes' own tools say it (`box_in_image` with `BoxVisibility.ANY`): all of its
corners are more than 0.1 m in front of the camera, and at least one that is more than 1 m away
falls within the picture. What stands before it is not asked, so it may be hidden; and of a thing so
near that all of its corners lie outside, the picture is said not to show it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]
IN_FRONT_M, VISIBLE_M = 0.1, 1.0
# Of a box of one metre a side, along its own axes: length ahead, width to the left, height up.
_UNIT = np.array(
    [(x, y, z) for x in (0.5, -0.5) for y in (0.5, -0.5) for z in (0.5, -0.5)], np.float64
)


class Pose(NamedTuple):
    """Where a thing is, and how it is turned, in the frame that it is given in."""

    translation: Numbers  # (3,) metres
    rotation: Numbers  # (4,) quaternion w, x, y, z; of any length but 0


class Camera(NamedTuple):
    on_car: Pose
    intrinsic: Numbers  # (3, 3), in px
    width_px: int
    height_px: int


def corners(centres: Numbers, sizes: Numbers, rotations: Numbers) -> Numbers:
    """The corners of boxes, (n, 8, 3) in metres.

    :param centres: (n, 3) metres.
    :param sizes: (n, 3) metres: width, length, height, in nuScenes' order.
    :param rotations: (n, 4) quaternions w, x, y, z.
    """
    along = sizes[:, None, [1, 0, 2]] * _UNIT  # (n, 8, 3)
    turned = along @ np.swapaxes(matrices(rotations), 1, 2)
    return np.asarray(turned + centres[:, None, :], np.float64)


def are_in_picture(points: Numbers, car: Pose, camera: Camera) -> NDArray[np.bool_]:
    """Whether boxes are in a picture, (n,).

    :param points: (n, 8, 3), the boxes' corners in the frame that the car's pose is given in.
    """
    seen = _from(_from(points, car), camera.on_car)  # (n, 8, 3): right, down, ahead
    depths = seen[:, :, 2]
    # a point beside the camera divides by 0, and is in no picture
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        flat = seen @ camera.intrinsic.T
        x, y = flat[:, :, 0] / flat[:, :, 2], flat[:, :, 1] / flat[:, :, 2]
        shown = (x > 0) & (x < camera.width_px) & (y > 0) & (y < camera.height_px)
        shown &= depths > VISIBLE_M
        found = shown.any(axis=1) & (depths > IN_FRONT_M).all(axis=1)
    return np.asarray(found, np.bool_)


def heading_deg(rotation: Sequence[float]) -> float:
    """Where a car looks, seen from above: 0 along the map's x, 90 along its y; -180 to 180.

    :param rotation: a quaternion w, x, y, z, of any length but 0.
    """
    w, x, y, z = rotation
    # its own x, turned, in the map's x and y
    return math.degrees(math.atan2(2 * (x * y + z * w), w * w + x * x - y * y - z * z))


def matrices(rotations: Numbers) -> Numbers:
    """Quaternions w, x, y, z as matrices that turn columns, (n, 3, 3); NaN for one of length 0.

    Source: https://en.wikipedia.org/wiki/Quaternions_and_spatial_rotation#Quaternion-derived_rotation_matrix
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        w, x, y, z = (rotations / np.linalg.norm(rotations, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows, np.float64), 2, 0)


def _from(points: Numbers, pose: Pose) -> Numbers:
    """Points as they are seen from a pose: moved back, then turned back."""
    turn = matrices(pose.rotation[None])[0]
    return np.asarray((points - pose.translation) @ turn, np.float64)
