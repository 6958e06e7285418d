"""The verb `map`, and what `index` and `sync` do for a lake that has a map."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from indexer.errors import LakeError
from indexer.words import count
from service.cli.codes import DONE
from service.cli.lakes import add_lake
from service.cli.parts import Verbs, add_json, add_verb, positive, print_json, whole


def add_map(verbs: Verbs) -> None:
    parser = add_verb(verbs, "map", "put all images of a lake on a map: those that look alike are near", [
        "lakesift map my.lake",
        "lakesift map my.lake --anew --seed 2",
    ])  # fmt: skip
    parser.set_defaults(run=_map)
    add_lake(parser)
    parser.add_argument(
        "--anew",
        action="store_true",
        help="lay the map out anew (default: images that came since are placed on the one that is there)",
    )
    parser.add_argument(
        "--landmarks",
        type=positive,
        metavar="N",
        help="images that are laid out against each other, 100 to 100,000; the rest is placed beside them "
        "(default: 10,000)",
    )
    parser.add_argument(
        "--seed",
        type=whole,
        default=0,
        metavar="N",
        help="another one gives another map (default: 0)",
    )
    add_json(parser)


def _map(arguments: argparse.Namespace) -> int:
    from service.cli.progress import TerminalProgress
    from service.lake import Lake

    with Lake.open(arguments.lake) as lake, TerminalProgress(unit="") as progress:
        made = lake.make_map(
            anew=arguments.anew,
            landmarks=arguments.landmarks,
            seed=arguments.seed,
            progress=progress,
        )
    if arguments.json:
        print_json(made.to_json())
    elif made.is_new:
        names = f", {count(made.names, 'cluster')} named" if made.names else ""
        print(
            f"{count(made.rows, 'image')} on the map, by {count(made.landmarks, 'landmark')}{names}"
        )
    else:
        print(f"{count(made.rows, 'image')} on the map, {made.placed:,} of them placed now")
    return DONE


def keep_map_in_step(folder: Path) -> None:
    """After a sync: images that came are placed on the lake's map, if it has one. A sync that is
    done does not fail for it.
    """
    from indexer.disk.layout import Layout
    from service.map.stored import MapFile

    try:
        if MapFile(Layout(folder).map).stamp() is None:
            return
        from service.lake import Lake
        from service.map.making import keep_in_step

        with Lake.open(folder) as lake:
            keep_in_step(lake.snapshot)
    except LakeError as error:
        print(f"warning: the map is not in step: {error}", file=sys.stderr)
