"""A smaller table of words: those that no English text needs leave it,
which is a seventh of the text tower.
"""

from __future__ import annotations

import json
from dataclasses import replace

from training.arrays import TextArrays

TABLE = "embeddings.word_embeddings.weight"


def without_other_scripts(text: TextArrays, tokenizer: bytes) -> tuple[TextArrays, bytes]:
    """The tower and its tokenizer.json without the reserved words
    and those of other scripts than Latin.

    Texts of ASCII are read as before, but for reserved words; letters of other scripts become the
    unknown word.

    :param tokenizer: a WordPiece tokenizer.json whose numbers are rows of the table.
    """
    described = json.loads(tokenizer)
    special = {token["content"] for token in described["added_tokens"]}
    vocabulary: dict[str, int] = described["model"]["vocab"]
    kept = [
        word
        for word in sorted(vocabulary, key=vocabulary.__getitem__)
        if word in special or _is_latin(word)
    ]
    rows = [vocabulary[word] for word in kept]
    numbers = {word: number for number, word in enumerate(kept)}
    described["model"]["vocab"] = numbers
    for token in described["added_tokens"]:
        token["id"] = numbers[token["content"]]
    for name, token in described["post_processor"].get("special_tokens", {}).items():
        token["ids"] = [numbers[name]]
    if described.get("padding"):
        described["padding"]["pad_id"] = numbers[described["padding"]["pad_token"]]
    bert = text.bert | {TABLE: text.bert[TABLE][rows]}
    return replace(text, bert=bert), json.dumps(described, ensure_ascii=False).encode()


def _is_latin(word: str) -> bool:
    return word.isascii() and not word.startswith("[unused")
