"""What the actions of `lakesift filter` do and say; a part of the command, and as it is, allowed to print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.printing import one_line, print_json

if TYPE_CHECKING:
    from service.relevance.filters import Filters

DONE, FAILED, REFUSED = 0, 1, 3
PROBLEMS_SHOWN = 10


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns the exit code."""
    from service.lake import Lake
    from service.relevance.filters import Filters

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
    saved = filters.open(arguments.name).label_file(arguments.file, arguments.labeller)
    if arguments.json:
        print_json(saved)
    for problem in saved["problems"][:PROBLEMS_SHOWN]:
        print(f"line {problem['line']}: {problem['message']}", file=sys.stderr)
    more = len(saved["problems"]) - PROBLEMS_SHOWN
    if more > 0:
        print(f"and {more:,} more lines", file=sys.stderr)
    print(f"saved {saved['saved']:,} answers", file=sys.stderr)
    _tell_progress(saved["progress"])
    return FAILED if saved["problems"] else DONE


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
    answer = filters.open(arguments.name).apply(
        ask=arguments.ask, recall=arguments.recall, confidence=arguments.confidence, assume=arguments.assume
    )
    if arguments.json or answer["refused"]:
        print_json(answer)
    if answer["refused"]:
        print(f"refused: {answer['reason']}", file=sys.stderr)
        return REFUSED
    asked = f", {answer['asked']:,} to ask about" if answer["asked"] else ""
    print(
        f"kept {answer['kept']:,} of {answer['rows']:,} images, dropped {answer['dropped']:,}{asked}: "
        f"{_promise(answer['promise'])}",
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


def _promise(promise: Mapping[str, Any]) -> str:
    parts = [f"{kind} at least {promise[kind]:g}" for kind in ("recall", "precision") if promise[kind]]
    return f"{' and '.join(parts)}, with confidence {promise['confidence']:g}"


def _export(filters: Filters, arguments: argparse.Namespace) -> int:
    from service.relevance.handover import write

    table = filters.open(arguments.name).decided(arguments.decision)
    out = None if arguments.out == "-" else Path(arguments.out)
    write(table, arguments.format, out, sys.stdout.buffer)
    print(f"{table.num_rows:,} images -> {arguments.out}", file=sys.stderr)
    return DONE


def _list(filters: Filters, arguments: argparse.Namespace) -> int:
    found = filters.to_json()
    if arguments.json:
        print_json(found)
        return DONE
    if not found["filters"]:
        print(
            f"no filters yet; make one with: lakesift filter new {arguments.lake} NAME --keep TEXT",
            file=sys.stderr,
        )
    for each in found["filters"]:
        wanted = " ".join(f"{k} {each['target'][k]:g}" for k in ("recall", "precision") if each["target"][k])
        print(
            f"{each['name']}  {each['stage']}  version {each['version']}  {wanted}  {each['labels']:,} labels"
        )
    return DONE


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
    print(f"wanted: {_promise(definition.to_document()['target'])}")
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
    made = filters.copy(arguments.name, arguments.new_name, labels=arguments.labels)
    print(f"made filter {made.name}, like {arguments.name}", file=sys.stderr)
    return DONE


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
            if audit["more"]:
                state += f"; {audit['more']['labels']:,} more labels may drop {audit['more']['drop']:,} more images"
        print(f"audit {audit['number']}: {audit['answered']:,} answered, {state}", file=sys.stderr)


ACTIONS: dict[str, Callable[[Filters, argparse.Namespace], int]] = {
    "new": _new,
    "next": _next,
    "label": _label,
    "undo": _undo,
    "plan": _plan,
    "apply": _apply,
    "export": _export,
    "list": _list,
    "show": _show,
    "diff": _diff,
    "copy": _copy,
    "delete": _delete,
}
