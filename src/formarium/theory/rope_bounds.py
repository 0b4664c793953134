"""Bounds on RoPE's base for a wanted context length, in closed form, and the cosine-sum criterion beside them.

Liu 2026, arXiv 2602.10959, reads channel pair i of RoPE as an oscillator turning omega_i = base^(-2i/d) radians a token
(d rotated channels) and bounds the base by its slowest oscillator. The published forms (abstract and a public summary;
the full text was not available) put 1/base for the slowest frequency. Derived here: the same with the exact slowest
frequency base^(-(d-2)/d), and, for scaled or partial rotations, with the **effective base**

    B_eff = 1 / min_i omega_i     (tokens a radian),

which is what the functions below take and what a ``length`` is compared with. ``rotated=None`` where a base is returned
is the published form (B_eff = base); a number of rotated channels is the exact one.

Notation: L length in tokens, N layers that rotate, epsilon the coherence asked of the slowest oscillator (the paper's
own value is unknown), u the machine epsilon of the arithmetic. All functions broadcast over arrays, in float64.
Second criterion: Men et al. 2024, arXiv 2405.14591.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from formarium.config import suggestion
from formarium.errors import FormariumError

Array = NDArray[np.float64]

# The distance from 1 to the next number. Sourced for fp32; the others follow from the formats.
MACHINE_EPSILON = {"fp64": 2.0**-52, "fp32": 2.0**-23, "tf32": 2.0**-10, "fp16": 2.0**-10, "bf16": 2.0**-7}
_OTHER_NAMES = {"float64": "fp64", "double": "fp64", "float32": "fp32", "float": "fp32", "float16": "fp16"}
_OTHER_NAMES |= {"half": "fp16", "bfloat16": "bf16"}


def precision(name: str) -> str:
    """The short name of a number format (``fp32`` for ``float32``, ``torch.float32``); FormariumError if unknown."""
    short = name.lower().removeprefix("torch.")
    short = _OTHER_NAMES.get(short, short)
    if short not in MACHINE_EPSILON:
        raise FormariumError(f"there is no number format {name!r}{suggestion(name, MACHINE_EPSILON)}")
    return short


def machine_epsilon(dtype: str) -> float:
    """u of a number format by name: 2^-23 for fp32."""
    return MACHINE_EPSILON[precision(dtype)]


def coherent_phase(epsilon: ArrayLike, layers: ArrayLike = 1) -> Array:
    """The largest phase phi of the slowest oscillator with cos(phi)^N >= epsilon: arccos(epsilon^(1/N)), in radians.

    Sourced: N = 1 is the paper's stability bound, N layers its depth bound. FormariumError unless 0 < epsilon < 1 and
    N >= 1.
    """
    epsilon, layers = np.asarray(epsilon, np.float64), np.asarray(layers, np.float64)
    if not np.all((epsilon > 0) & (epsilon < 1)):
        raise FormariumError("the coherence epsilon lies between 0 and 1, both excluded")
    if not np.all(layers >= 1):
        raise FormariumError("the number of layers is at least 1")
    # arccos(x) = 2 arcsin(sqrt((1 - x) / 2)) keeps its digits where x nears 1.
    lost = -np.expm1(np.log(epsilon) / layers)
    return np.asarray(2 * np.arcsin(np.sqrt(lost / 2)))


def coherent_phase_of_deep(epsilon: ArrayLike, layers: ArrayLike) -> Array:
    """What ``coherent_phase`` tends to with depth, sqrt(2 ln(1/epsilon) / N): the base needed grows like sqrt(N).

    Derived.
    """
    return np.asarray(np.sqrt(-2 * np.log(np.asarray(epsilon, np.float64)) / np.asarray(layers, np.float64)))


def effective_base(base: ArrayLike, rotated: ArrayLike | None = None) -> Array:
    """B_eff of unscaled RoPE: base^((d-2)/d) (derived), or the base itself in the published form."""
    base = np.asarray(base, np.float64)
    return base if rotated is None else np.asarray(base ** (1 / _exponent(rotated)))


def base_for(effective: ArrayLike, rotated: ArrayLike | None = None) -> Array:
    """The base of unscaled RoPE whose slowest oscillator takes ``effective`` tokens a radian; undoes the former."""
    effective = np.asarray(effective, np.float64)
    if rotated is None:
        return effective
    with np.errstate(over="ignore"):
        return np.asarray(effective ** _exponent(rotated))


def _exponent(rotated: ArrayLike) -> Array:
    """d / (d - 2)."""
    rotated = np.asarray(rotated, np.float64)
    if not np.all(rotated > 2):
        raise FormariumError("a base matters only with more than 2 rotated channels: the first pair turns 1 radian")
    return np.asarray(rotated / (rotated - 2))


def slowest(frequencies: ArrayLike) -> float:
    """The slowest frequency that turns at all, radians a token; channels with frequency 0 do not rotate."""
    omega = np.asarray(frequencies, np.float64)
    if not np.any(omega > 0):
        raise FormariumError("no channel rotates")
    return float(omega[omega > 0].min())


# Lengths that an effective base allows.


def aliasing_length(effective: ArrayLike, strict: bool = False) -> Array:
    """L < 2 pi B_eff: the slowest oscillator must not complete a turn.

    Sourced with B_eff = base. strict: half a turn, pi B_eff, as sampling at Nyquist's rate would ask; not the paper's.
    """
    return np.asarray((math.pi if strict else 2 * math.pi) * np.asarray(effective, np.float64))


def stability_length(effective: ArrayLike, epsilon: ArrayLike, layers: ArrayLike = 1) -> Array:
    """L <= B_eff arccos(epsilon^(1/N)): the slowest ("DC") oscillator stays coherent, over N layers.

    Sourced with B_eff = base; N = 1 is the stability bound, more layers the depth bound.
    """
    return np.asarray(np.asarray(effective, np.float64) * coherent_phase(epsilon, layers))


def longest_length(epsilon: ArrayLike, layers: ArrayLike = 1, dtype: str = "fp32") -> Array:
    """The length from which on no base satisfies stability and the precision wall: arccos(epsilon^(1/N)) / u.

    Derived from the two; it holds in the published and in the exact form, as both speak of B_eff.
    """
    return stability_length(precision_wall(dtype), epsilon, layers)


# Bases that a length needs.


def aliasing_base(length: ArrayLike, rotated: ArrayLike | None = None, strict: bool = False) -> Array:
    """The base that must be exceeded for a length: L / 2 pi (sourced), to the power d/(d-2) in the exact form."""
    return base_for(_length(length) / (math.pi if strict else 2 * math.pi), rotated)


def stability_base(
    length: ArrayLike, epsilon: ArrayLike, layers: ArrayLike = 1, rotated: ArrayLike | None = None
) -> Array:
    """The smallest base for a length: L / arccos(epsilon^(1/N)) (sourced), to the power d/(d-2) in the exact form."""
    return base_for(_length(length) / coherent_phase(epsilon, layers), rotated)


def precision_wall(dtype: str | ArrayLike = "fp32", rotated: ArrayLike | None = None) -> Array:
    """What the base must stay below: 1/u (sourced for fp32), to the power d/(d-2) in the exact form.

    dtype: a number format by name, or machine epsilons. The step 1/base from token to token would fall below the
    spacing of numbers near 1. Whether an implementation meets that is a question of how it takes the phase:
    ``formarium.theory.rope_precision`` measures it.
    """
    unit = machine_epsilon(dtype) if isinstance(dtype, str) else np.asarray(dtype, np.float64)
    return base_for(1 / np.asarray(unit), rotated)


def feasible_bases(
    length: ArrayLike,
    epsilon: ArrayLike,
    layers: ArrayLike = 1,
    dtype: str = "fp32",
    rotated: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """The interval [low, high) of bases between stability over N layers and the precision wall (sourced).

    Aliasing never binds, as arccos <= pi/2 < 2 pi. Empty where low >= high: see ``no_base``.
    """
    low, high = np.broadcast_arrays(stability_base(length, epsilon, layers, rotated), precision_wall(dtype, rotated))
    return low, high


def no_base(length: ArrayLike, epsilon: ArrayLike, layers: ArrayLike = 1, dtype: str = "fp32") -> NDArray[np.bool_]:
    """Where the feasible interval is empty: L / arccos(epsilon^(1/N)) >= 1/u (derived)."""
    return np.asarray(_length(length) / coherent_phase(epsilon, layers) >= precision_wall(dtype))


STANDINGS = ("a full turn or more", "no full turn", "coherent in one layer", "coherent over all layers")


def standing(length: ArrayLike, effective: ArrayLike, epsilon: ArrayLike, layers: ArrayLike = 1) -> NDArray[np.int64]:
    """How many of the lower bounds a length and an effective base meet, each stricter than the one before: 0 to 3.

    ``STANDINGS`` says it in words, of the slowest oscillator.
    """
    length = _length(length)
    turned = length < aliasing_length(effective)
    stable = length <= stability_length(effective, epsilon)
    deep = length <= stability_length(effective, epsilon, layers)
    return np.asarray(turned.astype(np.int64) + stable + deep)


def _length(length: ArrayLike) -> Array:
    length = np.asarray(length, np.float64)
    if not np.all(length > 0):
        raise FormariumError("a length is a number of tokens above 0")
    return length


# Men et al. 2024: a base serves a length if a similar token keeps, on average, a higher score than a random one.


def similarity(frequencies: ArrayLike, count: int, start: int = 0) -> Array:
    """B(m) = sum_i cos(m omega_i) at the distances m = start .. start + count - 1: (count,).

    Sourced: Men et al. 2024. Two small tables of cosines and one product of matrices stand for count * d/2 cosines.
    """
    omega = np.asarray(frequencies, np.float64)
    side = math.isqrt(max(count - 1, 0)) + 1
    coarse = (start + side * np.arange(-(-count // side)))[:, None] * omega
    fine = np.arange(side)[:, None] * omega
    left = np.concatenate((np.cos(coarse), -np.sin(coarse)), axis=1)
    right = np.concatenate((np.cos(fine), np.sin(fine)), axis=1)
    return np.asarray((left @ right.T).reshape(-1)[:count])


def similarity_length(frequencies: ArrayLike, limit: int) -> int:
    """The largest L <= limit with B(m) >= 0 for every m <= L (sourced)."""
    start, block = 0, 1 << 10
    while start <= limit:
        values = similarity(frequencies, min(block, limit + 1 - start), start)
        negative = np.flatnonzero(values < 0)
        if len(negative):
            return start + int(negative[0]) - 1
        start, block = start + len(values), min(4 * block, 1 << 20)
    return limit


@dataclass(frozen=True)
class SimilarityBases:
    """The bases that the cosine-sum criterion grants a length; those between the two need not all do.

    first: the smallest that holds. settled: the smallest from which on all larger ones hold.
    """

    first: float
    settled: float


def similarity_bases(length: int, rotated: int, per_decade: int = 400) -> SimilarityBases:
    """The bases for which B(m) >= 0 at every m <= length.

    The feasible set is no interval, so the smallest is not the whole answer, and published values depend on the grid
    that was searched. Here: a grid of ``per_decade`` bases a decade, its two edges refined by bisection; holes narrower
    than the grid go unseen. Where the search for ``settled`` begins, all larger bases are proven to hold: cos(m omega)
    >= cos(min(L omega, pi)) for m <= L, and the sum of those bounds only grows with the base.
    """
    _exponent(rotated)
    exponents = -np.arange(0, rotated, 2) / rotated

    def holds(log_base: float) -> bool:
        return similarity_length(np.exp(log_base * exponents), length) >= length

    def proven(log_base: float) -> bool:
        return bool(np.cos(np.minimum(length * np.exp(log_base * exponents), math.pi)).sum() >= 0)

    top = 1.0
    while not proven(top):
        top *= 1.25
        if top > 700:
            raise FormariumError(f"no base that a float64 can hold serves {length} tokens with {rotated} channels")
    step = math.log(10) / per_decade
    top = math.ceil(_edge(proven, 0.0, top) / step) * step
    steps = round(top / step)
    settled = next((k for k in range(steps - 1, 0, -1) if not holds(k * step)), 0)
    first = next((k for k in range(1, settled) if holds(k * step)), settled + 1)
    return SimilarityBases(
        first=math.exp(_edge(holds, (first - 1) * step, first * step)),
        settled=math.exp(_edge(holds, settled * step, (settled + 1) * step)),
    )


def _edge(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Between ``low``, where it does not hold, and ``high``, where it does: where it begins to hold."""
    for _ in range(24):  # of a step of the grid: nine digits, and clear of rounding at the edge itself
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
