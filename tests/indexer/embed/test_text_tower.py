"""The short text tower against open_clip's own encode_text,
on open_clip's architectures with random weights.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.embed.models import load_embedder
from tests.indexer.embed.conftest import TINY

pytestmark = pytest.mark.slow
torch = pytest.importorskip("torch")
open_clip = pytest.importorskip("open_clip")

SMALL: dict[str, Any] = {"vocab_size": 600, "width": 32, "heads": 2, "layers": 2}
START, EOT = 598, 599  # the largest ids, as in CLIP's own vocabulary


def small_model(text: dict[str, Any], **parts: Any) -> Any:
    """A model with a tiny image tower and this text tower, seed 3."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = open_clip.CustomTextCLIP(
            embed_dim=32, vision_cfg=TINY["vision_cfg"], text_cfg=text, **parts
        )
    return model.eval()


def text_settings(architecture: str) -> dict[str, Any]:
    """That architecture's own, but for its size and its tokenizer."""
    text = open_clip.get_model_config(architecture)["text_cfg"]
    return {**text, "hf_tokenizer_name": None, **SMALL}


def token_rows(lengths: list[int], context_length: int, eot: int = EOT, pad: int = 0) -> Any:
    """A row a text: start, words, end, padding; as many tokens as asked for before the padding."""
    words = np.random.default_rng(0).integers(3, 500, (len(lengths), context_length))
    for row, length in zip(words, lengths, strict=True):
        row[0], row[length - 1], row[length:] = START, eot, pad
    return torch.from_numpy(words)


def unit(vectors: Any) -> Any:
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


def shortened(model: Any, tokens: Any) -> Any:
    from indexer.embed.text_tower import shorten

    with torch.inference_mode():
        return shorten(model, tokens)


# Exactly open_clip's vectors


@pytest.fixture(scope="module")
def vit_b_32() -> Any:
    return load_embedder("open_clip:ViT-B-32/random", precision="fp32", device="cpu")


def test_vit_b_32_gives_open_clips_vectors_for_texts_of_any_length(vit_b_32: Any) -> None:
    from indexer.embed.text_tower import ShortTower

    before = dict(vit_b_32.fingerprint)
    words = [0, 1, 2, 5, 6, 7, 13, 30, 68, 74, 75, 76, 200]  # and two more tokens each, up to 77
    texts = ["dog " * count for count in words] + [" ", "!", "\N{DOG FACE}"]
    tokens = open_clip.get_tokenizer("ViT-B-32")(texts)
    assert (tokens.argmax(dim=1) + 1).tolist() == [
        2,
        3,
        4,
        7,
        8,
        9,
        15,
        32,
        70,
        76,
        77,
        77,
        77,
        2,
        3,
        3,
    ]
    with torch.inference_mode():
        expected = vit_b_32._model.encode_text(tokens, normalize=True).numpy()

    together = vit_b_32.embed_texts(texts)
    eight = vit_b_32.embed_texts(texts[:8])
    alone = np.concatenate([vit_b_32.embed_texts([text]) for text in texts])

    assert isinstance(vit_b_32._text_tower, ShortTower)
    np.testing.assert_allclose(together, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(eight, alone[:8], rtol=0, atol=1e-5)
    assert (1 - np.sum(alone.astype(np.float64) * expected, axis=1)).max() < 1e-5
    # unlike texts have unlike vectors, also at random
    assert np.abs(expected[0] - expected[7]).max() > 1e-3
    assert vit_b_32.fingerprint == before


@pytest.mark.parametrize(
    ("settings", "eot"),
    [
        (text_settings("ViT-B-16"), EOT),
        ({**text_settings("ViT-B-16"), "ls_init_value": 0.1, "proj_bias": True}, EOT),
        ({**text_settings("ViT-B-16"), "proj_type": "none"}, EOT),
        (text_settings("ViT-H-14-worldwide"), 2),  # whose vector is that of the token with id 2
    ],
    ids=["clip", "scaled-and-biased", "unprojected", "worldwide"],
)
def test_every_length_alone_and_together(settings: dict[str, Any], eot: int) -> None:
    from indexer.embed.text_tower import ShortTower

    model = small_model(settings)
    tokens = token_rows(list(range(2, 78)), 77, eot)
    tower = shortened(model, tokens[[3, 15]])
    assert isinstance(tower, ShortTower)
    with torch.inference_mode():
        expected = unit(model.encode_text(tokens))
        np.testing.assert_allclose(unit(tower(tokens)), expected, rtol=0, atol=1e-5)
        alone = np.concatenate([unit(tower(row[None])) for row in tokens])
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-5)


def test_a_text_without_an_end_is_pooled_as_open_clip_does(tiny_model: Any) -> None:
    """argmax: the first of the largest ids; eos: the first token where there is no eos."""
    model = small_model(text_settings("ViT-H-14-worldwide"))
    tokens = token_rows([4, 9, 77], 77, eot=7)
    tower = shortened(model, token_rows([4, 9], 77, eot=2))
    assert 2 not in tokens
    with torch.inference_mode():
        np.testing.assert_allclose(
            unit(tower(tokens)), unit(model.encode_text(tokens)), rtol=0, atol=1e-5
        )
        tower = shortened(tiny_model, token_rows([4, 9], 77))
        expected = unit(tiny_model.encode_text(tokens))
        np.testing.assert_allclose(unit(tower(tokens)), expected, rtol=0, atol=1e-5)


# Towers that need all their tokens


@pytest.mark.parametrize(
    "architecture",
    [
        "ViT-B-16-SigLIP",  # sees all tokens, and takes the last one's vector
        "ViT-L-14-CLIPA",  # takes the last one's
        "MobileCLIP2-S0",  # sees all tokens
        "coca_ViT-B-32",  # a class token after the padding
    ],
)
def test_other_towers_keep_their_full_length(architecture: str) -> None:
    settings = text_settings(architecture)
    model = small_model({**settings, "output_tokens": False})
    tokens = token_rows([5, 17], settings["context_length"])
    assert shortened(model, tokens) == model.encode_text


def test_a_hugging_face_tower_keeps_its_full_length(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 600, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.BertConfig(**sizes, intermediate_size=64).save_pretrained(tmp_path)
    settings = {
        "hf_model_name": str(tmp_path),
        "hf_model_pretrained": False,
        "hf_pooler_type": "mean_pooler",
    }
    model = small_model(settings)
    assert shortened(model, token_rows([5, 17], 77)) == model.encode_text


def test_a_tower_that_turns_out_to_compute_something_else_is_not_shortened(
    tiny_architecture: str,
) -> None:
    class CLIP(open_clip.CLIP):  # type: ignore[misc, name-defined]
        """As another version of open_clip might be:
        with all the same parts, and a little more made of them.
        """

        def encode_text(self, text: Any, normalize: bool = False) -> Any:
            vectors = super().encode_text(text, normalize)
            return vectors + 0.001 * vectors.flip(-1)

    model = CLIP(**TINY).eval()
    assert shortened(model, token_rows([5, 17], 77)) == model.encode_text


def test_a_mask_that_is_not_quite_causal_is_not_shortened(tiny_architecture: str) -> None:
    model = open_clip.CLIP(**TINY).eval()
    model.attn_mask[10, 11] = 0
    assert shortened(model, token_rows([5, 17], 77)) == model.encode_text


# Threads


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere torch has another OpenMP, which reports otherwise"
)
@pytest.mark.parametrize(("asked", "spins"), [({}, "0"), ({"GOMP_SPINCOUNT": "77"}, "77")])
def test_torchs_threads_sleep_while_they_wait_unless_asked_to_spin(
    asked: dict[str, str], spins: str
) -> None:
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))
    }
    code = "from indexer.embed.models import load_embedder as load; load('ViT-B-32@/no/such/file')"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "OMP_DISPLAY_ENV": "verbose", **asked},
        capture_output=True,
        text=True,
    )
    assert "/no/such/file is not a file on this disk" in run.stderr
    assert set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", run.stderr)) == {spins}
