"""Actions that decide: `apply`, `decide`, `restore`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import BadRequest
from indexer.sources.names import one_line
from indexer.words import count
from service.cli.codes import DONE, FAILED, PROBLEMS_SHOWN, REFUSED
from service.cli.filters.planning import prices_of
from service.cli.parts import (
    Verbs,
    add_json,
    add_prices,
    add_raw_cells,
    add_verb,
    lake_and_name,
    positive,
    print_json,
)

if TYPE_CHECKING:
    from indexer.report import Progress
    from service.relevance import Filters
    from service.relevance.gate.answers import ImageDecided
    from service.relevance.gate.gate import Gate


def add_apply(actions: Verbs) -> None:
    parser = add_verb(actions, "apply", "decide every image, with the promise; or refuse (exit code 3)", [
        "lakesift filter apply my.lake hospital",
        "lakesift filter apply my.lake hospital --recall 0.8 --confidence 0.9 --json",
    ])  # fmt: skip
    parser.set_defaults(act=_apply)
    lake_and_name(parser)
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
    add_prices(parser, misses=False)
    add_json(parser)


def _apply(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.cli.progress import TerminalProgress

    with TerminalProgress() as progress:
        answer = filters.open(arguments.name).apply(
            ask=arguments.ask,
            recall=arguments.recall,
            confidence=arguments.confidence,
            assume=arguments.assume,
            prices=prices_of(arguments),
            progress=progress,
        )
    if arguments.json:
        print_json(answer.to_json())
    if answer.refused:
        print(f"refused: {answer.reason}", file=sys.stderr)
        return REFUSED
    asked = f", {answer.asked:,} to ask about" if answer.asked else ""
    print(
        f"kept {answer.kept:,} of {count(answer.rows, 'image')}, dropped {answer.dropped:,}{asked}: "
        f"{answer.promise.sentence}",
        file=sys.stderr,
    )
    if scenes := answer.measured.get("scenes"):
        print(
            f"of about {scenes['relevant_estimate']:,.0f} relevant scenes about {scenes['missed_estimate']:,.1f} are "
            f"lost, at most {scenes['missed_at_most']:,}; nothing is promised of images",
            file=sys.stderr,
        )
    estimates = [
        f"{kind} about {answer.measured[kind]['estimate']:.3g}"
        for kind in ("recall", "precision")
        if answer.measured[kind]["estimate"] is not None
    ]
    if estimates:
        counted = answer.measured.get("counted")
        told = "by the answers" if counted else "estimated, not promised"
        print(f"{told}: {', '.join(estimates)}", file=sys.stderr)
    if answer.measured.get("counted"):
        what = "scene" if answer.measured.get("scenes") else "image"
        print(f"every {what} was answered by a person: this is counted", file=sys.stderr)
    if assumption := answer.measured.get("assumption"):
        check = assumption["check"]
        print(
            f"{assumption['says']}; of {count(check['labels'], 'audit label')} below it "
            f"{count(check['relevant'], 'was', 'were')} relevant, "
            f"which fits, but {assumption['note']}",
            file=sys.stderr,
        )
    return DONE


def add_offers(actions: Verbs) -> None:
    parser = add_verb(actions, "offers", "show what else the audit could promise, and what more would cost", [
        "lakesift filter offers my.lake hospital",
        "lakesift filter offers my.lake hospital --json",
    ])  # fmt: skip
    parser.set_defaults(act=_offers)
    lake_and_name(parser)
    add_json(parser)


def _offers(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).offers()
    if arguments.json:
        print_json(found.to_json())
        return DONE
    if found.scene is not None:
        print(f"recall of scenes of {found.scene}; labels are scenes looked at", file=sys.stderr)
    if found.offers:
        print(f"{'recall':>6}  {'precision':>9}  {'confidence':>10}  {'dropped':>9}  {'kept':>9}")
    for offer in found.offers:
        recall, precision = (_share(each) for each in (offer.recall, offer.precision))
        ask = f"  {offer.asked:,} to ask about (--ask)" if offer.ask else ""
        print(
            f"{recall:>6}  {precision:>9}  {offer.confidence:10g}  {offer.dropped:9,}  {offer.kept:9,}{ask}"
        )
    if not found.offers:
        print("the audit's answers offer no promise yet", file=sys.stderr)
    for more in found.tighter:
        wanted = " and ".join(
            f"{kind} {share:g}"
            for kind, share in (("recall", more.recall), ("precision", more.precision))
            if share
        )
        labels = "out of sight" if more.labels is None else f"about {count(more.labels, 'label')}"
        more_of = "of a filter of its own" if more.own_audit else "more of this audit"
        cost = labels if more.labels is None else f"{labels} {more_of}"
        print(f"{wanted} with confidence {more.confidence:g}: {cost}", file=sys.stderr)
    return DONE


def add_estimate(actions: Verbs) -> None:
    parser = add_verb(actions, "estimate", "tell between which bounds the number of relevant images lies", [
        "lakesift filter estimate my.lake hospital",
        "lakesift filter estimate my.lake hospital --confidence 0.99 --json",
    ])  # fmt: skip
    parser.set_defaults(act=_estimate)
    lake_and_name(parser)
    parser.add_argument(
        "--confidence",
        type=float,
        metavar="C",
        help="of both bounds together (default: the filter's)",
    )
    add_json(parser)


def _estimate(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).estimate(arguments.confidence)
    if arguments.json:
        print_json(found.to_json())
        return DONE
    part = found.at_most / max(found.rows, 1)
    bounds = (
        f"between {found.at_least:,} and {found.at_most:,}"
        if found.at_least
        else f"at most {found.at_most:,} ({part:.2%})"
    )
    labels = count(found.labels, "audit label")
    print(
        f"{bounds} of {count(found.rows, 'image')} are relevant, {found.confidence:.4g} sure after {labels}; "
        f"about {found.relevant:,}"
    )
    return DONE


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:g}"


def add_restore(actions: Verbs) -> None:
    parser = add_verb(actions, "restore", "bring back images that were dropped, as a person's yes for each", [
        "lakesift filter restore my.lake hospital --row 123 --row 456 --labeller ann",
        "lakesift filter restore my.lake hospital wrongly-dropped.txt",
    ])  # fmt: skip
    parser.set_defaults(act=_restore)
    parser.description = (
        "Bring back images that the version applied last has dropped: label, with yes for each. The next apply keeps "
        "them, and undo takes it back. The promise stays as it is: the answer counts in the audit only if the audit "
        "has drawn that image."
    )
    lake_and_name(parser)
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


def _restore(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.formats.txt import read_paths

    if arguments.file is None and not arguments.row:
        raise BadRequest(
            "--row", "name what to bring back: rows (--row), or a file with one path a line"
        )
    chosen = filters.open(arguments.name)
    uris = [] if arguments.file is None else read_paths(arguments.file)
    saved = chosen.labels.restore([*arguments.row, *uris], arguments.labeller)
    if arguments.json:
        print_json(saved.to_json())
    for problem in saved.problems[:PROBLEMS_SHOWN]:
        print(f"{one_line(problem.about)}: {one_line(problem.message)}", file=sys.stderr)
    more = len(saved.problems) - PROBLEMS_SHOWN
    if more > 0:
        print(f"and {more:,} more", file=sys.stderr)
    restored = saved.restored
    print(f"restored {count(len(restored), 'image')}, each by a person's yes", file=sys.stderr)
    if restored:
        print(
            f"they are kept from the next apply on: lakesift filter apply {arguments.lake} {arguments.name}; to take "
            f"one back: lakesift filter undo {arguments.lake} {arguments.name} --row {restored[0]}",
            file=sys.stderr,
        )
    return FAILED if saved.problems else DONE


def add_decide(actions: Verbs) -> None:
    parser = add_verb(actions, "decide", "decide images that are not in the lake, without a promise", [
        "lakesift filter decide my.lake hospital new-frames/",
        "lakesift filter decide my.lake hospital new-frames/ --ask --out decided.csv",
    ])  # fmt: skip
    parser.set_defaults(act=_decide)
    lake_and_name(parser)
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
    add_raw_cells(parser)
    parser.add_argument(
        "--columns",
        metavar="TABLE",
        help="a CSV or Parquet table of your own metadata, for the filter's --where (default: none)",
    )
    parser.add_argument(
        "--decoders",
        type=positive,
        metavar="N",
        help="decoder processes (default: one a core, at most 16)",
    )
    parser.add_argument(
        "--batch-size",
        type=positive,
        metavar="N",
        help="images an encoder call (default: the model's own choice)",
    )
    add_json(parser)


def _decide(filters: Filters, arguments: argparse.Namespace) -> int:
    from indexer.config import IndexConfig
    from service.relevance.gate.new_sources import Notes, decide_sources

    gate, notes, started = (
        filters.open(arguments.name).gate(ask=arguments.ask),
        Notes(),
        time.monotonic(),
    )
    given = {name: getattr(arguments, name) for name in ("decoders", "batch_size")}
    config = replace(
        IndexConfig.from_env(), **{name: value for name, value in given.items() if value}
    )
    with _decided_out(gate, arguments) as write, _decide_progress(arguments) as progress:
        for decided in decide_sources(
            gate,
            arguments.sources,
            lambda: filters.lake.embedder,
            columns=arguments.columns,
            config=config,
            progress=progress,
            notes=notes,
        ):
            write(decided)
    for problem in notes.problems:
        print(f"warning: {problem}", file=sys.stderr)
    for note in notes.left_out:
        print(f"note: {note}", file=sys.stderr)
    taken_s = time.monotonic() - started
    rate = sum(gate.counts.values()) / max(taken_s, 1e-9)
    print(f"decided {_decisions(gate)} in {taken_s:.1f} s, {rate:,.1f} a second", file=sys.stderr)
    answer = gate.answer()
    print(answer.note, file=sys.stderr)
    print(
        f"{'warning' if answer.drift.warning else 'drift'}: {answer.drift.sentence}",
        file=sys.stderr,
    )
    return FAILED if notes.problems else DONE


def _decisions(gate: Gate) -> str:
    parts = [f"{count:,} {name}" for name, count in gate.counts.items() if count]
    return f"{count(sum(gate.counts.values()), 'image')} ({', '.join(parts) or 'none'})"


def _decide_progress(arguments: argparse.Namespace) -> AbstractContextManager[Progress]:
    """A bar; but not among lines on the same terminal, which show by themselves how far it is."""
    from indexer.report import Silent
    from service.cli.progress import TerminalProgress

    lines_seen = sys.stdout.isatty() and (arguments.json or arguments.out is None)
    return nullcontext(Silent()) if lines_seen else TerminalProgress()


@contextmanager
def _decided_out(
    gate: Gate, arguments: argparse.Namespace
) -> Iterator[Callable[[list[ImageDecided]], None]]:
    """Takes decisions as they come: into a file, as one document, or a line each."""
    from service.relevance.gate.decided_file import decided_file, part_of

    out: Path | None = arguments.out
    with ExitStack() as stack:
        writers: list[Callable[[list[ImageDecided]], None]] = []
        if out is not None:
            writers.append(stack.enter_context(decided_file(out, raw_cells=arguments.raw_cells)))
        if arguments.json:
            writers.append(stack.enter_context(_decided_document(gate)))
        elif out is None:
            writers.append(_print_decided)
        try:
            yield lambda decided: _to_each(writers, decided)
        except KeyboardInterrupt:
            kept = "" if out is None else f", which lie in {part_of(out)}"
            print(f"stopped after {_decisions(gate)}{kept}", file=sys.stderr)
            raise


def _to_each(
    writers: list[Callable[[list[ImageDecided]], None]], decided: list[ImageDecided]
) -> None:
    for write in writers:
        write(decided)


@contextmanager
def _decided_document(gate: Gate) -> Iterator[Callable[[list[ImageDecided]], None]]:
    """One document, a line an image; a run that is stopped leaves it open."""
    begun = False
    head, _ = gate.answer().around_images()

    def write(decided: list[ImageDecided]) -> None:
        nonlocal begun
        for image in decided:
            # Its beginning is held back till there is an image: a mistake in the sources leaves
            # stdout empty.
            before = (
                ",\n" if begun else f'{json.dumps(head, ensure_ascii=False)[:-1]}, "images": [\n'
            )
            print(before, json.dumps(image.to_json(), ensure_ascii=False), sep="", end="")
            begun = True
        sys.stdout.flush()

    yield write
    _, tail = gate.answer().around_images()
    print(f"\n], {json.dumps(tail, ensure_ascii=False)[1:]}")


def _print_decided(decided: list[ImageDecided]) -> None:
    for image in decided:
        chance = "-" if image.probability is None else f"{image.probability:.2f}"
        why = "" if image.error is None else f": {one_line(image.error)}"
        print(f"{image.decision or '-':<4}  {chance:>5}  {one_line(image.name)}{why}")
    sys.stdout.flush()  # so that a pipe has each batch at once
