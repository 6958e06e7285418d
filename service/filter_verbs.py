"""What the actions of `lakesift filter` do and say; a part of the command, and as it is, allowed to print."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.errors import BadRequest
from service.printing import one_line, print_json
from service.relevance.handover import promise_sentence

if TYPE_CHECKING:
    from indexer.report import Progress
    from service.export import ExportReport
    from service.hits import Row
    from service.relevance import Filter, Filters
    from service.relevance.gate import Decided, Gate

DONE, FAILED, REFUSED = 0, 1, 3
PROBLEMS_SHOWN = 10
SHEETS = {".png": "PNG", ".jpg": "JPEG"}


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns the exit code."""
    from service.lake import Lake
    from service.relevance import Filters

    with Lake.open(arguments.lake) as lake:
        for problem in lake.problems:
            print(f"warning: {problem}", file=sys.stderr)
        return ACTIONS[arguments.action](Filters(lake), arguments)


def _new(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.definition import Target

    recall = arguments.recall
    if recall is None and arguments.precision is None:
        recall = 0.95
    made = filters.create(
        arguments.name,
        keep_texts=arguments.keep,
        keep_images=arguments.keep_image,
        keep_rows=arguments.keep_row,
        drop_texts=arguments.drop,
        drop_images=arguments.drop_image,
        drop_rows=arguments.drop_row,
        where=arguments.where,
        target=Target(recall, arguments.precision, arguments.confidence),
    )
    if arguments.json:
        print_json(made.summary())
    print(
        f"made filter {made.name}, a draft that promises nothing yet; teach it with what this asks for: "
        f"lakesift filter next {arguments.lake} {made.name}",
        file=sys.stderr,
    )
    return DONE


def _next(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).next(
        arguments.n,
        arguments.purpose,
        again=arguments.again,
        budget=arguments.budget,
        assume=arguments.assume,
    )
    if arguments.json:
        print_json(found)
    else:
        for row in found["rows"]:
            chance = "-" if row["probability"] is None else f"{row['probability']:.2f}"
            print(f"{row['row_id']:7d}  {row['score']:7.3f}  {chance:>5}  {one_line(row['uri'])}")
    _tell_progress(found["progress"])
    if not found["rows"]:
        print("nothing is left to ask", file=sys.stderr)
    return DONE


def _label(filters: Filters, arguments: argparse.Namespace) -> int:
    saved = _saved(filters.open(arguments.name), arguments)
    if arguments.json:
        print_json(saved)
    for problem in saved["problems"][:PROBLEMS_SHOWN]:
        about = f"line {problem['line']}" if "line" in problem else one_line(problem["about"])
        print(f"{about}: {problem['message']}", file=sys.stderr)
    more = len(saved["problems"]) - PROBLEMS_SHOWN
    if more > 0:
        print(f"and {more:,} more", file=sys.stderr)
    unanswered = f"; {saved['unanswered']:,} images have no answer in it" if saved.get("unanswered") else ""
    print(f"saved {saved['saved']:,} answers{unanswered}", file=sys.stderr)
    _tell_progress(saved["progress"])
    return FAILED if saved["problems"] else DONE


def _saved(chosen: Filter, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.format != "csv":
        return chosen.label_export(
            arguments.file,
            arguments.format,
            arguments.labeller,
            yes=arguments.yes,
            empty_is_no=arguments.empty_is_no,
            root=arguments.root,
        )
    if arguments.yes or arguments.empty_is_no or arguments.root:
        raise BadRequest(
            "format", "--yes, --empty-is-no and --root are for a tool's file; say which with --format"
        )
    return chosen.label_file(arguments.file, arguments.labeller)


def _undo(filters: Filters, arguments: argparse.Namespace) -> int:
    answer = filters.open(arguments.name).undo(arguments.row, arguments.labeller)
    if arguments.json:
        print_json(answer)
    undone = answer["undone"]
    told = (
        f"took back {undone['label']} of row {undone['row_id']}"
        if undone
        else "there is no answer to take back"
    )
    print(told, file=sys.stderr)
    return DONE


def _plan(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).plan()
    if arguments.json:
        print_json(found)
        return DONE
    print(f"{found['rows']:,} images, about {found['relevant']:,} of them relevant", file=sys.stderr)
    print(f"{'dropped':>9}  {'kept':>9}  {'recall':>6}  audit labels", file=sys.stderr)
    for option in found["options"]:
        labels = "out of reach" if option["labels"] is None else f"about {option['labels']:,}"
        print(f"{option['dropped']:9,}  {option['kept']:9,}  {option['recall']:6.3f}  {labels}")
    print(
        "a forecast from what the filter was taught; where every number is too large, rank and label the top: "
        f"lakesift filter next {arguments.lake} {arguments.name} --purpose teach",
        file=sys.stderr,
    )
    return DONE


def _apply(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.progress import TerminalProgress

    with TerminalProgress() as progress:
        answer = filters.open(arguments.name).apply(
            ask=arguments.ask,
            recall=arguments.recall,
            confidence=arguments.confidence,
            assume=arguments.assume,
            progress=progress,
        )
    if arguments.json or answer["refused"]:
        print_json(answer)
    if answer["refused"]:
        print(f"refused: {answer['reason']}", file=sys.stderr)
        return REFUSED
    asked = f", {answer['asked']:,} to ask about" if answer["asked"] else ""
    print(
        f"kept {answer['kept']:,} of {answer['rows']:,} images, dropped {answer['dropped']:,}{asked}: "
        f"{promise_sentence(answer['promise'])}",
        file=sys.stderr,
    )
    if assumption := answer["measured"].get("assumption"):
        check = assumption["check"]
        print(
            f"{assumption['says']}; of {check['labels']:,} audit labels below it {check['relevant']:,} were relevant, "
            f"which fits, but {assumption['note']}",
            file=sys.stderr,
        )
    return DONE


def _samples(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.reporting.file import check_out

    if arguments.sheet is not None:
        _check_sheet(arguments.sheet)
        check_out(arguments.sheet, overwrite=arguments.overwrite)
    chosen = filters.open(arguments.name)
    found = chosen.samples(arguments.decision, arguments.n, order=arguments.order, seed=arguments.seed)
    rows = found["rows"]
    if arguments.json:
        print_json(found)
    elif arguments.sheet is not None:
        _write_sheet(chosen, found, arguments.sheet)
    elif arguments.paths:
        for row in _whole_rows(chosen, found):
            sys.stdout.buffer.write((row.columns["path_bytes"] or os.fsencode(row.uri)) + b"\n")
        sys.stdout.buffer.flush()
    else:
        if rows:
            print(
                f"{'row':>7}  {'score':>7}  {'p':>8}  {'like a yes':>16}  {'like a no':>16}  path",
                file=sys.stderr,
            )
        for row in rows:
            chance = row["label"] or ("-" if row["probability"] is None else f"{row['probability']:.2f}")
            yes, no = _like(row["nearest_yes"]), _like(row["nearest_no"])
            print(
                f"{row['row_id']:7d}  {row['score']:7.3f}  {chance:>8}  {yes:>16}  {no:>16}  {one_line(row['uri'])}"
            )
    drawn = "at random" if found["order"] == "random" else "next to the line"
    print(
        f"{len(rows):,} of {found['of']:,} images that {found['filter']}@{found['version']} decided as "
        f"{found['decision']}, {drawn}",
        file=sys.stderr,
    )
    if rows and found["decision"] == "drop":
        print(
            f"bring one back: lakesift filter restore {arguments.lake} {arguments.name} --row {rows[0]['row_id']}",
            file=sys.stderr,
        )
    return DONE


def _like(nearest: Mapping[str, Any] | None) -> str:
    """As in "0.83 row 17"."""
    if nearest is None:
        return "-"
    what = f"row {nearest['row_id']}" if nearest["row_id"] is not None else one_line(nearest["image"])[:12]
    return f"{nearest['cosine']:.2f} {what}"


def _whole_rows(chosen: Filter, found: Mapping[str, Any]) -> list[Row]:
    from service.relevance.scored_rows import rows_of

    snapshot = chosen.lake.at(chosen.at(found["version"]).snapshot)
    return rows_of(snapshot, [row["row_id"] for row in found["rows"]])


def _check_sheet(out: Path) -> None:
    """:raises BadRequest: if its name says no kind of image that is written here."""
    if out.suffix.lower() not in SHEETS:
        raise BadRequest("--sheet", f"{out} does not end in {' or '.join(SHEETS)}; those are written")


def _write_sheet(chosen: Filter, found: Mapping[str, Any], out: Path) -> None:
    import io

    from service.contact_sheets import contact_sheet
    from service.relevance.reporting.file import write_out

    buffer = io.BytesIO()
    contact_sheet(_whole_rows(chosen, found)).save(buffer, SHEETS[out.suffix.lower()], quality=90)
    write_out(buffer.getvalue(), out)
    print(f"wrote {out}", file=sys.stderr)


def _restore(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.label_files import read_paths

    if arguments.file is None and not arguments.row:
        raise BadRequest("--row", "name what to bring back: rows (--row), or a file with one path a line")
    chosen = filters.open(arguments.name)
    uris = [] if arguments.file is None else read_paths(arguments.file)
    saved = chosen.restore([*arguments.row, *uris], arguments.labeller)
    if arguments.json:
        print_json(saved)
    for problem in saved["problems"][:PROBLEMS_SHOWN]:
        print(f"{one_line(problem['about'])}: {one_line(problem['message'])}", file=sys.stderr)
    more = len(saved["problems"]) - PROBLEMS_SHOWN
    if more > 0:
        print(f"and {more:,} more", file=sys.stderr)
    restored = saved["restored"]
    print(f"restored {len(restored):,} images, each by a person's yes", file=sys.stderr)
    if restored:
        print(
            f"they are kept from the next apply on: lakesift filter apply {arguments.lake} {arguments.name}; to take "
            f"one back: lakesift filter undo {arguments.lake} {arguments.name} --row {restored[0]}",
            file=sys.stderr,
        )
    return FAILED if saved["problems"] else DONE


def _export(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.export import FORMATS
    from service.progress import TerminalProgress

    out = None if arguments.out == "-" else Path(arguments.out)
    chosen = filters.open(arguments.name)
    with TerminalProgress() as progress:
        report = chosen.export(
            arguments.format,
            out,
            tuple(dict.fromkeys(arguments.decision or ["keep"])),
            version=arguments.version,
            chunk=arguments.chunk,
            root=arguments.root,
            overwrite=arguments.overwrite,
            progress=progress,
        )
    if arguments.json and out is not None:
        print_json(report.to_json())
    _tell_export(report, arguments.out, FORMATS[arguments.format].note)
    return FAILED if report.skipped else DONE


def _tell_export(report: ExportReport, out: str, note: str) -> None:
    for uri, reason in report.skipped[:PROBLEMS_SHOWN]:
        print(f"left out {one_line(uri)}: {reason}", file=sys.stderr)
    more = len(report.skipped) - PROBLEMS_SHOWN
    if more > 0:
        print(f"and {more:,} more were left out", file=sys.stderr)
    first = report.files[0] if report.files else out
    where = first if len(report.files) <= 1 else f"{first} to {Path(report.files[-1]).name}"
    already = f" ({report.already:,} of {len(report.files):,} were whole already)" if report.already else ""
    print(f"{report.items:,} images -> {where}{already}", file=sys.stderr)
    if note and report.items:
        print(f"next: {note}", file=sys.stderr)


def _decide(filters: Filters, arguments: argparse.Namespace) -> int:
    from indexer.config import IndexConfig
    from service.relevance.incoming_sources import Notes, decide_sources

    gate, notes, started = filters.open(arguments.name).gate(ask=arguments.ask), Notes(), time.monotonic()
    given = {name: getattr(arguments, name) for name in ("decoders", "batch_size")}
    config = replace(IndexConfig.from_env(), **{name: value for name, value in given.items() if value})
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
    taken_s = time.monotonic() - started
    rate = sum(gate.counts.values()) / max(taken_s, 1e-9)
    print(f"decided {_decisions(gate)} in {taken_s:.1f} s, {rate:,.1f} a second", file=sys.stderr)
    print(gate.head()["note"], file=sys.stderr)
    drift = gate.drift
    print(f"{'warning' if drift.warning else 'drift'}: {drift.sentence}", file=sys.stderr)
    return FAILED if notes.problems else DONE


def _decisions(gate: Gate) -> str:
    parts = [f"{count:,} {name}" for name, count in gate.counts.items() if count]
    return f"{sum(gate.counts.values()):,} images ({', '.join(parts) or 'none'})"


def _decide_progress(arguments: argparse.Namespace) -> AbstractContextManager[Progress]:
    """A bar; but not among lines on the same terminal, which show by themselves how far it is."""
    from indexer.report import Silent
    from service.progress import TerminalProgress

    lines_seen = sys.stdout.isatty() and (arguments.json or arguments.out is None)
    return nullcontext(Silent()) if lines_seen else TerminalProgress()


@contextmanager
def _decided_out(gate: Gate, arguments: argparse.Namespace) -> Iterator[Callable[[list[Decided]], None]]:
    """Takes decisions as they come: into a file, as one document, or a line each."""
    from service.relevance.decided_file import decided_file, part_of

    out: Path | None = arguments.out
    with ExitStack() as stack:
        writers: list[Callable[[list[Decided]], None]] = []
        if out is not None:
            writers.append(stack.enter_context(decided_file(out)))
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


def _to_each(writers: list[Callable[[list[Decided]], None]], decided: list[Decided]) -> None:
    for write in writers:
        write(decided)


@contextmanager
def _decided_document(gate: Gate) -> Iterator[Callable[[list[Decided]], None]]:
    """One document, a line an image; a run that is stopped leaves it open."""
    begun = False

    def write(decided: list[Decided]) -> None:
        nonlocal begun
        for image in decided:
            # Its beginning is held back till there is an image: a mistake in the sources leaves stdout empty.
            before = ",\n" if begun else f'{json.dumps(gate.head(), ensure_ascii=False)[:-1]}, "images": [\n'
            print(before, json.dumps(image.to_json(), ensure_ascii=False), sep="", end="")
            begun = True
        sys.stdout.flush()

    yield write
    print(f"\n], {json.dumps(gate.tail(), ensure_ascii=False)[1:]}")


def _print_decided(decided: list[Decided]) -> None:
    for image in decided:
        chance = "-" if image.probability is None else f"{image.probability:.2f}"
        why = "" if image.error is None else f": {one_line(image.error)}"
        print(f"{image.decision or '-':<4}  {chance:>5}  {one_line(image.name)}{why}")
    sys.stdout.flush()  # so that a pipe has each batch at once


def _report(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.reporting.costs import Prices
    from service.relevance.reporting.file import check_out, write_out
    from service.relevance.reporting.summary import summary

    prices = Prices.of(arguments.price, arguments.miss_price, arguments.label_price, arguments.currency)
    chosen, out = filters.open(arguments.name), arguments.out
    if out is not None:
        check_out(out, overwrite=arguments.overwrite)
        write_out(chosen.report_page(prices), out)
        print(f"wrote {out}", file=sys.stderr)
    if arguments.json:
        print_json(chosen.report(prices))
    elif out is None:
        for line in summary(chosen.report(prices)):
            print(line)
    return DONE


def _conflicts(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).conflicts()
    if arguments.json:
        print_json(found)
        return DONE
    for conflict in found["conflicts"]:
        said = ", ".join(f"{who}: {what}" for who, what in conflict["labellers"].items())
        print(f"{conflict['row_id']:7d}  {one_line(conflict['uri'] or 'gone')}  {one_line(said)}")
    for pair in found["pairs"]:
        kappa = "-" if pair["kappa"] is None else f"{pair['kappa']:.2f}"
        print(
            f"{one_line(pair['first'])} and {one_line(pair['second'])}: kappa {kappa} on {pair['rows']:,} images",
            file=sys.stderr,
        )
    alpha = "-" if found["alpha"] is None else f"{found['alpha']:.2f}"
    print(f"{len(found['conflicts']):,} images in conflict; Krippendorff's alpha {alpha}", file=sys.stderr)
    return DONE


def _list(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.to_json()
    if arguments.json:
        print_json(found)
        return _tell_damaged(found)
    if not found["filters"] and not found["problems"]:
        print(
            f"no filters yet; make one with: lakesift filter new {arguments.lake} NAME --keep TEXT",
            file=sys.stderr,
        )
    for each in found["filters"]:
        wanted = " ".join(f"{k} {each['target'][k]:g}" for k in ("recall", "precision") if each["target"][k])
        print(
            f"{each['name']}  {each['stage']}  version {each['version']}  {wanted}  {each['labels']:,} labels"
        )
    return _tell_damaged(found)


def _tell_damaged(found: Mapping[str, Any]) -> int:
    for problem in found["problems"]:
        print(f"warning: filter {problem['name']} cannot be used: {problem['message']}", file=sys.stderr)
    return FAILED if found["problems"] else DONE


def _show(filters: Filters, arguments: argparse.Namespace) -> int:
    chosen = filters.open(arguments.name)
    definition = chosen.at(arguments.version)
    if arguments.json:
        print_json({**definition.to_document(), "progress": chosen.progress()})
        return DONE
    print(f"{definition.name}, version {definition.version}: {definition.reason}")
    for side, examples in (("keep", definition.keep), ("drop", definition.drop)):
        shown = [
            *examples.texts,
            *(f"row {row}" for row in examples.row_ids),
            *(i.name for i in examples.images),
        ]
        if shown:
            print(f"{side}: {'; '.join(one_line(text) for text in shown)}")
    if definition.where:
        print(f"where: {one_line(definition.where)}")
    print(f"wanted: {promise_sentence(definition.to_document()['target'])}")
    for name, value in (definition.measured or {}).items():
        print(f"{name}: {value}")
    _tell_progress(chosen.progress())
    return DONE


def _diff(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.open(arguments.name).diff(arguments.before, arguments.after)
    if arguments.json:
        print_json({"changes": [{"field": f, "before": a, "after": b} for f, a, b in found]})
        return DONE
    for field, before, after in found:
        print(f"{field}: {before} -> {after}")
    return DONE


def _copy(filters: Filters, arguments: argparse.Namespace) -> int:
    if arguments.into is not None:
        return _copy_into(filters, arguments)
    made = filters.copy(arguments.name, arguments.new_name, labels=arguments.labels)
    if arguments.json:
        print_json(made.summary())
    print(f"made filter {made.name}, like {arguments.name}{_audits_before(filters, made)}", file=sys.stderr)
    return DONE


def _copy_into(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.lake import Lake
    from service.relevance import Filters

    with Lake.open(arguments.into) as lake:
        there = Filters(lake)
        carried = filters.carry(arguments.name, there, arguments.new_name, labels=arguments.labels)
        if arguments.json:
            print_json(carried.to_json())
        print(
            f"made filter {carried.filter.name} in {arguments.into}, like {arguments.name} in {arguments.lake}"
            f"{_audits_before(there, carried.filter)}",
            file=sys.stderr,
        )
        here, now = carried.average_precision_here, carried.average_precision_there
        if arguments.labels:
            ranks = (
                ""
                if here is None or now is None
                else (
                    f"; cross-validated on them, its best scorer has an average precision of {now:.2f}, in "
                    f"{arguments.lake} {here:.2f}"
                )
            )
            print(f"{carried.labels:,} labels taken along{ranks}", file=sys.stderr)
        for sentence in carried.left_out:
            print(f"warning: {sentence}", file=sys.stderr)
    return FAILED if carried.left_out else DONE


def _audits_before(filters: Filters, made: Filter) -> str:
    begun = filters.store.audits_begun(made.name)
    return f"; its next audit counts as number {begun + 1} of both" if begun else ""


def _delete(filters: Filters, arguments: argparse.Namespace) -> int:
    place = filters.delete(arguments.name)
    print(f"filter {arguments.name} is out of service; its files lie in {place}", file=sys.stderr)
    return DONE


def _tell_progress(progress: Mapping[str, Any]) -> None:
    said = f"{progress['labels']:,} labels: {progress['yes']:,} yes, {progress['no']:,} no"
    rest = [f"{progress[name]:,} {name}" for name in ("skipped", "conflicts") if progress[name]]
    print(", ".join([said, *rest]), file=sys.stderr)
    audit = progress["audit"]
    if audit is not None:
        needed = audit["still_needed"]
        state = (
            "the promise is out of sight"
            if needed is None
            else f"about {needed:,} more until the promise holds"
        )
        if audit["holds"]:
            state = "the promise holds, and can be applied"
            if more := audit["more"]:
                state += f"; {more['labels']:,} more labels (half an annotation each) may drop {more['drop']:,} more"
        print(f"audit {audit['number']}: {audit['answered']:,} answered, {state}", file=sys.stderr)


ACTIONS: dict[str, Callable[[Filters, argparse.Namespace], int]] = {
    "new": _new,
    "next": _next,
    "label": _label,
    "undo": _undo,
    "plan": _plan,
    "apply": _apply,
    "decide": _decide,
    "samples": _samples,
    "restore": _restore,
    "export": _export,
    "report": _report,
    "conflicts": _conflicts,
    "list": _list,
    "show": _show,
    "diff": _diff,
    "copy": _copy,
    "delete": _delete,
}
