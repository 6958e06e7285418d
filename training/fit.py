"""Trains a model folder from data sets: the heads learn,
then on demand the backbone's last block with them.

The rest stays as it is. On two cores that is what time goes into, once an image; heads learn in
minutes, the last block in ten times that. Everything random comes from the seed.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from indexer.embed.builtin import PACKAGED
from indexer.embed.tokens import TextTokenizer
from indexer.errors import BadRequest
from training import starting
from training.arrays import LITE2, Floats, ImageArrays, ModelArrays
from training.card import CardFacts, CardSet, card
from training.datasets import DataSet, Split
from training.features import Halves, OnProgress, check_room_for_maps, sentence_vectors
from training.graphs import image_graph, text_graph
from training.heads import LearningHead, fresh
from training.imagenet import class_names
from training.last_block import LastBlock, as_input
from training.learning import (
    ImageInputs,
    Seen,
    Texts,
    learning_set,
    read_texts,
    seen,
    teacher,
    teacher_of,
)
from training.legal import NOTICE, licence
from training.metrics import recall_at_k, top_1
from training.model_files import read_arrays, refuse_used, write_model_folder
from training.objective import Anchor, Inputs, LearningSet, Objective, Teacher
from training.rounding import rounded_layers
from training.vocabulary import without_other_scripts
from training.wordings import WORDINGS, wordings

DIM = 512
HIDDEN = 768
STEPS, ADAPT_STEPS = 1200, 300
RATE, ADAPT_RATE, FINE_TUNE_RATE = 1e-3, 2e-4, 2e-4
FINE_TUNE_SHARE = 0.5  # of a step's usual examples
SPLITS: tuple[Split, Split] = ("train", "validate")  # what is looked at; the test split is not read
WARM_UP_STEPS = 50
WEIGHT_DECAY = 0.05
DROPOUT = 0.3
IMAGE_DROPOUT_IN, TEXT_DROPOUT_IN = 0.2, 0.1
TABLE_SCALE = 4.0  # of the class table, so that the mixture is as large as the features are
MOST_SAMPLES = 20_000  # that a fresh head's norm is made from
MIN_EXAMPLES = 2
FEW_WORDINGS = 2  # of the classifier's classes: a finished head knows the others


@dataclass(frozen=True, slots=True)
class FitReport:
    """What came of a training."""

    examples: int  # images that were learnt from
    unreadable: int
    seconds: float
    measures: dict[
        str, float
    ]  # on the images kept for validation, by set: "flickr8k R@10", "scenes top-1", in [0, 1]

    @property
    def lines(self) -> tuple[str, ...]:
        """For people."""
        broken = (
            f"; {self.unreadable:,} could not be read and were left out" if self.unreadable else ""
        )
        first = f"learnt from {self.examples:,} images in {self.seconds:.0f} s{broken}"
        return first, *(f"{name}: {value:.3f}" for name, value in self.measures.items())


def fit(
    sets: Sequence[DataSet],
    out: Path,
    *,
    base: str,
    name: str,
    seed: int,
    steps: int | None,
    fine_tune: int,
    on_progress: OnProgress,
) -> FitReport:
    """Train on the sets' train splits, measure on their validate splits, and write a model folder.

    :param base: "imagenet": the pretrained parts, heads that know nothing. "builtin" or a model
        folder's path: its heads learn on, held near where they were.
    :param steps: of the optimiser; None: 1,200, or 300 from a base that is finished.
    :param fine_tune: steps after those in which the backbone's last block learns, too; 0: it stays
        as it is.
    :raises BadRequest: if there is nothing to learn from, or `out` is there already.
    :raises ModelUnavailable: if the base, or a package with a pretrained part, is not there.
    """
    refuse_used(out)  # before an hour's work
    started = time.monotonic()
    torch.manual_seed(seed)
    model, finished = _base(base, sets)
    if fine_tune:
        check_room_for_maps(
            ([example.path for example in one.part(split)] for one in sets for split in SPLITS),
            model.image,
        )
    train, validate = (
        [seen(one, split, model, on_progress, with_maps=fine_tune > 0) for one in sets]
        for split in SPLITS
    )
    if max(len(one.examples) for one in train) < MIN_EXAMPLES:
        raise BadRequest("data", f"fewer than {MIN_EXAMPLES} images to learn from; give more")
    texts = Texts()
    wanted = [learning_set(one, texts) for one in train]
    words = teacher(texts, FEW_WORDINGS if finished else len(WORDINGS))
    vectors = read_texts(texts, model, on_progress)
    learning = [
        replace(one, texts=vectors[positions]) for one, positions in wanted if len(one.inputs)
    ]
    if not finished:
        model = _with_fresh_heads(model, train, vectors.numpy(), seed)
    steps = steps or (ADAPT_STEPS if finished else STEPS)
    rate = ADAPT_RATE if finished else RATE
    known = teacher_of(vectors, *words)
    anchor = Anchor(*(head.eval() for head in _heads(model))) if finished else None
    model = _learn(model, learning, known, anchor, steps, rate, seed, None, on_progress)
    if fine_tune:
        block = LastBlock(model.image)
        model = _learn(
            model, learning, known, anchor, fine_tune, FINE_TUNE_RATE, seed, block, on_progress
        )
        validate = [replace(one, features=_pooled(block, one)) for one in validate]
    measures = _measures(model, validate, on_progress)
    report = FitReport(
        sum(len(one.examples) for one in train),
        sum(one.unreadable for one in train),
        time.monotonic() - started,
        measures,
    )
    _write(
        out,
        replace(model, name=name),
        train,
        report,
        base=base,
        seed=seed,
        steps=steps,
        fine_tune=fine_tune,
    )
    return report


def _base(base: str, sets: Sequence[DataSet]) -> tuple[ModelArrays, bool]:
    """The arrays to start from, and whether they are a finished model's."""
    if base != "imagenet":
        return read_arrays(PACKAGED if base == "builtin" else Path(base).expanduser()), True
    text, tokenizer = without_other_scripts(starting.sentence_encoder(), starting.TOKENIZER.read())
    names = class_names()
    said = [text for class_name in names for text in wordings(class_name)]
    own = dict.fromkeys(
        text for one in sets for example in one.part("train") for text in example.texts
    )
    text = rounded_layers(text, TextTokenizer(tokenizer, starting.MOST_TOKENS), [*said, *own])
    image = ImageArrays(LITE2, starting.backbone(), None, 1.0, None)
    model = ModelArrays("", image, text, tokenizer, starting.MOST_TOKENS)
    vectors = sentence_vectors(said, model, lambda *_: None).reshape(
        len(names), -1, text_width(model)
    )
    table = _unit(vectors).mean(axis=1)
    table = _unit(table) - _unit(table).mean(axis=0)
    return replace(
        model, image=replace(image, class_table=np.asarray(TABLE_SCALE * table, np.float32))
    ), False


def text_width(model: ModelArrays) -> int:
    """Columns of a sentence vector."""
    return int(model.text.bert["embeddings.word_embeddings.weight"].shape[1])


def _with_fresh_heads(
    model: ModelArrays, train: Sequence[Seen], sentences: Floats, seed: int
) -> ModelArrays:
    rng = np.random.default_rng(seed)
    features = np.concatenate([one.features for one in train])
    some = features[rng.choice(len(features), min(MOST_SAMPLES, len(features)), replace=False)]
    images = ImageInputs(model)(some).seen.numpy()
    image_head, text_head = (
        fresh(images, HIDDEN, DIM, seed),
        fresh(sentences, HIDDEN, DIM, seed + 1),
    )
    return replace(
        model, image=replace(model.image, head=image_head), text=replace(model.text, head=text_head)
    )


def _heads(model: ModelArrays) -> tuple[LearningHead, LearningHead]:
    assert model.image.head is not None and model.text.head is not None
    return (
        LearningHead(model.image.head, IMAGE_DROPOUT_IN, DROPOUT),
        LearningHead(model.text.head, TEXT_DROPOUT_IN, DROPOUT),
    )


def _learn(
    model: ModelArrays,
    sets: Sequence[LearningSet],
    words: Teacher,
    anchor: Anchor | None,
    steps: int,
    rate: float,
    seed: int,
    block: LastBlock | None,
    on_progress: OnProgress,
) -> ModelArrays:
    """:param block: None: it stays as it is; else it learns, too, and is changed."""
    image_head, text_head = _heads(model)
    rng, share = np.random.default_rng(seed), 1.0 if block is None else FINE_TUNE_SHARE
    objective = Objective(image_head, text_head, sets, words, rng, anchor, share)
    modules = [objective] if block is None else [objective, block]
    optimiser = torch.optim.AdamW(_groups(modules), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step, steps))
    inputs = ImageInputs(model)
    for step in range(steps):
        chosen = [(index, objective.positions(index)) for index in objective.chosen()]
        batches = [
            (index, some, _inputs(sets[index], some, inputs, block)) for index, some in chosen
        ]
        optimiser.zero_grad()
        loss: Tensor = objective(batches)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        on_progress("learning" if block is None else "fine-tuning", step + 1, steps)
    backbone = model.image.backbone | ({} if block is None else block.arrays())
    return replace(
        model,
        image=replace(model.image, backbone=backbone, head=image_head.head()),
        text=replace(model.text, head=text_head.head()),
    )


def _inputs(
    one: LearningSet, positions: NDArray[np.int64], inputs: ImageInputs, block: LastBlock | None
) -> Inputs:
    before = inputs(one.inputs[positions])
    if block is None:
        return before
    assert one.maps is not None
    return replace(before, seen=inputs.of(block(as_input(one.maps[positions]))).seen)


def _pooled(block: LastBlock, images: Seen) -> Halves:
    assert images.maps is not None
    return block.features(images.maps)


def _groups(modules: Sequence[nn.Module]) -> list[dict[str, object]]:
    """Matrices and kernels decay, the rest does not."""
    learning: list[nn.Parameter] = [one for module in modules for one in module.parameters()]
    return [
        {"params": [one for one in learning if one.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [one for one in learning if one.ndim <= 1], "weight_decay": 0.0},
    ]


def _pace(step: int, steps: int) -> float:
    """The share of the rate: up over the first steps, then down to 0 along a cosine."""
    warm_up = min(WARM_UP_STEPS, max(1, steps // 10))
    return min(1.0, (step + 1) / warm_up) * 0.5 * (1 + float(np.cos(np.pi * step / steps)))


def _measures(
    model: ModelArrays, validate: Sequence[Seen], on_progress: OnProgress
) -> dict[str, float]:
    """Of the sets that have images kept for validation."""
    heads = [head.eval() for head in _heads(model)]
    inputs, measures = ImageInputs(model), {}
    for one in validate:
        if len(one.examples) < MIN_EXAMPLES:
            continue
        labelled = one.set.kind == "labelled"
        said = (
            [text for name in one.set.classes for text in wordings(name)[:2]]
            if labelled
            else [text for example in one.examples for text in example.texts]
        )
        with torch.no_grad():
            images = heads[0](inputs(one.features).seen).numpy()
            texts = heads[1](torch.tensor(sentence_vectors(said, model, on_progress))).numpy()
        if labelled:
            labels = np.array([example.label for example in one.examples])
            per_class = texts.reshape(len(one.set.classes), -1, DIM)
            measures[f"{one.set.name} top-1"] = top_1(images, labels, per_class)
        else:
            owners = np.repeat(
                np.arange(len(images)), [len(example.texts) for example in one.examples]
            )
            measures[f"{one.set.name} R@10 of {len(images)}"] = recall_at_k(
                texts, images, owners, 10
            )
    return measures


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _write(
    out: Path,
    model: ModelArrays,
    train: Sequence[Seen],
    report: FitReport,
    *,
    base: str,
    seed: int,
    steps: int,
    fine_tune: int,
) -> None:
    sets = [CardSet.read(one.set.folder, len(one.examples)) for one in train]
    data = " ".join(shlex.quote(one.set.name) for one in train)
    options = f"--base {base} --seed {seed} --steps {steps}" + (
        f" --fine-tune {fine_tune}" if fine_tune else ""
    )
    tuned = ", its last block trained on," if fine_tune else ""
    facts = CardFacts(
        name=model.name,
        made=date.today(),
        size_bytes=_size(model),
        image_tower=f"EfficientNet-Lite2{tuned} and a head from its 1,280 features and its class names to {DIM}",
        text_tower="all-MiniLM-L6-v2 of English words, its wide layers in 4 bits, and a head from its sentence vectors "
        f"to {DIM}",
        side_px=model.image.variant.side_px,
        sets=sets,
        splits="The train split of each was learnt from, the validate split measured above, the test split not read.",
        seed=seed,
        steps=steps,
        measured=_table(report.measures),
        rebuild=f"lakesift train {data} {options} --out {shlex.quote(out.name)}",
    )
    documents = {"MODEL_CARD.md": card(facts), "LICENSE": licence(sets), "NOTICE": NOTICE}
    write_model_folder(out, model, documents, in_4_bits=True)


def _size(model: ModelArrays) -> int:
    """Bytes of the files that run."""
    towers = image_graph(model.image), text_graph(model.text, in_4_bits=True)
    return sum(map(len, towers)) + len(model.tokenizer)


def _table(measures: Mapping[str, float]) -> str:
    """Markdown: what was measured while training, on the validate splits."""
    lines = [f"| {name} | {value:.3f} |" for name, value in measures.items()]
    return "\n".join(["| on images kept for validation | |", "|---|---|", *lines]) if lines else ""
