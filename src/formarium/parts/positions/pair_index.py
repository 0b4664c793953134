"""Which row of a table a query and a key read: one for each offset, a bucket of offsets, or one given with the pair.

Each index is plain data; it serves a bias of the scores (``RelativeBias``) and a factor behind the softmax
(``RelativeFactor``) alike. The offset of a pair is the position of the key minus that of the query.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.errors import FormariumError


@dataclass(frozen=True)
class PairIndex(BaseConfig):
    """The base of all indices; ``max_length`` is the model's, if it has one, ``causal`` says that no key lies ahead."""

    def rows(self, max_length: int | None, causal: bool) -> int:
        """How many rows a table needs; ConfigError for settings that make no index."""
        raise NotImplementedError

    def of(self, context: Context, max_length: int | None, causal: bool) -> Tensor:
        """The row of each pair: (B or 1, T, S) integers."""
        keys = context.positions if context.key_positions is None else context.key_positions
        return self.of_offsets(keys[:, None, :] - context.positions[:, :, None], max_length, causal)

    def of_offsets(self, offsets: Tensor, max_length: int | None, causal: bool) -> Tensor:
        """The row of each offset, any shape."""
        raise NotImplementedError


@dataclass(frozen=True)
class EachOffset(PairIndex):
    """A row for each offset from -(L - 1) to L - 1, from 1 - L to 0 if causal; offsets beyond take the last row.

    length: L, the model's maximal length where None.
    """

    length: int | None = None

    def rows(self, max_length: int | None, causal: bool) -> int:
        length = self._length(max_length)
        return length if causal else 2 * length - 1

    def of_offsets(self, offsets: Tensor, max_length: int | None, causal: bool) -> Tensor:
        last = self._length(max_length) - 1
        return offsets.clamp(-last, 0 if causal else last) + last

    def _length(self, max_length: int | None) -> int:
        return _length(self.length, max_length, "EachOffset")


@dataclass(frozen=True)
class T5Buckets(PairIndex):
    """The buckets of T5 (Raffel et al. 2020, arXiv 1910.10683).

    Half of the buckets are exact distances, the rest grow logarithmically up to ``max_distance``; without ``causal``
    one half of them is for keys ahead.
    """

    buckets: int = 32
    max_distance: int = 128

    def rows(self, max_length: int | None, causal: bool) -> int:
        exact = self.buckets // (2 if causal else 4)
        if exact < 1 or self.max_distance <= exact:
            raise ConfigError(
                f"{self.buckets} buckets up to a distance of {self.max_distance} leave none that grow; "
                "take more buckets or a larger max_distance"
            )
        return self.buckets

    def of_offsets(self, offsets: Tensor, max_length: int | None, causal: bool) -> Tensor:
        return t5_bucket(offsets, self.buckets, self.max_distance, causal)


def t5_bucket(offset: Tensor, buckets: int, max_distance: int, causal: bool) -> Tensor:
    """The bucket 0..buckets-1 of each offset (key position minus query position), any shape."""
    base = torch.zeros_like(offset)
    if causal:
        distance = (-offset).clamp(min=0)
    else:
        buckets //= 2
        base = (offset > 0).to(offset.dtype) * buckets
        distance = offset.abs()
    exact = buckets // 2
    scale = (buckets - exact) / math.log(max_distance / exact)
    far = exact + (torch.log(distance.clamp(min=1).float() / exact) * scale).to(offset.dtype)
    return base + torch.where(distance < exact, distance, far.clamp(max=buckets - 1))


@dataclass(frozen=True)
class SignedBuckets(PairIndex):
    """The buckets of the published URPE code (arXiv 2205.13401): the two signs mirror each other around a gap of one.

    With n = ``buckets`` // 2 a side, distances below n // 2 are exact and the rest grow logarithmically up to
    ``max_distance``. Zero has a bucket of its own, and one row between the signs is never read. length: the longest
    distance plus one, beyond which offsets count as that; the model's maximal length where None.
    """

    buckets: int = 64
    max_distance: int = 128
    length: int | None = None

    def rows(self, max_length: int | None, causal: bool) -> int:
        exact = self.buckets // 2 // 2
        if exact < 1 or self.max_distance <= exact:
            raise ConfigError(
                f"{self.buckets} buckets up to a distance of {self.max_distance} leave none that grow; "
                "take at least 4 buckets or a larger max_distance"
            )
        _length(self.length, max_length, "SignedBuckets")
        return self.buckets + 1

    def of_offsets(self, offsets: Tensor, max_length: int | None, causal: bool) -> Tensor:
        last = _length(self.length, max_length, "SignedBuckets") - 1
        offsets = offsets.clamp(-last, last)
        signed = offsets.sign() * self._side(offsets.abs())
        # The lowest bucket is the row 0: that of the longest distance behind, or zero's own where there is no other.
        lowest = -self._side(torch.full_like(offsets[..., :1], last)) if last else 2
        return signed + torch.where(offsets >= 0, 2, 0) - lowest

    def _side(self, distance: Tensor) -> Tensor:
        side = self.buckets // 2
        exact = side // 2
        # The quotient of the logarithms in float32, as published: distances on a boundary would else change sides.
        share = torch.log(distance.clamp(min=1).float() / exact) / math.log(self.max_distance / exact)
        far = exact + (share * (side - exact)).to(distance.dtype)
        return torch.where(distance < exact, distance, far.clamp(max=side - 1))


@dataclass(frozen=True)
class GivenIndex(PairIndex):
    """The row is a feature of the pair that the tokens come with, as the length of the shortest path in a graph.

    count: rows of the table. feature: which column of ``context.pairs`` (B, T, S, E) holds the integer.
    """

    count: int = 1
    feature: int = 0

    def rows(self, max_length: int | None, causal: bool) -> int:
        if self.count < 1 or self.feature < 0:
            raise ConfigError("GivenIndex needs a count of at least one row and a feature column from 0")
        return self.count

    def of(self, context: Context, max_length: int | None, causal: bool) -> Tensor:
        if context.pairs is None or context.pairs.shape[-1] <= self.feature:
            raise FormariumError(
                f"GivenIndex reads feature {self.feature} of each pair, which the context of these tokens does not have"
            )
        return context.pairs[..., self.feature].long()


def _length(own: int | None, max_length: int | None, what: str) -> int:
    length = own if own is not None else max_length
    if length is None or length < 1:
        given = "neither its settings nor the model give" if length is None else f"is at least 1, not {length}"
        raise ConfigError(f"{what} needs a length, which {given}")
    return length
