"""Context-aware rotary embedding, CARoPE (Veisi, Fartoot and Amirzadeh 2025, arXiv 2507.23083).

The rotation of channel pair i at position m is a running sum over the prefix, phi_i(m) = sum_{t <= m} f(x_t)^i with
f(x) = 1 / (softplus(x W + c) + 1) in (0, 1) for each head. RoPE is f = base^(-2/K) for every token. No code was
published; what the paper leaves open is a setting here, and ``bias`` (which makes the promised start at RoPE possible)
is our addition.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.part import Position
from formarium.parts.positions.rotary import Layout, rotate


class CARoPE(Position):
    """Turns pair i of head h at position m by sum_{t <= m} f(x_t)_h^(i + first_exponent).

    source: what f reads, the token embedding behind the stem or the layer's normed input.
    start: ``rope`` (W = 0 and the bias that makes f = base^(-2/K): RoPE at step 0) or ``random`` (W normal, c = 0).
    content: without it W is absent, which leaves one trainable constant frequency a head: the control.
    bias: without it f follows the paper's formula to the letter, and no start is RoPE.
    With grouped queries there is one phase for each group of heads that share keys.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        base: float = 10000.0
        source: Literal["embedding", "hidden"] = "embedding"
        start: Literal["rope", "random"] = "rope"
        content: bool = True
        bias: bool = True
        first_exponent: int = 0
        layout: Layout = "half"

    acts: ClassVar[frozenset[str]] = frozenset({"turn"})
    causal_only: ClassVar[bool] = True
    shared = False

    def __init__(self, width: int, kv_heads: int, head_width: int, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        if head_width % 2:
            raise ConfigError(f"CARoPE turns pairs of channels: a head of {head_width} channels is odd")
        if not (config.content or config.bias):
            raise ConfigError("CARoPE without content and without bias has nothing to learn")
        if config.start == "rope" and not config.bias:
            raise ConfigError("CARoPE can start at RoPE only with its bias; use start='random' without it")
        self.weight = nn.Parameter(torch.zeros(width, kv_heads)) if config.content else None
        self.offset = nn.Parameter(torch.zeros(kv_heads)) if config.bias else None
        exponents = torch.arange(head_width // 2, dtype=torch.float32) + config.first_exponent
        self.register_buffer("exponents", exponents, persistent=False)
        self.exponents: Tensor
        if config.start == "rope" and self.offset is not None:
            nn.init.constant_(self.offset, rope_offset(config.base, head_width))
        elif self.weight is not None:
            nn.init.normal_(self.weight, std=0.02)

    def frequencies(self, source: Tensor) -> Tensor:
        """f of each token and head: (B, T, D) to (B, G, T), at least in float32."""
        x = source.to(torch.promote_types(source.dtype, torch.float32))
        batch, length, _ = x.shape
        logits = x.new_zeros(batch, length, 1) if self.weight is None else x @ self.weight.to(x.dtype)
        if self.offset is not None:
            logits = logits + self.offset.to(x.dtype)
        return torch.exp(self._log_frequency(logits)).transpose(1, 2)

    @staticmethod
    def _log_frequency(logits: Tensor) -> Tensor:
        return -torch.log1p(F.softplus(logits))

    def phases(self, frequencies: Tensor, before: Tensor | None = None) -> Tensor:
        """Running phases: f (B, G, T) and the sums so far (B, G, K/2) to (B, G, T, K/2), radians, not reduced."""
        steps = torch.exp(torch.log(frequencies)[..., None] * self.exponents.to(frequencies.dtype))
        sums = steps.cumsum(dim=2)
        return sums if before is None else sums + before[:, :, None]

    def prepare(
        self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None
    ) -> tuple[Tensor, Tensor]:
        """cos and sin of the phases, each (B, G, T, K/2)."""
        source = context.embeddings if self.config.source == "embedding" else hidden
        if source is None:
            raise ConfigError(
                f"CARoPE reads the {self.config.source} of the tokens, which its surroundings do not give"
            )
        before = None if state is None else state.get("phase")
        # Only differences of phases count, so neither packing nor padding needs the sum to start again.
        phases = self.phases(self.frequencies(source), before)
        if state is not None:
            state["phase"] = phases[:, :, -1]
        return phases.cos().to(source.dtype), phases.sin().to(source.dtype)

    def turn(self, queries: Tensor, keys: Tensor, prepared: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        cos, sin = prepared
        keys = rotate(keys, cos, sin, self.config.layout)
        group = queries.shape[1] // cos.shape[1]
        if group > 1:
            cos, sin = cos.repeat_interleave(group, dim=1), sin.repeat_interleave(group, dim=1)
        return rotate(queries, cos, sin, self.config.layout), keys


def rope_offset(base: float, head_width: int) -> float:
    """The bias c with 1 / (softplus(c) + 1) = base^(-2/K): with W = 0 it makes CARoPE equal to RoPE."""
    wanted = float(base ** (2 / head_width)) - 1
    return wanted + math.log(-math.expm1(-wanted))  # ln(exp(wanted) - 1) without overflow
