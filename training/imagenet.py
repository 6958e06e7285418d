"""What the image tower's classifier knows in words:
its 1,000 class names, and plain words for groups of them.
"""

from __future__ import annotations

import json

import numpy as np

from training.arrays import Floats
from training.starting import CLASS_NAMES

# The classes have the names that experts use: 118 breeds, and no "dog". Positions in the order of
# ILSVRC 2012.
GROUPS: dict[str, tuple[range | int, ...]] = {
    "fish": (range(7), range(389, 398)),
    "shark": (range(2, 5),),
    "bird": (range(7, 25), range(80, 101), range(127, 147)),
    "dog": (range(151, 269),),
    "cat": (range(281, 286),),
    "big cat": (range(286, 294),),
    "bear": (range(294, 298),),
    "monkey": (range(365, 383),),
    "insect": (range(300, 327),),
    "butterfly": (range(321, 327),),
    "snake": (range(52, 69),),
    "lizard": (range(38, 49),),
    "turtle": (range(33, 38),),
    "frog": (range(30, 33),),
    "spider": (range(72, 78),),
    "crab": (range(118, 122),),
    "elephant": (385, 386),
    "horse": (339,),
    "cow": (range(345, 348),),
    "sheep": (range(348, 351),),
    "pig": (range(341, 344),),
    "rabbit": (range(330, 333),),
    "fox": (range(277, 281),),
    "wolf": (range(269, 273),),
    "car": (407, 436, 468, 511, 581, 609, 627, 656, 661, 751, 817),
    "truck": (555, 569, 675, 717, 864, 867),
    "bus": (654, 779, 874),
    "bicycle": (444, 671),
    "motorcycle": (665, 670),
    "boat": (472, 484, 554, 576, 625, 780, 814, 871, 914),
    "ship": (403, 510, 628, 724, 833),
    "airplane": (404, 895),
    "train": (466, 547, 705, 820, 829),
    "fruit": (range(948, 958),),
    "vegetable": (range(936, 948),),
    "food": (range(923, 936), range(959, 970)),
    "flower": (985, 986),
    "mushroom": (range(991, 998),),
    "chair": (423, 559, 765, 857),
    "bed": (516, 520, 564),
    "table": (526, 532),
    "computer": (508, 527, 620, 664),
    "musical instrument": (
        *(
            401,
            402,
            420,
            432,
            486,
            513,
            541,
            546,
            558,
            566,
            579,
            593,
            594,
            641,
            642,
            683,
            684,
            687,
            699,
        ),
        *(776, 822, 875, 881, 889),
    ),
    "ball": (429, 430, 574, 722, 768, 805, 852, 890),
    "gun": (413, 763, 764),
    "clock": (409, 530, 892),
    "bottle": (440, 720, 737, 898, 907),
    "hat": (439, 452, 515, 808),
    "shoe": (502, 514, 630, 770, 774),
}
CLASSES = 1000


def class_names() -> list[str]:
    """In the order of the classifier's scores.

    :raises ModelUnavailable: if their package is not installed or not the one that is known.
    """
    return [str(name) for name in json.loads(CLASS_NAMES.read())]


def members(group: str) -> list[int]:
    """The classes of a group, by position."""
    parts = (part if isinstance(part, range) else (part,) for part in GROUPS[group])
    return [position for part in parts for position in part]


def ungrouped() -> list[int]:
    """The classes that are in no group, by position."""
    grouped = {position for group in GROUPS for position in members(group)}
    return [position for position in range(CLASSES) if position not in grouped]


def coarse_table() -> Floats:
    """float32, (1000, groups + ungrouped classes):
    fine probabilities @ table = those of plainer words, sum 1.

    A class of several groups, a butterfly that is an insect, gives each an equal share.
    """
    rest = ungrouped()
    table = np.zeros((CLASSES, len(GROUPS) + len(rest)), np.float32)
    for column, group in enumerate(GROUPS):
        table[members(group), column] = 1
    table[rest, len(GROUPS) + np.arange(len(rest))] = 1
    return np.asarray(table / table.sum(axis=1, keepdims=True), np.float32)
