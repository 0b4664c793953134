"""Stripes of the residual stream rotated like the phases of an alternating current.

Three-Phase Transformer (Abu Ayyash 2026, arXiv 2604.14430).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts.part import Part
from formarium.parts.positions.rotary import rotate


class PhaseRotation(Part):
    """Turns the channel pair (2k, 2k + 1) of stripe i by theta_k + 2 pi i / N: (..., D) to (..., D).

    The D channels are N equal stripes side by side, which share the learned theta (D / 2N,). In layer l = 0..L-1 each
    theta starts at (l + 1) pi / 2L. The map is orthogonal and takes the place of the stream.
    phases: N. residual: x + rotation(x) instead. learned_offsets: the N offsets are trainable and start at 2 pi i / N.
    aligned: N must divide the numbers of query and key heads, so that no head lies across two stripes; it changes no
    number, since the projections read all channels.
    Raises ConfigError for a width that is not N stripes of an even number of channels, and for unaligned heads.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        phases: int = 3
        residual: bool = False
        learned_offsets: bool = False
        aligned: bool = True

    def __init__(
        self,
        width: int,
        heads: int | None = None,
        kv_heads: int | None = None,
        layer: int = 0,
        depth: int = 1,
        config: Config | None = None,
    ) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        phases = config.phases
        if phases < 1 or width % phases:
            raise ConfigError(f"a width of {width} cannot be split into {phases} equal phases")
        stripe = width // phases
        if stripe % 2:
            raise ConfigError(
                f"phases turn pairs of channels: {width} channels in {phases} phases are {stripe} each, an odd number"
            )
        for count, what in ((heads, "query heads"), (kv_heads, "key heads")):
            if config.aligned and count is not None and count % phases:
                raise ConfigError(
                    f"{phases} phases do not divide {count} {what}; choose a multiple of {phases}, or aligned=False"
                )
        self.angles = nn.Parameter(torch.full((stripe // 2,), (layer + 1) * math.pi / (2 * depth)))
        self.offsets = nn.Parameter(self._even(self.angles)) if config.learned_offsets else None

    def _even(self, like: Tensor) -> Tensor:
        """2 pi i / N for each stripe i."""
        step = 2 * math.pi / self.config.phases
        return torch.arange(self.config.phases, dtype=like.dtype, device=like.device) * step

    def forward(self, x: Tensor) -> Tensor:
        angles = self.angles.to(torch.promote_types(self.angles.dtype, torch.float32))
        offsets = self._even(angles) if self.offsets is None else self.offsets
        angles = (offsets[:, None] + angles).flatten()
        turned = rotate(x, angles.cos().to(x.dtype), angles.sin().to(x.dtype), "interleaved")
        return x + turned if self.config.residual else turned


def stripe_sum(x: Tensor, phases: int) -> Tensor:
    """The sum over the stripes of their means over channels: (..., D) to (...), zero for balanced phases."""
    stripes: Tensor = x.unflatten(-1, (phases, -1))
    return stripes.mean(dim=-1).sum(dim=-1)
