"""The arguments of `lakesift filter`, and nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from service.argument_parts import Verbs, add_json, add_verb, positive, whole

# As service.export.FORMATS and service.relevance.label_imports.LABEL_FORMATS have them: `--help` loads neither.
FORMATS = ("txt", "csv", "parquet", "coco", "yolo", "label_studio", "cvat", "fiftyone", "webdataset")
LABEL_FORMATS = ("csv", "label_studio", "cvat", "coco")


def add_filter(verbs: Verbs) -> None:
    """Add `filter` and its actions."""
    parser = add_verb(verbs, "filter", "decide which images are worth annotating, with a promise that holds", [
        'lakesift filter new my.lake hospital --keep "a hospital room" --drop "an office" --recall 0.95',
        "lakesift filter next my.lake hospital -n 20 --json",
    ])  # fmt: skip
    parser.epilog = f"{parser.epilog}\n\n{_TELLS}"
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    _add_new(actions)
    _add_next(actions)
    _add_label(actions)
    _add_undo(actions)
    _add_plan(actions)
    _add_apply(actions)
    _add_decide(actions)
    _add_report(actions)
    _add_samples(actions)
    _add_restore(actions)
    _add_export(actions)
    _add_looks(actions)


_TELLS = """from a prompt to a promise:
  1. new      what to keep, what to drop, and how much may be lost
  2. next     images to label, and label: teach it, a few dozen answers
  3. plan     what each line between kept and dropped would cost in labels
  4. next --purpose audit   images drawn at random; label them, too
  5. apply    decides every image, with the promise; or refuses, exits with 3, and says what is missing
  6. export   what was kept, as paths, tables, or for an annotation tool; label takes its answers back
  7. decide   images that are not in the lake, without a promise
  8. samples  what was dropped, at random, to look at; restore brings back what should not have been
  9. report   what came of it, for those who pay"""


def _lake_and_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    parser.add_argument("name", metavar="NAME", help="the filter's name")


def _add_new(actions: Verbs) -> None:
    parser = add_verb(actions, "new", "make a filter from texts and examples; it promises nothing yet", [
        'lakesift filter new my.lake hospital --keep "a hospital room" --keep "a hospital corridor"',
        "lakesift filter new my.lake cats --keep-image cat.jpg --where \"width_px >= 640\" --recall 0.98",
    ])  # fmt: skip
    _lake_and_name(parser)
    repeated = {
        "--keep": ("TEXT", "a text that what you want fits; may be repeated"),
        "--keep-image": ("PATH", "an image like those you want; may be repeated"),
        "--drop": ("TEXT", "a text that what you do not want fits; may be repeated"),
        "--drop-image": ("PATH", "an image like those you do not want; may be repeated"),
    }
    for flag, (metavar, help_) in repeated.items():
        parser.add_argument(
            flag, action="append", default=[], metavar=metavar, help=f"{help_} (default: none)"
        )
    for flag, word in (("--keep-row", "want"), ("--drop-row", "do not want")):
        parser.add_argument(
            flag,
            type=positive,
            action="append",
            default=[],
            metavar="ROW_ID",
            help=f"a row of the lake like those you {word}; may be repeated (default: none)",
        )
    parser.add_argument(
        "--where", metavar="SQL", help="only rows for which this holds are looked at (default: all)"
    )
    parser.add_argument(
        "--recall",
        type=float,
        metavar="R",
        help="of all relevant images, at least this share is kept (default: 0.95, unless --precision is given)",
    )
    parser.add_argument(
        "--precision",
        type=float,
        metavar="P",
        help="of all kept images, at least this share is relevant (default: not promised)",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="C",
        help="how sure the promise is (default: 0.95)",
    )
    add_json(parser)


def _add_next(actions: Verbs) -> None:
    parser = add_verb(actions, "next", "say which images to label next", [
        "lakesift filter next my.lake hospital -n 20",
        "lakesift filter next my.lake hospital -n 100 --purpose audit --json",
    ])  # fmt: skip
    _lake_and_name(parser)
    parser.add_argument("-n", type=positive, default=20, metavar="N", help="images wanted (default: 20)")
    parser.add_argument(
        "--purpose",
        choices=["teach", "audit"],
        help="teach: the most useful; audit: drawn at random, to measure (default: audit once one was begun)",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="begin a new audit, with what was learnt since the last one; that one is over (default: go on with it)",
    )
    parser.add_argument(
        "--budget",
        type=positive,
        metavar="N",
        help="labels that an audit begun now may take: it aims to drop as much as they settle "
        "(default: the least work in all, where a label counts half an annotation)",
    )
    parser.add_argument(
        "--assume",
        choices=["tail"],
        help="share out an audit begun now for apply --assume tail (default: for a promise that assumes nothing)",
    )
    add_json(parser)


def _add_label(actions: Verbs) -> None:
    parser = add_verb(actions, "label", "save answers from a file: CSV, or of an annotation tool", [
        "lakesift filter label my.lake hospital labels.csv --labeller ann",
        "lakesift filter label my.lake hospital project-1.json --format label_studio",
    ])  # fmt: skip
    _lake_and_name(parser)
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a CSV file with the columns uri or row_id, and label: yes, no or skip; and labeller where several do. "
        "Or what Label Studio (JSON), CVAT (CVAT for images 1.1) or a COCO tool wrote",
    )
    parser.add_argument(
        "--format", choices=LABEL_FORMATS, default="csv", help="what kind of file it is (default: csv)"
    )
    parser.add_argument(
        "--labeller", default="unnamed", help="who answered where the file does not say (default: unnamed)"
    )
    parser.add_argument(
        "--yes",
        action="append",
        default=[],
        metavar="CATEGORY",
        help="a category that makes an image relevant, in a tool's file; may be repeated (default: people chose keep, "
        "drop or ask)",
    )
    parser.add_argument(
        "--empty-is-no",
        action="store_true",
        help="every image of a tool's file was looked at: one without any category is a no (default: it has no answer)",
    )
    parser.add_argument(
        "--root", metavar="FOLDER_OR_URL", help="as it was given to the export (default: none)"
    )
    add_json(parser)


def _add_undo(actions: Verbs) -> None:
    parser = add_verb(actions, "undo", "take back the last answer", [
        "lakesift filter undo my.lake hospital",
        "lakesift filter undo my.lake hospital --row 17 --labeller ann",
    ])  # fmt: skip
    _lake_and_name(parser)
    parser.add_argument("--row", type=positive, metavar="ROW_ID", help="of this row (default: of any)")
    parser.add_argument("--labeller", help="by this person (default: by anybody)")
    add_json(parser)


def _add_plan(actions: Verbs) -> None:
    parser = add_verb(actions, "plan", "show what each line would drop, and about how many audit labels it takes", [
        "lakesift filter plan my.lake hospital",
        "lakesift filter plan my.lake hospital --json",
    ])  # fmt: skip
    _lake_and_name(parser)
    add_json(parser)


def _add_apply(actions: Verbs) -> None:
    parser = add_verb(actions, "apply", "decide every image, with the promise; or refuse (exit code 3)", [
        "lakesift filter apply my.lake hospital",
        "lakesift filter apply my.lake hospital --recall 0.8 --confidence 0.9 --json",
    ])  # fmt: skip
    _lake_and_name(parser)
    parser.add_argument(
        "--recall",
        type=float,
        metavar="R",
        help="promise this recall, at most the filter's own (default: the filter's)",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        metavar="C",
        help="be so sure of the promise (default: as the filter has it)",
    )
    parser.add_argument(
        "--assume",
        choices=["tail"],
        help="tail: below a line the log-odds of relevance go on falling with the score at least as fast as the audit "
        "shows above it; saves labels where few images are relevant and the scores are good, costs some elsewhere; the "
        "promise is worth what that is (default: nothing)",
    )
    parser.add_argument(
        "--ask",
        action="store_true",
        help="leave images between keep and drop to a person (default: every image is kept or dropped)",
    )
    add_json(parser)


def _add_decide(actions: Verbs) -> None:
    parser = add_verb(actions, "decide", "decide images that are not in the lake, without a promise", [
        "lakesift filter decide my.lake hospital new-frames/",
        "lakesift filter decide my.lake hospital new-frames/ --ask --out decided.csv",
    ])  # fmt: skip
    _lake_and_name(parser)
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="PATH",
        help="a folder, a glob in quotes, a URL, an image, or a text file with one path a line",
    )
    parser.add_argument(
        "--ask",
        action="store_true",
        help="leave images near the line to a person, as apply --ask does (default: they are kept)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="CSV",
        help="write name, decision, score, probability, label and error into this new file (default: a line an image "
        "on stdout)",
    )
    parser.add_argument(
        "--columns",
        metavar="TABLE",
        help="a CSV or Parquet table of your own metadata, for the filter's --where (default: none)",
    )
    parser.add_argument(
        "--decoders", type=positive, metavar="N", help="decoder processes (default: one a core, at most 16)"
    )
    parser.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="images an encoder call (default: the model's own choice)",
    )
    add_json(parser)


def _add_report(actions: Verbs) -> None:
    parser = add_verb(actions, "report", "tell what came of it: images, promise, labels, money, people", [
        "lakesift filter report my.lake hospital --out hospital.html --price 0.8 --miss-price 20 --currency EUR",
        "lakesift filter report my.lake hospital --json",
    ])  # fmt: skip
    _lake_and_name(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="HTML",
        help="write one HTML file to mail, with example images (default: a few lines on stdout)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a file of this name (default: leave it, and say so)"
    )
    for flag, what in (
        ("--price", "of annotating one image (default: 1, and all is counted in annotations)"),
        ("--label-price", "of one yes or no (default: half of --price)"),
        (
            "--miss-price",
            "of a relevant image that is dropped (default: misses are counted, and cost nothing)",
        ),
    ):
        parser.add_argument(flag, type=float, metavar="PRICE", help=f"the price {what}")
    parser.add_argument(
        "--currency", metavar="TEXT", help="what stands behind prices, as EUR (default: none)"
    )
    add_json(parser)
    conflicts = add_verb(actions, "conflicts", "show who agrees with whom, and where people disagree", [
        "lakesift filter conflicts my.lake hospital",
        "lakesift filter conflicts my.lake hospital --json",
    ])  # fmt: skip
    _lake_and_name(conflicts)
    add_json(conflicts)


def _add_samples(actions: Verbs) -> None:
    parser = add_verb(actions, "samples", "look at some of what was kept or dropped, at random or next to the line", [
        "lakesift filter samples my.lake hospital --decision drop --sheet dropped.png",
        "lakesift filter samples my.lake hospital --decision keep --order line -n 50 --json",
    ])  # fmt: skip
    _lake_and_name(parser)
    parser.add_argument(
        "--decision", choices=["keep", "ask", "drop"], default="drop", help="which images (default: drop)"
    )
    parser.add_argument("-n", type=positive, default=24, metavar="N", help="images wanted (default: 24)")
    parser.add_argument(
        "--order",
        choices=["random", "line"],
        default="random",
        help="random: each with the same chance; line: those decided most narrowly (default: random)",
    )
    parser.add_argument(
        "--seed",
        type=whole,
        metavar="S",
        help="draw the same images again (default: others each time)",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--sheet",
        type=Path,
        metavar="IMAGE",
        help="write one image of them all, .png or .jpg, to look at (default: a line an image on stdout)",
    )
    shape.add_argument("--paths", action="store_true", help="print paths alone, one a line")
    add_json(shape)  # type: ignore[arg-type]
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a file of this name (default: leave it, and say so)"
    )


def _add_restore(actions: Verbs) -> None:
    parser = add_verb(actions, "restore", "bring back images that were dropped, as a person's yes for each", [
        "lakesift filter restore my.lake hospital --row 123 --row 456 --labeller ann",
        "lakesift filter restore my.lake hospital wrongly-dropped.txt",
    ])  # fmt: skip
    parser.description = (
        "Bring back images that the version applied last has dropped: label, with yes for each. The next apply keeps "
        "them, and undo takes it back. The promise stays as it is: the answer counts in the audit only if the audit "
        "has drawn that image."
    )
    _lake_and_name(parser)
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="a text file with one path a line, as search --paths and export print them; - for standard input "
        "(default: only --row)",
    )
    parser.add_argument(
        "--row",
        type=positive,
        action="append",
        default=[],
        metavar="ROW_ID",
        help="a row; may be repeated (default: none)",
    )
    parser.add_argument("--labeller", default="unnamed", help="who says so (default: unnamed)")
    add_json(parser)


def _add_export(actions: Verbs) -> None:
    parser = add_verb(actions, "export", "hand over what was decided; the same command goes on after Ctrl-C", [
        "lakesift filter export my.lake hospital --decision keep --format txt --out -",
        "lakesift filter export my.lake hospital --format label_studio --root /photos --out tasks.json",
    ])  # fmt: skip
    _lake_and_name(parser)
    parser.add_argument(
        "--decision",
        choices=["keep", "ask", "drop"],
        action="append",
        help="which images; may be repeated (default: keep)",
    )
    parser.add_argument("--format", choices=FORMATS, default="txt", help=_FORMATS_TELL)
    parser.add_argument(
        "--out", required=True, metavar="PATH", help="the new file or folder; - writes txt and csv to stdout"
    )
    parser.add_argument(
        "--chunk",
        type=positive,
        metavar="N",
        help="images to a file or folder, which are numbered then (default: 10,000 for label_studio and cvat, 1,000 "
        "for webdataset, else all in one)",
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER_OR_URL",
        help="what the annotation tool has for its top folder: label_studio, cvat and coco name images below it "
        "(default: /)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace what another export left in this place (default: leave it, and say so)",
    )
    parser.add_argument(
        "--version", type=positive, metavar="N", help="as this version decided (default: as applied last)"
    )
    add_json(parser)


_FORMATS_TELL = (
    "txt: one plain path a line; csv or parquet: with row id, score, probability, label and columns; coco, "
    "label_studio, cvat, fiftyone: what these tools read, by reference; yolo: a folder with links to the images; "
    "webdataset: tars with the images themselves (default: txt)"
)


def _add_looks(actions: Verbs) -> None:
    listing = add_verb(actions, "list", "list a lake's filters", [
        "lakesift filter list my.lake",
        "lakesift filter list my.lake --json",
    ])  # fmt: skip
    listing.add_argument("lake", type=Path, metavar="LAKE", help="the lake's folder")
    add_json(listing)
    show = add_verb(actions, "show", "show a filter: what it wants, its labels, its audit", [
        "lakesift filter show my.lake hospital",
        "lakesift filter show my.lake hospital --version 1 --json",
    ])  # fmt: skip
    _lake_and_name(show)
    show.add_argument("--version", type=positive, metavar="N", help="of this version (default: the latest)")
    add_json(show)
    differ = add_verb(actions, "diff", "show what changed between two versions", [
        "lakesift filter diff my.lake hospital 1 2",
        "lakesift filter diff my.lake hospital 1 2 --json",
    ])  # fmt: skip
    _lake_and_name(differ)
    differ.add_argument("before", type=positive, metavar="N", help="the older version")
    differ.add_argument("after", type=positive, metavar="M", help="the newer version")
    add_json(differ)
    copy = add_verb(actions, "copy", "make a filter like another, here or in another lake, without its promise", [
        "lakesift filter copy my.lake hospital clinic",
        "lakesift filter copy my.lake hospital hospital --labels --into new.lake",
    ])  # fmt: skip
    _lake_and_name(copy)
    copy.add_argument(
        "new_name", metavar="NEW_NAME", help="the copy's name; in another lake it may be the same"
    )
    copy.add_argument(
        "--labels", action="store_true", help="copy the labels too (default: begin without any)"
    )
    copy.add_argument(
        "--into",
        type=Path,
        metavar="NEW_LAKE",
        help="another lake, as of another model: examples and labels are found again there by their images' bytes "
        "(default: the filter's own lake)",
    )
    add_json(copy)
    delete = add_verb(actions, "delete", "take a filter out of service; its files are kept, and you are told where", [
        "lakesift filter delete my.lake hospital",
        "lakesift filter delete my.lake hospital-old",
    ])  # fmt: skip
    _lake_and_name(delete)
