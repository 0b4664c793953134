"""What finite precision does to RoPE, measured: whether neighbouring positions still get different numbers.

"The precision wall" (a base below 1/machine epsilon; Liu 2026, arXiv 2602.10959) can be read in four ways, which do not
agree; all four are derived and measured here, with torch's own arithmetic in the format asked for:

- ``product``: the phase of position p is the product p * omega. Neighbours differ by the share 1/p of their phase, so
  they stay apart until p nears 2^24 in fp32, whatever the base. This is what most code does.
- ``cosine``: of the same phases only the cosine. It is flat near 0 and there tells nothing; the sine does.
- ``tables`` and ``angles``: fp32 phases whose cosines and sines are kept in a lower precision, and positions that were
  cast to a lower precision before the product.
- ``accumulated``: the phase of p + 1 is that of p plus omega. The step is lost once it is below half the spacing of
  numbers at the phase; at phases of 1 and more, that is a bound on the base.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from formarium.config import suggestion
from formarium.errors import FormariumError
from formarium.parts.positions.rope_scaling import plain_frequencies
from formarium.theory.rope_bounds import Array, machine_epsilon, precision, slowest

Reading = Literal["product", "cosine", "tables", "angles", "accumulated"]
READINGS: tuple[Reading, ...] = get_args(Reading)
_FORMATS = {"fp64": torch.float64, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Coincidence:
    """Shares of adjacent positions that finite precision makes equal.

    slowest: in the slowest channel. all_channels: in every channel at once, so that nothing tells the two apart.
    """

    slowest: float
    all_channels: float


def storage(dtype: str) -> torch.dtype:
    """The torch format of that name; FormariumError for tf32, in which nothing is stored."""
    name = precision(dtype)
    if name not in _FORMATS:
        raise FormariumError(f"{name} is a mode of multiplication, no format to keep numbers in: take fp32 or fp16")
    return _FORMATS[name]


def phases(frequencies: ArrayLike, positions: Tensor, dtype: str = "fp32") -> Tensor:
    """p * omega as code in that precision takes it, both factors rounded to it first: (positions, channels)."""
    kind = storage(dtype)
    omega = torch.as_tensor(np.asarray(frequencies, np.float64)).to(kind)
    return positions.to(kind)[:, None] * omega


def coincidence(
    frequencies: ArrayLike,
    start: int,
    count: int = 4096,
    angles: str = "fp32",
    tables: str | None = None,
    seen: Literal["phase", "cosine", "both"] = "both",
) -> Coincidence:
    """How many of the positions start .. start + count share their numbers, bit by bit, with the next one.

    frequencies: (channels,) radians a token. angles: precision of positions, frequencies and their products. tables:
    that in which cosines and sines are kept; as angles where not given. seen: the phases themselves, the cosines alone,
    or cosines and sines together.
    """
    omega = _turning(frequencies)
    phase = phases(omega, torch.arange(start, start + count + 1), angles)
    kept = storage(tables or angles)
    same = _equal_next(phase) if seen == "phase" else _equal_next(phase.cos().to(kept))
    if seen == "both":
        same &= _equal_next(phase.sin().to(kept))
    return _shares(same.numpy(), omega)


def _turning(frequencies: ArrayLike) -> Array:
    omega = np.asarray(frequencies, np.float64)
    return omega[omega > 0]


def _equal_next(x: Tensor) -> Tensor:
    """Which rows repeat in the next, element by element; two values beyond the range of the format count as equal."""
    here, there = x[:-1], x[1:]
    return (here == there) | ~(here.isfinite() | there.isfinite())


def _shares(same: NDArray[np.bool_], omega: Array) -> Coincidence:
    return Coincidence(float(same[:, int(np.argmin(omega))].mean()), float(same.all(axis=1).mean()))


def lost_steps(frequency: ArrayLike, phase: ArrayLike, dtype: str = "fp32") -> NDArray[np.bool_]:
    """Where adding a frequency to a phase leaves it as it is, in that precision: booleans, broadcast over both."""
    kind = storage(dtype)
    at = torch.as_tensor(np.asarray(phase, np.float64)).to(kind)
    step = torch.as_tensor(np.asarray(frequency, np.float64)).to(kind)
    return np.asarray((at + step == at).numpy())


def lost_step_base(phase: ArrayLike, dtype: str = "fp32") -> Array:
    """The base beyond which ``lost_steps`` is true of frequencies 1/base: 2 / (spacing of numbers at the phase).

    At phases in [1, 2) it is twice the published wall 1/u, in [2, 4) the wall itself, in [4, 2 pi] half of it.
    """
    exponent = np.floor(np.log2(np.asarray(phase, np.float64)))
    return np.asarray(2 / (machine_epsilon(dtype) * 2.0**exponent))


def stalled_at(frequency: float, dtype: str = "fp32", limit: int = 1 << 26) -> int:
    """The first position whose phase, reached from 0 by adding the frequency again and again, grows no further.

    ``limit`` where it still grows there. Without wrapping at a turn the phase is p * omega, so the step is lost near
    p = 2/u for every base.
    """
    kind = storage(dtype)
    step = torch.tensor(frequency, dtype=torch.float64).to(kind)
    if kind == torch.bfloat16:  # numpy has none; it stalls within a few hundred steps
        at, position = torch.zeros((), dtype=kind), 0
        while position < limit and bool(at + step != at):
            at, position = at + step, position + 1
        return position
    position, run = 0, np.zeros(1, step.numpy().dtype)
    while position < limit:
        start, run = run[-1], np.full(min(1 << 20, limit - position) + 1, step.numpy())
        run[0] = start
        run = np.add.accumulate(run)
        still = np.flatnonzero(run[1:] == run[:-1])
        if len(still):
            return position + int(still[0])
        position += len(run) - 1
    return limit


def read(reading: Reading, frequencies: ArrayLike, start: int, dtype: str = "fp32", count: int = 4096) -> Coincidence:
    """One reading of the wall at the positions start .. start + count, in a precision.

    For ``product``, ``cosine`` and ``angles`` dtype is that of the phases (the first and the last are the same
    computation; they differ in the precision that code uses); for ``tables`` that of the tables of fp32 phases; for
    ``accumulated`` that of the running phase, which is taken to have reached p * omega. FormariumError if unknown.
    """
    if reading not in READINGS:
        raise FormariumError(f"there is no reading {reading!r} of the precision wall{suggestion(reading, READINGS)}")
    if reading == "tables":
        return coincidence(frequencies, start, count, "fp64" if precision(dtype) == "fp64" else "fp32", dtype)
    if reading == "accumulated":
        omega = _turning(frequencies)
        return _shares(lost_steps(omega, np.arange(start, start + count)[:, None] * omega, dtype), omega)
    return coincidence(frequencies, start, count, dtype, seen="cosine" if reading == "cosine" else "both")


def table(
    reading: Reading,
    dtypes: Sequence[str],
    bases: Sequence[float],
    starts: Sequence[int],
    rotated: int = 128,
    count: int = 4096,
) -> Array:
    """A reading over a grid: (dtype, base, position, 2), the shares in the slowest channel and in all channels."""
    banks = [plain_frequencies(base, rotated).numpy() for base in bases]
    cells = [[[read(reading, bank, at, dtype, count) for at in starts] for bank in banks] for dtype in dtypes]
    return np.array([[[(c.slowest, c.all_channels) for c in row] for row in rows] for rows in cells])


def blind_cosine(frequencies: ArrayLike, dtype: str = "fp32") -> int:
    """The position up to which the slowest cosine cannot be told from 1: 1 - cos(p omega) < u/2, p < B_eff sqrt(u)."""
    unit = machine_epsilon(dtype)
    return int(np.arccos(1 - unit / 2) / slowest(frequencies))


def rotation_error(frequencies: ArrayLike, position: int, dtype: str = "fp32", recurrent: bool = False) -> float:
    """The largest error of any channel's cosine or sine at a position, against float64: precision as accuracy.

    recurrent: each frequency comes from the one before by a constant ratio in that precision, as some inference code
    has it, instead of being rounded by itself. Only for frequencies in a geometric series.
    """
    omega = _turning(frequencies)
    taken = omega
    if recurrent:
        first, ratio = torch.as_tensor(omega[:1]).to(storage(dtype)), float(omega[1] / omega[0])
        series = [first]
        for _ in omega[1:]:
            series.append(series[-1] * torch.tensor(ratio, dtype=torch.float64).to(first.dtype))
        taken = torch.cat(series).double().numpy()
    low, exact = phases(taken, torch.tensor([position]), dtype), torch.as_tensor(position * omega)
    return max((turn(low).double() - turn(exact)).abs().max().item() for turn in (torch.cos, torch.sin))
