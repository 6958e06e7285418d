"""The same vector from an image tower with less work:
what open_clip's vision transformer computes and then drops.

Where the vector is the class token's, the last block needs queries and an MLP for that one token
only: a twelfth of the work, nearly. Measured on ViT-B-32, 2 cores: 7% faster in torch, 8% on ONNX
Runtime.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

LEAST_COSINE = 0.9999  # bf16 rounds its way to about 0.99997


class LeanTower(nn.Module):
    """Shares the weights of the tower it is made from; computes the same function, see `lean`."""

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, height, width) -> (n, dim)."""
        tokens = self.visual._embeds(pixels)  # (n, tokens, width)
        *blocks, last = self.visual.transformer.resblocks
        for block in blocks:
            tokens = _run_block(block, tokens, tokens)
        first = _run_block(last, tokens[:, :1], tokens)[:, 0]  # (n, width)
        vectors: torch.Tensor = self.visual.ln_post(first) @ self.visual.proj
        return vectors


def lean(visual: Any) -> nn.Module:
    """A tower that computes the same with less work;
    the tower itself where it is not of the kind we know.

    Checked on random images, so that another version of open_clip makes us slower and not wrong.

    :param visual: open_clip's image tower, in evaluation mode.
    """
    if not _ends_in_class_token(visual):
        return visual  # type: ignore[no-any-return]
    tower = LeanTower(visual).eval()
    weight = visual.conv1.weight
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(2, 3, *visual.image_size, generator=generator).to(weight)
    with torch.inference_mode():
        cosines = F.cosine_similarity(visual(pixels).float(), tower(pixels).float())
    return tower if bool(torch.all(cosines >= LEAST_COSINE)) else visual


def _ends_in_class_token(visual: Any) -> bool:
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", ())
    return (
        type(visual).__name__ == "VisionTransformer"
        and hasattr(visual, "_embeds")
        and visual.pool_type == "tok"
        and visual.attn_pool is None
        and visual.proj is not None
        and not visual.output_tokens
        and len(blocks) > 0
        and all(type(block).__name__ == "ResidualAttentionBlock" for block in blocks)
    )


def _run_block(block: Any, queries: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """One residual block for the first q tokens only, looking at all.

    (n, q, width), (n, tokens, width) -> (n, q, width).
    """
    keyed = block.ln_1(tokens)
    attended = _attend(block.attn, keyed[:, : queries.shape[1]], keyed)
    queries = queries + block.ls_1(attended)
    result: torch.Tensor = queries + block.ls_2(block.mlp(block.ln_2(queries)))
    return result


def _attend(
    attention: nn.MultiheadAttention, queries: torch.Tensor, keys: torch.Tensor
) -> torch.Tensor:
    """nn.MultiheadAttention's own arithmetic,
    without the copies it makes to pack and unpack heads.
    """
    width, weight, bias = attention.embed_dim, attention.in_proj_weight, attention.in_proj_bias
    if queries.shape[1] == keys.shape[1]:
        q, k, v = F.linear(keys, weight, bias).chunk(3, dim=-1)
    else:
        q = F.linear(queries, weight[:width], bias[:width])
        k, v = F.linear(keys, weight[width:], bias[width:]).chunk(2, dim=-1)
    q, k, v = (
        part.reshape(*part.shape[:2], attention.num_heads, -1).transpose(1, 2) for part in (q, k, v)
    )
    mixed = F.scaled_dot_product_attention(q, k, v)  # (n, heads, queries, width / heads)
    return F.linear(
        mixed.transpose(1, 2).flatten(2), attention.out_proj.weight, attention.out_proj.bias
    )
