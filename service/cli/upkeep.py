"""Verbs that look after lakes and models: info, doctor, models, train, vacuum, compact."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.sources.names import one_line
from indexer.words import count, moment, size
from service.cli.codes import DONE, FAILED
from service.cli.lakes import add_lake, lake_folder
from service.cli.parts import (
    Verbs,
    add_json,
    add_trust_model,
    add_verb,
    hours,
    positive,
    print_json,
)
from service.cli.waiting import tell_waiting

if TYPE_CHECKING:
    from service.cli.train import Fit, Training

_TRAIN_TELLS = """a model that knows what is in your lake:
  label some of its images in my-labels.csv, with paths as `lakesift search my.lake TEXT --paths` prints them
      uri,label
      /photos/0017.jpg,wheelchair
      /photos/0042.jpg,empty corridor
  train as in the second example, then build a lake with the new model
      lakesift index --sources-of my.lake --into new.lake --model builtin@my.model

Needs: pip install 'lakesift[train]'. Images that any DATA holds for validation or test are taken out of every
training part. Ctrl-C leaves nothing behind."""


def add_info(verbs: Verbs) -> None:
    parser = add_verb(verbs, "info", "say what a lake holds", [
        "lakesift info my.lake",
        "lakesift info my.lake --skipped --json",
    ])  # fmt: skip
    parser.set_defaults(run=_info)
    add_lake(parser)
    parser.add_argument(
        "--skipped",
        action="store_true",
        help="list the files that could not be read, and why (default: count them)",
    )
    add_json(parser)


def _info(arguments: argparse.Namespace) -> int:
    from service.snapshot.describe import describe

    facts = describe(arguments.lake, with_skipped=arguments.skipped)
    if arguments.json:
        print_json(facts)
        return DONE
    for name, values in _info_lines(facts):
        print(f"{name:<12}  " + ("\n" + " " * 14).join(map(one_line, values or ["none"])))
    for file in facts.get("skipped_files", []):
        tried = moment(file["when"])
        print(f"skipped       {one_line(file['uri'])}: {one_line(file['reason'])} (tried {tried})")
    tell_waiting(arguments.lake)
    return DONE


def _info_lines(facts: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """A name and its values, for people."""
    yield "lake", [facts["lake"]]
    yield "images", [f"{facts['images']:,}"]
    yield "model", [f"{facts['model']}, {facts['dim']:,} dimensions"]
    yield "snapshot", [f"{facts['snapshot']:,}"]
    yield "committed", [f"{moment(facts['committed_at'])}, by {facts['made_by']}"]
    yield "sources", facts["sources"]
    yield "columns", [f"{name}: {kind}" for name, kind in facts["columns"].items()]
    yield "segments", [f"{facts['segments']:,}"]
    yield "with codes", [f"{facts['coded_rows']:,}"]
    yield "in groups", [_grouped(facts)]
    yield "deleted rows", [f"{facts['deleted_rows']:,}"]
    yield "skipped", [count(facts["skipped"], "file")]
    yield "size", [size(facts["size_bytes"])]
    yield "fingerprint", [f"{name}: {value}" for name, value in facts["fingerprint"].items()]
    yield "problems", facts["problems"]


def _grouped(facts: dict[str, Any]) -> str:
    recall = facts["recall"]
    return f"{facts['grouped_rows']:,}" + (
        "" if recall is None else f"; searches that ask for no recall get {recall:g}"
    )


def add_doctor(verbs: Verbs) -> None:
    parser = add_verb(verbs, "doctor", "check a lake, its filters, its model and this machine", [
        "lakesift doctor my.lake --deep",
        "lakesift doctor my.lake --engine postgresql://me@db.example/lakes",
    ])  # fmt: skip
    parser.set_defaults(run=_doctor)
    parser.add_argument(
        "lake",
        type=lake_folder,
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
    parser.add_argument(
        "--engine",
        metavar="URL",
        help="the engine that this lake was pushed to: say what it has and what searches on it find, beside exact "
        "ones (default: what LAKESIFT_ENGINE says, or none)",
    )
    parser.add_argument(
        "--engine-candidates",
        type=positive,
        metavar="N",
        help="with --engine: so many rows are asked of it at first, as `serve --engine-candidates` does (default: 400)",
    )
    add_trust_model(parser)
    add_json(parser)


def _doctor(arguments: argparse.Namespace) -> int:
    from service.api.config import ServeConfig
    from service.doctor.examine import examine

    # As a service would have it.
    serving = ServeConfig.from_env()
    findings = []
    for finding in examine(
        arguments.lake,
        deep=arguments.deep,
        precision=arguments.precision,
        trust_model=bool(arguments.trust_model),
        engine=arguments.engine or serving.engine or None,
        candidates=arguments.engine_candidates or serving.engine_candidates,
    ):
        findings.append(finding)
        if not arguments.json:
            print(f"{'ok  ' if finding.ok else 'BAD '} {finding.what}: {one_line(finding.detail)}")
    well = all(finding.ok for finding in findings)
    if arguments.json:
        print_json({"ok": well, "findings": [finding.to_json() for finding in findings]})
    return DONE if well else FAILED


def add_models(verbs: Verbs) -> None:
    parser = add_verb(verbs, "models", "list the models that a lake can be built with", [
        "lakesift models",
        "lakesift models --json",
    ])  # fmt: skip
    parser.set_defaults(run=_models)
    add_json(parser)


def _models(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict
    from importlib.util import find_spec

    from indexer.embed.models import INSTALL, list_models

    models = list(list_models())
    if arguments.json:
        print_json({"models": [asdict(model) for model in models]})
        return DONE
    for model in models:
        print(model.name if model.on_disk else f"{model.name}  (weights not on this machine)")
    if find_spec("open_clip") is None:
        print(f"more models: {INSTALL}", file=sys.stderr)
    return DONE


def add_vacuum(verbs: Verbs) -> None:
    parser = add_verb(verbs, "vacuum", "delete old snapshots and the files only they need", [
        "lakesift vacuum my.lake",
        "lakesift vacuum my.lake --keep-hours 24",
    ])  # fmt: skip
    parser.set_defaults(run=_vacuum)
    add_lake(parser)
    parser.add_argument(
        "--keep-hours",
        type=hours,
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


def _vacuum(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from indexer.run.writing.compact import vacuum_lake

    report = vacuum_lake(
        arguments.lake, keep_s=arguments.keep_hours * 3600, use_lock=not arguments.no_lock
    )
    if arguments.json:
        print_json(asdict(report))
    if report.held:
        print(
            "nothing deleted: a reader is just opening the lake, or a snapshot or a filter's file cannot be read; try "
            f"again, and see: lakesift doctor {arguments.lake}",
            file=sys.stderr,
        )
        return FAILED
    print(
        f"deleted {count(report.snapshots, 'snapshot')} and {count(report.files, 'file')} "
        f"({size(report.size_bytes)}); "
        f"{count(report.kept_snapshots, 'snapshot')} kept -> {arguments.lake}",
        file=sys.stderr,
    )
    tell_waiting(arguments.lake)
    return DONE


def add_compact(verbs: Verbs) -> None:
    parser = add_verb(verbs, "compact", "merge small segments, leaving deleted rows behind", [
        "lakesift compact my.lake",
        "lakesift compact my.lake --groups --recall 0.99",
    ])  # fmt: skip
    parser.set_defaults(run=_compact)
    add_lake(parser)
    parser.add_argument(
        "--max-segments",
        type=positive,
        default=1,
        metavar="N",
        help="merge until at most so many are left (default: 1; none grows past 512 MiB of vectors)",
    )
    parser.add_argument(
        "--codes",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write codes, which make exact searches of large lakes faster and take half of the vectors' "
        "room, or drop them (default: write them from 400,000 images on)",
    )
    parser.add_argument(
        "--groups",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="write groups, which let searches with --recall below 1 read a small part of a large lake, and take "
        "half of the vectors' room, or drop them (default: from 10,000,000 images on, and those that there are "
        "stay up to date)",
    )
    parser.add_argument(
        "--recall",
        type=float,
        metavar="SHARE",
        help="what share of the nearest a search of this lake is to find that asks for none, e.g. 0.99; 1: all of "
        "them (default: as it was; 0.99 where groups are written for 10,000,000 images and more)",
    )
    parser.add_argument(
        "--no-lock",
        action="store_true",
        help="write without a lock, on a file system that has none (default: refuse)",
    )
    add_json(parser)


def _compact(arguments: argparse.Namespace) -> int:
    from indexer.run.writing.compact import compact_lake
    from service.cli.progress import TerminalProgress

    with TerminalProgress() as progress:
        report = compact_lake(
            arguments.lake,
            max_segments=arguments.max_segments,
            use_lock=not arguments.no_lock,
            codes=arguments.codes,
            groups=arguments.groups,
            recall=arguments.recall,
            progress=progress,
        )
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    if arguments.groups and not report.grouped:
        print(
            f"note: {arguments.lake} is too small for groups; searches stay exact", file=sys.stderr
        )
    for problem in report.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if arguments.json:
        names = ("segments_before", "segments", "rows", "snapshot", "coded", "grouped", "recall")
        print_json({name: getattr(report, name) for name in names})
    print(
        f"{count(report.segments_before, 'segment')} -> {report.segments:,}, {count(report.rows, 'image')}"
        + (f", {count(report.coded, 'row')} with codes" if report.coded else "")
        + (f", {count(report.grouped, 'row')} in groups" if report.grouped else "")
        + f" in {report.seconds:.1f} s -> {arguments.lake}",
        file=sys.stderr,
    )
    return FAILED if report.problems else DONE


def add_train(verbs: Verbs) -> None:
    parser = add_verb(verbs, "train", "make a model of your own from labelled or captioned images", [
        "lakesift train ~/flowers ~/captions --out my.model",
        "lakesift train my-labels.csv --base builtin --out my.model",
    ])  # fmt: skip
    parser.set_defaults(run=_train)
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
    parser.add_argument(
        "--name", help="the model's name, which lakes keep (default: that of its folder)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of all that is drawn at random (default: 0)",
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


def _train(arguments: argparse.Namespace) -> int:
    from service.cli.train import Training, check_packages, load_fit

    check_packages()
    training = Training.check(
        arguments.data, arguments.out, base=arguments.base, name=arguments.name, seed=arguments.seed
    )
    return run_training(training, load_fit(), arguments.steps, arguments.fine_tune)


def run_training(training: Training, fit: Fit, steps: int | None, fine_tune: int) -> int:
    """Fit a model and show how far it is; then print the report, and what to do with the model.

    :returns: the exit code.
    """
    from service.cli.progress import StageProgress

    for note in training.notes:
        print(f"note: {note}", file=sys.stderr)
    with StageProgress() as progress:
        report = training.run(fit, steps, fine_tune, progress)
    for line in report.lines:
        print(line)
    model = shlex.quote(f"builtin@{training.out}")
    print(f"next: lakesift index PHOTOS --into my.lake --model {model}", file=sys.stderr)
    return DONE
