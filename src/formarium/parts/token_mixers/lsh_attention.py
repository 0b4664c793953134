"""Attention by locality-sensitive hashing, as in Reformer (Kitaev, Kaiser and Levskaya 2020, arXiv 2001.04451)."""

import math
from dataclasses import dataclass
from typing import Never

import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.dropout import dropout
from formarium.parts.part import Position
from formarium.parts.token_mixers.multi_head import MultiHead

_SELF = -5e4  # a token attends to itself only where it sees nothing else
_HIDDEN = -1e9


class LSHAttention(MultiHead):
    """Each token attends to those that hash alike: (B, T, D) to (B, T, D), T log T in time.

    Keys are the queries at unit length. In each of ``hashes`` rounds tokens are sorted by the bucket that a random
    rotation puts them in and cut into chunks of ``bucket`` tokens; a token sees its own chunk and the one before.
    Rounds are weighted by their softmax denominators. Rotations are drawn anew in each training step; evaluation uses
    those that the layer was made with. Raises ConfigError when causal: where chunks begin depends on later tokens.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        bucket: int = 4
        hashes: int = 4
        bias: bool = False
        output_bias: bool | None = None
        dropout: float = 0.0

    rotations: Tensor

    def __init__(
        self,
        width: int,
        heads: int,
        head_width: int | None = None,
        position: Position | None = None,
        causal: bool = False,
        config: Config | None = None,
    ) -> None:
        config = config or self.Config()
        if causal:
            raise ConfigError(
                "LSH attention sorts all tokens of a sequence into chunks, so what a token sees depends on later ones; "
                "it has no exact causal form, use Attention in a causal model"
            )
        if min(config.bucket, config.hashes) < 1:
            raise ConfigError("the bucket size and the number of hashes of LSH attention are at least 1")
        super().__init__(width, heads, None, head_width, position, causal, config.bias, config.output_bias, shared=True)
        self.config = config
        self.register_buffer("rotations", torch.randn(config.hashes, 2, self.head_width, self.head_width))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        q, _, v, _ = self._project(x, context, None)
        length, size = context.length, self.config.bucket
        padding = -length % (2 * size)
        total = length + padding
        order = self._order(q, total, context.mask)  # (B, H, R, total)
        back = order.argsort(dim=-1)[..., :length]
        places = order.unflatten(-1, (-1, size))  # (B, H, R, chunks, size)
        queries = _taken(F.pad(q, (0, 0, 0, padding)), order).unflatten(3, (-1, size))
        keys = _with_previous(F.normalize(queries, dim=-1))
        values = _with_previous(_taken(F.pad(v, (0, 0, 0, padding)), order).unflatten(3, (-1, size)))
        key_places = _with_previous(places[..., None])[..., 0]
        dtype = torch.promote_types(q.dtype, torch.float32)
        scores = (queries @ keys.transpose(-1, -2)).to(dtype) / math.sqrt(self.head_width)
        scores = scores.masked_fill(places[..., :, None] == key_places[..., None, :], _SELF)
        scores = scores.masked_fill(self._hidden(context, padding, places, key_places), _HIDDEN)
        sums = scores.logsumexp(dim=-1, keepdim=True)
        weights = dropout(torch.exp(scores - sums).to(v.dtype), self.config.dropout, self.training)
        mixed = (weights @ values).flatten(3, 4)
        sums = sums.flatten(3, 4).gather(3, back[..., None])
        mixed = mixed.gather(3, back[..., None].expand(-1, -1, -1, -1, self.head_width))
        return self._merge((mixed * sums.softmax(dim=2).to(mixed.dtype)).sum(dim=2))

    def step(self, x: Tensor, context: Context, state: LayerState) -> Never:
        raise ConfigError("LSH attention has no exact causal form and does not decode step by step")

    def _order(self, vectors: Tensor, total: int, mask: Tensor | None) -> Tensor:
        """Places in order of bucket, then place, for each round; padding last: (B, H, R, total)."""
        rotations = torch.randn_like(self.rotations) if self.training else self.rotations
        rotations = rotations.to(vectors.dtype)
        buckets, most = total // self.config.bucket, 2 * self.head_width
        if buckets <= most:
            bucket = _hashed(vectors, rotations[:, 0, :, : buckets // 2])
        else:  # more buckets than one rotation has directions: the product of two hashes
            first = min(most, _even(math.sqrt(buckets)))
            second = min(most, _even(buckets / first))
            bucket = _hashed(vectors, rotations[:, 0, :, : first // 2]) * second
            bucket = bucket + _hashed(vectors, rotations[:, 1, :, : second // 2])
        if mask is not None:
            bucket = bucket.masked_fill(~mask[:, None, None], most**2)
        bucket = F.pad(bucket, (0, total - vectors.shape[2]), value=most**2)
        return bucket.argsort(dim=-1, stable=True)

    @staticmethod
    def _hidden(context: Context, padding: int, places: Tensor, key_places: Tensor) -> Tensor:
        """True where a key is padding or of another document than the query: (B, H, R, chunks, size, 2 size)."""
        hidden = (key_places >= context.length)[..., None, :]
        batch, shape = places.shape[0], places.shape
        if context.mask is not None:
            real = F.pad(context.mask, (0, padding))
            hidden = hidden | ~real.gather(1, key_places.reshape(batch, -1)).reshape(key_places.shape)[..., None, :]
        if context.segments is not None:
            segments = F.pad(context.segments, (0, padding), value=-1)
            own = segments.gather(1, places.reshape(batch, -1)).reshape(shape)
            others = segments.gather(1, key_places.reshape(batch, -1)).reshape(key_places.shape)
            hidden = hidden | (own[..., :, None] != others[..., None, :])
        return hidden


def _hashed(vectors: Tensor, rotations: Tensor) -> Tensor:
    """The nearest of the directions +R and -R in each round: (B, H, T, K), (R, K, E) to (B, H, R, T)."""
    turned = vectors[:, :, None] @ rotations
    return torch.cat((turned, -turned), dim=-1).argmax(dim=-1)


def _taken(x: Tensor, order: Tensor) -> Tensor:
    """(B, H, T, K) in the order of each round: (B, H, R, T, K)."""
    rounds, width = order.shape[2], x.shape[-1]
    repeated = x[:, :, None].expand(-1, -1, rounds, -1, -1)
    return repeated.gather(3, order[..., None].expand(-1, -1, -1, -1, width))


def _with_previous(chunks: Tensor) -> Tensor:
    """Each chunk behind the one before it, the first behind the last: (..., C, M, K) to (..., C, 2 M, K)."""
    return torch.cat((chunks.roll(1, dims=3), chunks), dim=4)


def _even(number: float) -> int:
    return 2 * math.ceil(number / 2)
