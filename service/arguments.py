"""The arguments of the `lakesift` command, and nothing else: what each verb takes, its defaults, its examples."""

from __future__ import annotations

import argparse
from pathlib import Path

from indexer import __version__
from service.argument_parts import Verbs, add_json, add_verb, positive
from service.filter_arguments import add_filter


def parser() -> argparse.ArgumentParser:
    """The whole command's; a parsed namespace names its verb in `verb`."""

    root = argparse.ArgumentParser(
        prog="lakesift",
        description="Find images in a data lake and decide which are worth annotating.",
        epilog="examples:\n"
        "  lakesift index ~/photos --into my.lake\n"
        '  lakesift search my.lake "a cat" --paths\n'
        "  lakesift serve my.lake\n\n"
        "Results go to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 used wrongly, "
        "3 a filter refused its promise, 130 interrupted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"lakesift {__version__}")
    verbs = root.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    _add_index(verbs)
    _add_sync(verbs)
    _add_search(verbs)
    _add_serve(verbs)
    add_filter(verbs)
    _add_key(verbs)
    _add_info(verbs)
    _add_doctor(verbs)
    _add_models(verbs)
    _add_train(verbs)
    _add_vacuum(verbs)
    _add_compact(verbs)
    return root


def _add_writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="images an encoder call (default: the model's own choice)",
    )
    parser.add_argument(
        "--decoders", type=positive, metavar="N", help="decoder processes (default: one a core, at most 16)"
    )
    parser.add_argument(
        "--readers", type=positive, metavar="N", help="downloads at once from a remote source (default: 16)"
    )
    parser.add_argument(
        "--commit-rows",
        type=positive,
        metavar="N",
        help="commit after this many images (default: 5000, or 30 s)",
    )
    parser.add_argument(
        "--max-pixels", type=positive, metavar="N", help="skip images of more pixels (default: 180000000)"
    )
    parser.add_argument(
        "--max-bytes", type=positive, metavar="N", help="skip larger files (default: 200000000)"
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="decode JPEGs at full size even where a reduced one is enough (default: off)",
    )
    parser.add_argument(
        "--device", help="cuda, mps or cpu, for open_clip models (default: the best there is)"
    )
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="a source that is missing or lists nothing deletes its rows (default: they are kept)",
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="write without a lock, on a file system that has none (default: refuse)",
    )
    parser.add_argument(
        "--retry-skipped",
        action="store_true",
        help="try files again that could not be read, changed or not (default: only changed ones)",
    )
    add_json(parser)


def _add_index(verbs: Verbs) -> None:
    parser = add_verb(verbs, "index", "index folders, globs, URLs or lists of images into a lake", [
        "lakesift index ~/photos --into my.lake",
        "lakesift index 's3://bucket/robot/**/*.jpg' --into my.lake --columns frames.csv",
    ])  # fmt: skip
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="a folder, a glob in quotes, a URL, or a text file with one path a line",
    )
    parser.add_argument(
        "--into", required=True, type=Path, metavar="LAKE", help="the lake's folder; made if it is not there"
    )
    parser.add_argument(
        "--model",
        help="the model of a new lake: builtin@FOLDER for one that `lakesift train` wrote, "
        "else see `lakesift models` (default: builtin)",
    )
    parser.add_argument(
        "--precision",
        choices=["fp32", "bf16", "fp16", "int8"],
        help="of an open_clip model (default: the fastest that keeps its quality; int8 only when asked for)",
    )
    parser.add_argument(
        "--columns", metavar="TABLE", help="a CSV or Parquet table of your own metadata, joined by path"
    )
    parser.add_argument(
        "--sources-of",
        type=Path,
        metavar="OTHER_LAKE",
        help="all sources of another lake, with their tables, as for another model (default: those named)",
    )
    _add_writing(parser)


def _add_sync(verbs: Verbs) -> None:
    parser = add_verb(verbs, "sync", "make a lake equal its sources: new, changed, moved and deleted images", [
        "lakesift sync my.lake",
        "lakesift sync my.lake --root /old/disk=/new/disk",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="the photos moved house: paths that began with OLD begin with NEW now (default: none)",
    )
    parser.add_argument(
        "--drop-damaged",
        action="store_true",
        help="give up damaged segments and index their images again, under new row ids (default: refuse)",
    )
    _add_writing(parser)


def _add_search(verbs: Verbs) -> None:
    parser = add_verb(verbs, "search", "find images by text, by example images, by metadata", [
        'lakesift search my.lake "a cat" --paths',
        "lakesift search my.lake --image cat.jpg --not-text drawing --where \"width_px >= 640\" -k 20",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument("text", nargs="?", help="what to look for")
    parser.add_argument(
        "--text",
        dest="texts",
        action="append",
        default=[],
        metavar="TEXT",
        help="one more wanted text; may be repeated",
    )
    parser.add_argument(
        "--image", action="append", default=[], metavar="PATH", help="a wanted example image; may be repeated"
    )
    parser.add_argument(
        "--row",
        type=int,
        action="append",
        default=[],
        metavar="ROW_ID",
        help="a wanted example from the lake; may be repeated",
    )
    parser.add_argument(
        "--not-text", action="append", default=[], metavar="TEXT", help="an unwanted text; may be repeated"
    )
    parser.add_argument(
        "--not-image",
        action="append",
        default=[],
        metavar="PATH",
        help="an unwanted example image; may be repeated",
    )
    parser.add_argument(
        "--not-row",
        type=int,
        action="append",
        default=[],
        metavar="ROW_ID",
        help="an unwanted example from the lake; may be repeated",
    )
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="only rows for which this holds, e.g. \"width_px >= 640 AND camera LIKE 'Canon%%'\"",
    )
    parser.add_argument(
        "--filter",
        metavar="NAME",
        help="only rows that this filter decided as --decision says; hospital@3: as its version 3 did "
        "(default: every row; of a filter, the version applied last)",
    )
    parser.add_argument(
        "--decision",
        choices=["keep", "ask", "drop"],
        action="append",
        help="with --filter: which rows; may be repeated (default: keep)",
    )
    parser.add_argument("-k", type=positive, default=10, metavar="N", help="hits wanted (default: 10)")
    parser.add_argument(
        "--all", action="store_true", help="every row, or every row above --min-z, instead of -k hits"
    )
    parser.add_argument(
        "--min-z",
        type=float,
        metavar="Z",
        help="only hits that stand out by this many robust standard deviations",
    )
    parser.add_argument(
        "--collapse",
        action="store_true",
        help="show near-identical images once, as the best of them (default: each)",
    )
    shape = parser.add_mutually_exclusive_group()
    add_json(shape)  # type: ignore[arg-type]
    shape.add_argument("--paths", action="store_true", help="print paths alone, one a line")
    shape.add_argument(
        "--print0",
        action="store_true",
        help="print paths alone, each ended by a NUL byte, for odd names and xargs -0",
    )


def _add_serve(verbs: Verbs) -> None:
    parser = add_verb(verbs, "serve", "answer searches over HTTP, with a page for people", [
        "lakesift serve my.lake",
        "lakesift serve cats.lake dogs.lake --port 9000",
    ])  # fmt: skip
    parser.add_argument(
        "lakes", nargs="+", type=Path, metavar="LAKE", help="a lake's folder; several are served together"
    )
    parser.add_argument(
        "--host", help="the address to listen on; any but this machine's own needs keys (default: 127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=_port, metavar="N", help="the port; 0 takes a free one (default: 8377)"
    )
    parser.add_argument(
        "--allow-host",
        dest="allow_hosts",
        action="append",
        metavar="NAME",
        help="a further name that callers know this service by, as behind a proxy; may be repeated (default: none)",
    )
    parser.add_argument(
        "--require-key",
        action="store_true",
        default=None,
        help="ask for a key on this machine's own address too (default: only on others)",
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; those are numbers from 0 to 65535")
    return int(text)


def _add_info(verbs: Verbs) -> None:
    parser = add_verb(verbs, "info", "say what a lake holds", [
        "lakesift info my.lake",
        "lakesift info my.lake --skipped --json",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument(
        "--skipped",
        action="store_true",
        help="list the files that could not be read, and why (default: count them)",
    )
    add_json(parser)


def _add_doctor(verbs: Verbs) -> None:
    parser = add_verb(verbs, "doctor", "check a lake, its model and this machine", [
        "lakesift doctor my.lake",
        "lakesift doctor my.lake --deep",
    ])  # fmt: skip
    parser.add_argument(
        "lake",
        type=Path,
        nargs="?",
        metavar="LAKE",
        help="the lake's folder (default: check the machine alone)",
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="read every byte of the lake (default: lengths and headers of a large lake)",
    )
    parser.add_argument(
        "--precision",
        choices=["int8", "bf16", "fp16"],
        help="measure on this lake's own photos what this precision would cost (default: do not)",
    )
    add_json(parser)


def _add_models(verbs: Verbs) -> None:
    parser = add_verb(verbs, "models", "list the models that a lake can be built with", [
        "lakesift models",
        "lakesift models --json",
    ])  # fmt: skip
    add_json(parser)


def _add_train(verbs: Verbs) -> None:
    parser = add_verb(verbs, "train", "make a model of your own from labelled or captioned images", [
        "lakesift train ~/flowers ~/captions --out my.model",
        "lakesift train my-labels.csv --base builtin --out my.model",
    ])  # fmt: skip
    parser.epilog = f"{parser.epilog}\n\n{_TRAIN_TELLS}"
    parser.add_argument(
        "data",
        nargs="+",
        type=Path,
        metavar="DATA",
        help="a folder with one folder of images a class (under train/, validate/ and test/, or directly), "
        "a folder with a captions.csv (image,caption), or a CSV file that names images anywhere: "
        "column uri or image, and label, or text or caption",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="MODEL", help="the model's folder; new, or empty"
    )
    parser.add_argument(
        "--base",
        default="builtin",
        metavar="BASE",
        help="what to start from: builtin, imagenet (its pretrained parts, as builtin itself did), or the folder "
        "of a model (default: builtin)",
    )
    parser.add_argument("--name", help="the model's name, which lakes keep (default: that of its folder)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all that is drawn at random (default: 0)"
    )
    parser.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help="training steps (default: 1,200; 300 where the base is a finished model)",
    )
    parser.add_argument(
        "--fine-tune",
        type=positive,
        default=0,
        metavar="N",
        help="then N steps in which the image tower's last block learns too: worth it from some ten thousand images, "
        "ten times as long a step, and 34 kB an image in the cache folder",
    )


_TRAIN_TELLS = """a model that knows what is in your lake:
  label some of its images in my-labels.csv, with paths as `lakesift search my.lake TEXT --paths` prints them
      uri,label
      /photos/0017.jpg,wheelchair
      /photos/0042.jpg,empty corridor
  train as in the second example, then build a lake with the new model
      lakesift index --sources-of my.lake --into new.lake --model builtin@my.model

Needs: pip install 'lakesift[train]'. Images that any DATA holds for validation or test are taken out of every
training part. Ctrl-C leaves nothing behind."""


def _add_vacuum(verbs: Verbs) -> None:
    parser = add_verb(verbs, "vacuum", "delete old snapshots and the files only they need", [
        "lakesift vacuum my.lake",
        "lakesift vacuum my.lake --keep-hours 24",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument(
        "--keep-hours",
        type=float,
        default=1.0,
        metavar="H",
        help="keep every snapshot that was current in the last H hours (default: 1)",
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="write without a lock, on a file system that has none (default: refuse)",
    )
    add_json(parser)


def _add_compact(verbs: Verbs) -> None:
    parser = add_verb(verbs, "compact", "merge small segments, leaving deleted rows behind", [
        "lakesift compact my.lake",
        "lakesift compact my.lake --max-segments 4",
    ])  # fmt: skip
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument(
        "--max-segments",
        type=positive,
        default=1,
        metavar="N",
        help="merge until at most so many are left (default: 1; none grows past 512 MiB of vectors)",
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="write without a lock, on a file system that has none (default: refuse)",
    )
    add_json(parser)


def _add_key(verbs: Verbs) -> None:
    parser = add_verb(verbs, "key", "make, list and revoke the keys of the HTTP service", [
        "lakesift key add laptop",
        "lakesift key revoke laptop",
    ])  # fmt: skip
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    add = add_verb(actions, "add", "make a key and print it, this once; only its hash is kept", [
        "lakesift key add laptop",
        "lakesift key add labeller --scope label --json",
    ])  # fmt: skip
    add.add_argument("name", metavar="NAME", help="what to call it, as in `key list` and `key revoke`")
    add.add_argument(
        "--scope",
        choices=["read", "label", "write"],
        default="read",
        help="read searches, label also answers a filter's questions, write also changes filters (default: read)",
    )
    add_json(add)
    listing = add_verb(actions, "list", "list the keys, without their secrets", [
        "lakesift key list",
        "lakesift key list --json",
    ])  # fmt: skip
    add_json(listing)
    revoke = add_verb(actions, "revoke", "forget a key; running services refuse it from now on", [
        "lakesift key revoke laptop",
        "lakesift key revoke 3f9a1c20",
    ])  # fmt: skip
    revoke.add_argument(
        "key", metavar="NAME_OR_ID", help="the key's name, or its id from `lakesift key list`"
    )
