"""The published ways to stretch rotary frequencies beyond the length that a model was trained at.

Each scaling is plain data with one method, ``frequencies``: the effective angular frequencies, radians a token, and the
factor on the rotated queries and keys. All of it in float64. Notation: d rotated channels, base b, omega_i = b^(-2i/d).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError


def plain_frequencies(base: float | Tensor, rotated: int) -> Tensor:
    """omega_i = base^(-2i/d), i = 0..d/2-1 (Su et al. 2021, RoFormer, arXiv 2104.09864): (d/2,) float64."""
    exponents = torch.arange(0, rotated, 2, dtype=torch.float64) / rotated
    return base ** (-exponents.to(base.device)) if isinstance(base, Tensor) else base**-exponents


@dataclass(frozen=True)
class Scaling(BaseConfig):
    """No scaling: the frequencies as they are."""

    def frequencies(self, base: float, rotated: int, length: Tensor | int | None = None) -> Tensor:
        """Effective frequencies (d/2,) when sequences are ``length`` tokens long (only two scalings depend on it)."""
        return plain_frequencies(base, rotated)

    @property
    def attention_factor(self) -> float:
        """Multiplies rotated queries and rotated keys."""
        return 1.0


@dataclass(frozen=True)
class LinearScaling(Scaling):
    """Position interpolation (Chen et al. 2023, arXiv 2306.15595): omega_i / factor."""

    factor: float = 1.0

    def frequencies(self, base: float, rotated: int, length: Tensor | int | None = None) -> Tensor:
        return plain_frequencies(base, rotated) / self.factor


@dataclass(frozen=True)
class ProportionalScaling(Scaling):
    """Turns the fastest ``fraction`` of all channel pairs and lets the others rest (Gemma 4's global layers).

    Unlike a ``fraction`` of RoPE itself, the frequencies are those of a whole head and pairs keep their places in it:
    omega_i / factor for the first pairs, 0 for the rest. ``rotated`` is the width of a head.
    """

    fraction: float = 1.0
    factor: float = 1.0

    def frequencies(self, base: float, rotated: int, length: Tensor | int | None = None) -> Tensor:
        omega = plain_frequencies(base, rotated) / self.factor
        turning = int(self.fraction * rotated / 2)
        return torch.cat((omega[:turning], torch.zeros_like(omega[turning:])))


@dataclass(frozen=True)
class DynamicNTK(Scaling):
    """A base that grows with the length L beyond L0: b (f L / L0 - f + 1)^(d/(d-2)).

    With ``length`` None it follows the longest position of each call, so tokens decoded beyond L0 keep the frequencies
    of their own time; a fixed ``length`` makes decoding equal to one pass over all tokens.
    """

    factor: float = 1.0
    original_length: int = 2048
    length: int | None = None

    def frequencies(self, base: float, rotated: int, length: Tensor | int | None = None) -> Tensor:
        longest = torch.as_tensor(self.length or length or self.original_length, dtype=torch.float64)
        longest = longest.clamp(min=self.original_length)
        stretch = self.factor * longest / self.original_length - (self.factor - 1)
        return plain_frequencies(base * stretch ** (rotated / (rotated - 2)), rotated)


@dataclass(frozen=True)
class YaRN(Scaling):
    """Interpolates slow channels, keeps fast ones, a ramp between (Peng et al. 2023, arXiv 2309.00071).

    ``mscale`` and ``mscale_all_width`` are DeepSeek's generalisation of the attention factor 0.1 ln f + 1;
    ``truncate`` rounds the ends of the ramp to whole channels.
    """

    factor: float = 1.0
    original_length: int = 2048
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float | None = None
    mscale_all_width: float | None = None
    given_attention_factor: float | None = None
    truncate: bool = True

    def frequencies(self, base: float, rotated: int, length: Tensor | int | None = None) -> Tensor:
        def channel(turns: float) -> float:
            """The channel that makes this many turns within the original length."""
            return rotated * math.log(self.original_length / (turns * 2 * math.pi)) / (2 * math.log(base))

        low, high = channel(self.beta_fast), channel(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, rotated - 1)
        if low == high:
            high += 0.001
        ramp = ((torch.arange(rotated // 2, dtype=torch.float64) - low) / (high - low)).clamp(0, 1)
        return plain_frequencies(base, rotated) * ((1 - ramp) + ramp / self.factor)

    @property
    def attention_factor(self) -> float:
        if self.given_attention_factor is not None:
            return self.given_attention_factor
        if self.factor <= 1:
            return 1.0
        if self.mscale and self.mscale_all_width:
            grow = 0.1 * math.log(self.factor)
            return (self.mscale * grow + 1) / (self.mscale_all_width * grow + 1)
        return 0.1 * math.log(self.factor) + 1


@dataclass(frozen=True)
class Llama3(Scaling):
    """Llama 3.1's scaling by wavelength: slow channels divided by the factor, fast ones kept, smooth between."""

    factor: float = 8.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_length: int = 8192

    def frequencies(self, base: float, rotated: int, length: Tensor | int | None = None) -> Tensor:
        omega = plain_frequencies(base, rotated)
        turns = self.original_length * omega / (2 * math.pi)
        span = self.high_freq_factor - self.low_freq_factor
        smooth = (
            ((turns - self.low_freq_factor) / span).clamp(0, 1) if span else (turns > self.low_freq_factor).double()
        )
        return omega * ((1 - smooth) / self.factor + smooth)


@dataclass(frozen=True)
class LongRoPE(Scaling):
    """One searched factor a channel, one set for short and one for long contexts (Ding et al. 2024, arXiv 2402.13753).

    With ``length`` None each call takes the set for its longest position; a fixed ``length`` decides once.
    """

    short_factors: tuple[float, ...] = ()
    long_factors: tuple[float, ...] = ()
    original_length: int = 4096
    factor: float = 1.0
    length: int | None = None
    given_attention_factor: float | None = None

    def frequencies(self, base: float, rotated: int, length: Tensor | int | None = None) -> Tensor:
        for factors in (self.short_factors, self.long_factors):
            if len(factors) != rotated // 2:
                raise ConfigError(f"LongRoPE needs {rotated // 2} factors for {rotated} channels, not {len(factors)}")
        longest = torch.as_tensor(self.length or length or self.original_length)
        short = torch.tensor(self.short_factors, dtype=torch.float64, device=longest.device)
        long = torch.tensor(self.long_factors, dtype=torch.float64, device=longest.device)
        by = torch.where(longest > self.original_length, long, short)
        return plain_frequencies(base, rotated).to(longest.device) / by

    @property
    def attention_factor(self) -> float:
        if self.given_attention_factor is not None:
            return self.given_attention_factor
        if self.factor <= 1:
            return 1.0
        return math.sqrt(1 + math.log(self.factor) / math.log(self.original_length))
