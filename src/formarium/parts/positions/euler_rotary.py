"""Rotary embedding of queries and keys in polar form, with a slope and an offset of the phase learned for each head.

Complex multi-head attention (Shao et al. 2025, ComplexFormer, arXiv 2505.10222, withdrawn by its first author). The
score of query m and key n is sum_i |q_i| |k_i| cos(delta_i (phi(q_i) - phi(k_i)) + b_i + (m - n) omega_i), where pair i
of channels is read as a complex number of modulus |.| and phase phi. The argument is a difference of a number of the
query and a number of the key, so the sum is the dot product of queries and keys transformed one by one: any attention
kernel computes it, and transformed keys can be kept. The paper's text was not available; the equation is that of its
abstract and of the author's code, where delta_i starts at random and scores are not divided by sqrt(K).
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from formarium.config import ConfigError
from formarium.context import Context, LayerState
from formarium.parts.positions.rotary import RoPE, join_pairs, split_pairs


class EulerRoPE(RoPE):
    """Turns pair i = |q| exp(j phi) of a query at position m to |q| exp(j (delta phi + b + m omega_i)); keys without b.

    start: ``rope`` (delta = 1 and b = 0: RoPE at step 0) or ``random`` (delta normal with the standard deviation
    1/sqrt(K/2), b = 0: the paper's code). slope: a number fixes delta there (1 leaves RoPE with an offset, 0 leaves
    magnitudes and distance); learned where None. offset: whether b is learned, or absent. tied: one slope and one
    offset for all heads of the layer. scale: what scores are multiplied by, under an attention that has no scale of its
    own; 1/sqrt(K) where None, 1 in the paper's code. eps: added to the squared modulus. The gradient of a phase
    at zero, where there is none, is taken to be 0.
    phase: ``principal`` is the paper's, with phi in (-pi, pi]: for a delta that is no integer the score jumps where a
    channel pair crosses the negative real axis. (With the difference of the phases wrapped instead, scores would be no
    dot products.) ``smooth``, our addition, has phi + (delta - 1) sin phi in place of delta phi: the same slope at
    phi = 0, RoPE at delta = 1, and no jump for any delta.
    With grouped queries delta belongs to the heads of keys and b to those of queries. At least float32 inside.
    """

    @dataclass(frozen=True)
    class Config(RoPE.Config):
        start: Literal["rope", "random"] = "rope"
        slope: float | None = None
        offset: bool = True
        tied: bool = False
        phase: Literal["principal", "smooth"] = "principal"
        scale: float | None = None
        eps: float = 1e-9

    shared = False
    decays: bool = False
    config: Config

    def __init__(self, head_width: int, heads: int, kv_heads: int | None = None, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(head_width, config)
        if config.eps < 0:
            raise ConfigError(f"eps of EulerRoPE is added to a squared modulus and cannot be {config.eps:g}")
        kv_heads = kv_heads or heads
        pairs = self.rotated // 2
        self.share = heads // kv_heads
        self.gain = 1.0 if config.scale is None else config.scale * head_width**0.5
        slope = torch.ones(1 if config.tied else kv_heads, pairs)
        if config.start == "random":
            nn.init.normal_(slope, std=pairs**-0.5)
        self.slope = nn.Parameter(slope) if config.slope is None else None
        self.offset = nn.Parameter(torch.zeros(1 if config.tied else heads, pairs)) if config.offset else None

    def prepare(
        self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None
    ) -> tuple[Tensor, ...]:
        """cos and sin for keys (B or 1, 1, T, K/2), and those for queries (B or 1, 1 or H, T, K/2)."""
        dtype = torch.float32 if context.embeddings is None else context.embeddings.dtype
        cos, sin = query_cos, query_sin = self._tables(context, torch.promote_types(dtype, torch.float32))
        if self.offset is not None:
            along, across = self.offset[:, None].cos(), self.offset[:, None].sin()
            query_cos, query_sin = cos * along - sin * across, sin * along + cos * across
        if self.gain != 1.0:
            query_cos, query_sin = query_cos * self.gain, query_sin * self.gain
        return cos, sin, query_cos, query_sin

    def turn(self, queries: Tensor, keys: Tensor, prepared: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        cos, sin, query_cos, query_sin = prepared
        slope: Tensor | float = 1.0 if self.config.slope is None else self.config.slope
        query_slope = slope
        if self.slope is not None:
            slope = query_slope = self.slope[:, None]
            if self.share > 1 and not self.config.tied:
                query_slope = slope.repeat_interleave(self.share, dim=0)
        queries = self._turned(queries, query_slope, query_cos, query_sin, self.gain)
        return queries, self._turned(keys, slope, cos, sin)

    def _turned(self, x: Tensor, slope: Tensor | float, cos: Tensor, sin: Tensor, gain: float = 1.0) -> Tensor:
        """(..., H, T, K), the phase of each pair sloped, then turned by the tables; ``gain`` on channels that pass."""
        layout = self.config.layout
        a, b, rest = split_pairs(x.to(torch.promote_types(x.dtype, cos.dtype)), self.rotated, layout)
        if isinstance(slope, Tensor) or slope != 1.0:
            a, b = self._sloped(a, b, slope)
        rest = None if rest is None else rest * gain
        return join_pairs(a * cos - b * sin, a * sin + b * cos, rest, layout).to(x.dtype)

    def _sloped(self, a: Tensor, b: Tensor, slope: Tensor | float) -> tuple[Tensor, Tensor]:
        square = a * a + b * b
        modulus = (square + self.config.eps).sqrt()
        if self.config.phase == "principal":
            phase = slope * _Phase.apply(a, b, square)
            return modulus * phase.cos(), modulus * phase.sin()
        phase = (slope - 1) * (b / modulus)
        cos, sin = phase.cos(), phase.sin()
        return a * cos - b * sin, a * sin + b * cos


class _Phase(torch.autograd.Function):
    """atan2(b, a), given a^2 + b^2, with a gradient of 0 at zero, where some versions of torch divide by zero."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, square: Tensor) -> Tensor:
        ctx.save_for_backward(a, b, square)
        return torch.atan2(b, a)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        a, b, square = ctx.saved_tensors
        # Far enough from the end of the format that the quotient stays finite, to be multiplied by 0.
        gradient = gradients[0] / square.clamp(min=torch.finfo(square.dtype).tiny * 1e8)
        return -gradient * b, gradient * a, None
