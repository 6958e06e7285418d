"""How well models find: every set in a folder, every model,
one table. Run it with `python -m benchmarks quality`.

Labelled sets (SET/test/CLASS/*.jpg): zero-shot classification, average precision of each class by
its name, and whether an image's neighbours are of its class. Captioned ones
(SET/test/captions.csv): recall of an image by its caption. Where a set has the wanted class: its
average precision at the prevalences that lakes have, by its name and from a few labels. Over all
sets together: whether a copy finds its original. With --sizes each set is also measured with the
same images made smaller, or squashed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, product, zip_longest
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.quality_models import (
    CHANGES,
    Change,
    QualityModel,
    VectorCache,
    image_vectors,
    open_models,
    resized,
    text_vectors,
)
from benchmarks.quality_sets import QualitySet, read_sets
from indexer.arrays import Vectors
from indexer.errors import BadRequest, LakeError
from training.metrics import (
    average_precision,
    average_precision_at,
    copies_on_top,
    linear_ap,
    precision_at_10,
    recall_at_k,
    top_1,
)

PHOTO = "a photo of a {}"
INSTALL = "run: pip install 'lakesift[train,samples]'"
COPIED = 500
PREVALENCES = (0.04, 0.01)
# prevalence; positives + others that somebody labelled
LABELS_AT, LABELS = 0.06, ((10, 30), (40, 120))
NEIGHBOURS = 10
ALL_SETS = "all sets"


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell of the table."""

    data: str  # the set's name
    images: int
    measure: str
    model: str
    value: float  # 0..1
    size: str = ""  # what was done to the images before: "at 200 px"; "": nothing


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        templates = dict(_template(text) for text in options.template)
        sizes = [None, *map(resized, dict.fromkeys(options.sizes))]
        sets = read_sets(options.data, options.sets, options.most)
        _check_known("template", templates, sets)
        _check_known("trained-on", options.trained_on, sets)
        models = open_models(options.model or ("builtin", "bridge"))
        cache = VectorCache(options.cache)
        figures = list(_measure_all(models, sets, sizes, templates, options.wanted, cache))
    except LakeError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except ModuleNotFoundError as error:
        parser.exit(2, f"{parser.prog}: {error.name} is not installed; {INSTALL}\n")
    print(quality_table(figures, options.trained_on))
    if options.json:
        document = {"hardware": describe_machine(), "trained_on": options.trained_on}
        document["models"] = {model.name: dict(model.fingerprint) for model in models}
        print(json.dumps({**document, "figures": [asdict(figure) for figure in figures]}))
    return 0


def quality_table(figures: Sequence[Figure], trained_on: Sequence[str] = ()) -> str:
    """Markdown: a line a set and measure, a column a model, in per cent."""
    models = list(dict.fromkeys(figure.model for figure in figures))
    lines = [
        f"| set | images | measure | {' | '.join(models)} |",
        "|---|---|---|" + "---|" * len(models),
    ]
    rows: dict[tuple[str, str, int, str], dict[str, float]] = {}
    for figure in figures:
        row = figure.data, figure.size, figure.images, figure.measure
        rows.setdefault(row, {})[figure.model] = figure.value
    # A set's lines stand together, whichever model was measured first.
    order = list(dict.fromkeys((data, size) for data, size, _, _ in rows))
    for (data, size, images, measure), values in sorted(
        rows.items(), key=lambda row: order.index(row[0][:2])
    ):
        cells = " | ".join(f"{values[model]:.1%}" if model in values else "" for model in models)
        mark = "\\*" if data in trained_on else ""
        name = f"{data}{mark}, {size}" if size else f"{data}{mark}"
        lines.append(f"| {name} | {images:,} | {measure} | {cells} |")
    if trained_on:
        lines += ["", "\\* other images of this set were trained on."]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="the folder of the sets"
    )
    model_help = (
        "builtin, builtin@FOLDER, open_clip:..., bridge or backbone (default: builtin bridge)"
    )
    parser.add_argument("--model", nargs="+", action="extend", metavar="NAME", help=model_help)
    parser.add_argument(
        "--sets", nargs="+", action="extend", metavar="NAME", help="default: all in DIR"
    )
    parser.add_argument(
        "--most", type=_count, metavar="N", help="images a set at most, evenly of its classes"
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        action="extend",
        default=[],
        metavar="PX",
        help="each set again, its images smaller (200: the longer side) or squashed (224x224)",
    )
    parser.add_argument(
        "--trained-on",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="sets to mark with *",
    )
    parser.add_argument(
        "--template",
        action="append",
        default=[],
        metavar="SET=TEXT",
        help=f"what a set's classes are called in place of {PHOTO!r}: aid='an aerial photo of a {{}}'",
    )
    parser.add_argument(
        "--class",
        dest="wanted",
        default="hospital room",
        metavar="CLASS",
        help="the class to measure at low prevalence (default: hospital room)",
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep vectors here for the next run"
    )
    parser.add_argument(
        "--json", action="store_true", help="also print one line of JSON, machine included"
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of images, at least 1")
    return int(text)


def _check_known(option: str, names: Iterable[str], sets: Sequence[QualitySet]) -> None:
    known = [data.name for data in sets]
    if unknown := [name for name in names if name not in known]:
        raise BadRequest(
            option, f"no set {' or '.join(unknown)} is measured; there is {', '.join(known)}"
        )


def _template(text: str) -> tuple[str, str]:
    name, separator, template = text.partition("=")
    if not separator or template.count("{}") != 1:
        raise BadRequest("template", f"{text!r} is not SET=TEXT with one {{}} for the class")
    return name, template


def _measure_all(
    models: Sequence[QualityModel],
    sets: Sequence[QualitySet],
    sizes: Sequence[tuple[str, Change] | None],
    templates: dict[str, str],
    wanted: str,
    cache: VectorCache,
) -> Iterator[Figure]:
    for data, size in product(sets, sizes):
        name = "" if size is None else size[0]
        print(f"{data.name} {name}".rstrip(), "...", file=sys.stderr, flush=True)
        for model in models:
            template = templates.get(data.name, PHOTO)
            for measure, value in measure_set(model, data, template, wanted, cache, size):
                yield Figure(data.name, len(data.files), measure, model.name, value, name)
    print("copies ...", file=sys.stderr, flush=True)
    in_turn = chain.from_iterable(zip_longest(*(data.files for data in sets)))
    files = [file for file in in_turn if file is not None][:COPIED]
    for model in models:
        originals = image_vectors(model, files, cache)
        for change in CHANGES.items():
            value = copies_on_top(originals, image_vectors(model, files, cache, change))
            yield Figure(ALL_SETS, len(files), f"copies on top, {change[0]}", model.name, value)


def measure_set(
    model: QualityModel,
    data: QualitySet,
    template: str,
    wanted: str,
    cache: VectorCache,
    size: tuple[str, Change] | None = None,
) -> Iterator[tuple[str, float]]:
    """The measures that this set and this model allow: name, share in 0..1.

    :param size: of `resized`; None: the images as they are.
    :raises LakeError: if an image cannot be read.
    """
    images = image_vectors(model, data.files, cache, size)
    if data.captions:
        if model.embed_texts is not None:
            texts, own = text_vectors(model, data.captions, cache), np.array(data.file_of_caption)
            for k in (1, 5, 10):
                yield f"text to image, R@{k}", recall_at_k(texts, images, own, k)
        return
    labels = np.array(data.labels)
    if model.embed_texts is not None:
        yield from _by_class_names(model, data, images, template, cache)
    # Where classes have few images, all neighbours can be found and the figure still be low: it
    # would say nothing.
    if np.median(np.bincount(labels)) > NEIGHBOURS:
        yield "same class among 10 neighbours", precision_at_10(images, labels)
    if wanted in data.classes:
        yield from _rare_class(model, data, images, template, wanted, cache)


def _by_class_names(
    model: QualityModel, data: QualitySet, images: Vectors, template: str, cache: VectorCache
) -> Iterator[tuple[str, float]]:
    labels, prompts = np.array(data.labels), (template, "{}")
    texts = [prompt.format(label) for label in data.classes for prompt in prompts]
    vectors = text_vectors(model, texts, cache).reshape(len(data.classes), len(prompts), -1)
    yield "zero-shot top-1", top_1(images, labels, vectors)
    shown = np.unique(labels)  # with --most some classes may have no image
    scores = images @ vectors[:, 0].T
    yield (
        "average precision by name, mean of classes",
        float(np.mean([average_precision(scores[:, label], labels == label) for label in shown])),
    )


def _rare_class(
    model: QualityModel,
    data: QualitySet,
    images: Vectors,
    template: str,
    wanted: str,
    cache: VectorCache,
) -> Iterator[tuple[str, float]]:
    positive = np.array(data.labels) == data.classes.index(wanted)
    prompt = template.format(wanted).removeprefix("a photo of ")
    try:
        if model.embed_texts is not None:
            scores = images @ text_vectors(model, [prompt], cache)[0]
            for share in PREVALENCES:
                yield (
                    f'AP of "{prompt}" at {share:.0%}',
                    average_precision_at(share, scores, positive),
                )
        for count, others in LABELS:
            value = linear_ap(
                images, positive, positives=count, others=others, prevalence=LABELS_AT
            )
            yield f"AP of {wanted} at {LABELS_AT:.0%} from {count} + {others} labels", value
    except ValueError as error:  # fewer images than it takes: a small set, or --most
        print(f"  {data.name}: {wanted}: {error}; left out", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
