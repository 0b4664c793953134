"""Rotary position embedding: queries and keys turned by angles in proportion to their positions.

Su et al. 2021, RoFormer, arXiv 2104.09864.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.linear import plain_training
from formarium.parts.part import Position
from formarium.parts.positions.rope_scaling import DynamicNTK, LongRoPE, Scaling

Layout = Literal["half", "interleaved"]


def rotate(x: Tensor, cos: Tensor, sin: Tensor, layout: Layout = "half") -> Tensor:
    """The pairs (a, b) of the last axis turned to (a cos - b sin, a sin + b cos): (..., K) to (..., K).

    cos, sin: broadcastable to (..., K'/2); with K' < K the first K' channels turn and the rest pass.
    layout: the pair of channel i is (i, i + K'/2) when ``half``, (2i, 2i + 1) when ``interleaved``.
    """
    if layout == "interleaved" and _as_complex(x, cos):
        # Neighbours are one complex number: a single pass over memory, where slices with a stride take many.
        return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.complex(cos, sin)).flatten(-2)
    if layout == "half" and x.shape[-1] == 2 * cos.shape[-1] and not cos.requires_grad and plain_training(x):
        turned: Tensor = _Turned.apply(x, cos, sin)
        return turned
    a, b, rest = split_pairs(x, 2 * cos.shape[-1], layout)
    return join_pairs(a * cos - b * sin, a * sin + b * cos, rest, layout)


def split_pairs(x: Tensor, width: int, layout: Layout) -> tuple[Tensor, Tensor, Tensor | None]:
    """First and second members of the pairs among the first ``width`` channels, and the other channels if any."""
    paired, rest = (x, None) if width == x.shape[-1] else (x[..., :width], x[..., width:])
    a, b = paired.chunk(2, dim=-1) if layout == "half" else (paired[..., 0::2], paired[..., 1::2])
    return a, b, rest


def join_pairs(a: Tensor, b: Tensor, rest: Tensor | None, layout: Layout) -> Tensor:
    """The channels that ``split_pairs`` took apart."""
    if layout == "half":
        return torch.cat((a, b) if rest is None else (a, b, rest), dim=-1)
    paired = torch.stack((a, b), dim=-1).flatten(-2)
    return paired if rest is None else torch.cat((paired, rest), dim=-1)


class _Turned(torch.autograd.Function):
    """Pairs in halves, turned by fixed angles, in half the passes over memory; the gradient turns back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated once more
            return rotate(gradient, cos, -sin), None, None
        return _turned(gradient, cos, -sin), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    (a, b), turned = x.chunk(2, dim=-1), torch.empty_like(x, memory_format=torch.contiguous_format)
    first, second = turned.chunk(2, dim=-1)
    torch.mul(a, cos, out=first).addcmul_(b, sin, value=-1)
    torch.mul(b, cos, out=second).addcmul_(a, sin)
    return turned


def _as_complex(x: Tensor, cos: Tensor) -> bool:
    """Whether all pairs of neighbours can be viewed as complex numbers; a compiler fuses the real form better."""
    if torch.compiler.is_compiling() or x.shape[-1] != 2 * cos.shape[-1] or x.dtype != cos.dtype:
        return False
    aligned = x.stride(-1) == 1 and not any(step % 2 for step in (*x.stride()[:-1], x.storage_offset()))
    return aligned and x.dtype in (torch.float32, torch.float64)


class RoPE(Position):
    """Turns channel pair i of queries and keys at position m by the angle m omega_i.

    ``fraction`` of the channels of a head take part; ``scaling`` changes the frequencies. Angles are taken in float64,
    never in half precision, where neighbouring positions fall together.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        base: float = 10000.0
        fraction: float = 1.0
        layout: Layout = "half"
        scaling: Scaling = Scaling()

    acts: ClassVar[frozenset[str]] = frozenset({"turn"})
    frequencies: Tensor

    def __init__(self, head_width: int, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        rotated = int(head_width * config.fraction)
        if rotated < 2 or rotated % 2:
            raise ConfigError(
                f"RoPE turns pairs of channels: {config.fraction:g} of a head of {head_width} channels is {rotated}"
            )
        self.config, self.rotated = config, rotated
        self.register_buffer("frequencies", config.scaling.frequencies(config.base, rotated), persistent=False)
        scaling = config.scaling
        self.follows_length = isinstance(scaling, DynamicNTK | LongRoPE) and scaling.length is None

    def _apply(self, fn: Any, recurse: bool = True) -> "RoPE":
        # The table stays in float64 whatever the precision of the model; it moves with the device only.
        super()._apply(fn, recurse)
        device = self.frequencies.device
        if self.frequencies.dtype != torch.float64 and device.type != "meta":
            exact = self.config.scaling.frequencies(self.config.base, self.rotated)
            self.frequencies = exact.to(device) if device.type != "mps" else exact.float().to(device)
        return self

    def prepare(
        self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None
    ) -> tuple[Tensor, ...]:
        """cos and sin of the angles, each (B or 1, 1, T, d/2), in the precision of the tokens."""
        return self._tables(context, torch.float32 if context.embeddings is None else context.embeddings.dtype)

    def _tables(self, context: Context, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        frequencies = self.frequencies
        if self.follows_length:
            longest = context.positions.max() + 1
            frequencies = self.config.scaling.frequencies(self.config.base, self.rotated, longest)
        angles = context.positions[:, None, :, None].to(frequencies.dtype) * frequencies
        factor = self.config.scaling.attention_factor
        return (angles.cos() * factor).to(dtype), (angles.sin() * factor).to(dtype)

    def turn(self, queries: Tensor, keys: Tensor, prepared: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        cos, sin = prepared
        layout = self.config.layout
        return rotate(queries, cos, sin, layout), rotate(keys, cos, sin, layout)
