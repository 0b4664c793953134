"""An audit of a model's rotary position embedding: what its bounds allow, by what margin, and what a length would need.

Margins rather than verdicts, because the bounds are no law: models that plainly work break some of them (the depth
bound fails Llama-2 at its own 4,096 tokens and DeepSeek-V3 at 163,840, with any epsilon of practical size).
"""

import math
from dataclasses import dataclass

from formarium.errors import FormariumError
from formarium.parts.positions.rope_scaling import LongRoPE, Scaling
from formarium.theory import rope_bounds as bounds
from formarium.theory.rope_config import MOST_TOKENS, RotaryLayers, RotaryModel
from formarium.theory.rope_precision import READINGS, Reading, blind_cosine, read, rotation_error

EPSILON = 0.95
_FURTHEST = 1 << 25  # tokens up to which the cosine sums are searched for a negative one
_NEIGHBOURS = 4096
# The longest contexts for which the bases of the cosine-sum criterion are searched: unasked (a second), and asked.
_SEARCHED, _SEARCHED_IF_ASKED = 1 << 15, 1 << 20

MEANINGS: dict[Reading, str] = {
    "product": "phase = position x frequency",
    "cosine": "the same, by its cosine alone",
    "tables": "cosines and sines cast down",
    "angles": "positions and phases cast down",
    "accumulated": "phase grown step by step",
}
# What transformers and code like it does: fp32 products, tables in the precision of the weights.
_USUAL: tuple[Reading, ...] = ("product", "tables")


@dataclass(frozen=True)
class Bound:
    """A lower bound on the base, at the furthest distance that a token of these layers looks back.

    longest: tokens that the effective base allows. margin: longest / that distance; it holds from 1 on. base: what RoPE
    without scaling needs with these channels (exact form; None where no float64 holds it); published_base: the same by
    the published form.
    """

    name: str
    longest: float
    margin: float
    holds: bool
    base: float | None
    published_base: float


@dataclass(frozen=True)
class Wall:
    """The upper bound: effective base below ``limit`` = 1/machine epsilon. margin: limit / effective base.

    base_holds: whether the base itself, unscaled, as in the published form, is below the limit.
    """

    dtype: str
    limit: float
    margin: float
    holds: bool
    base_holds: bool


@dataclass(frozen=True)
class Measured:
    """A reading of the wall, measured near the end of the context: shares of neighbours that coincide.

    usual: whether the common implementation (fp32 products; tables in the precision of the weights) works that way.
    """

    reading: Reading
    meaning: str
    dtype: str
    start: int
    slowest: float
    all_channels: float
    usual: bool


@dataclass(frozen=True)
class Similarity:
    """The criterion of Men et al. 2024: B(m) >= 0 at every distance up to ``longest``, or up to there at least."""

    longest: int
    at_least: bool
    margin: float
    holds: bool


@dataclass(frozen=True)
class Advice:
    """What a length needs.

    distance: the length, or the window where that is shorter. stretch: how many times slower than now the slowest
    channel must turn for all lower bounds to hold (below 1: it already does more than needed), by a larger base or a
    scaling. bases: the interval that they and the wall leave to RoPE without scaling, in the exact form; none where the
    first is not below the second. longest_in_format: the length beyond which no base is left. similarity_first,
    similarity_settled: the bases of the cosine-sum criterion (see SimilarityBases); None where not searched.
    """

    length: int
    distance: int
    stretch: float
    bases: tuple[float | None, float | None]
    possible: bool
    longest_in_format: float
    similarity_first: float | None
    similarity_settled: float | None


@dataclass(frozen=True)
class LayerAudit:
    """The layers of one kind.

    layers: how many, which is N of the depth bound. effective_base: B_eff, tokens a radian of the slowest channel.
    length_over_base: L / B_eff for the whole context; distance_over_base: for the distance that these layers see.
    blind_cosine: position up to which the slowest cosine cannot be told from 1. rotation_error: the largest error of a
    cosine or sine at the end of the context, None where that precision cannot count so far.
    """

    kind: str
    layers: int
    base: float
    head_width: int
    rotated: int
    turning_pairs: int
    scaling: str
    window: int | None
    distance: int
    effective_base: float
    length_over_base: float
    distance_over_base: float
    bounds: tuple[Bound, ...]
    wall: Wall
    similarity: Similarity
    readings: tuple[Measured, ...]
    blind_cosine: int
    rotation_error: float | None
    advice: Advice


@dataclass(frozen=True)
class Audit:
    """A whole model; plain data, ready for JSON by ``dataclasses.asdict``."""

    model: str
    model_type: str
    length: int
    original_length: int | None
    layers: int
    unrotated_layers: int
    weights: str | None
    epsilon: float
    dtype: str
    kinds: tuple[LayerAudit, ...]
    notes: tuple[str, ...]


def audit(
    model: RotaryModel,
    epsilon: float = EPSILON,
    dtype: str = "fp32",
    target_length: int | None = None,
    strict: bool = False,
) -> Audit:
    """The audit of a model's facts.

    epsilon: coherence asked of the slowest channel; the paper's own value is unknown. dtype: arithmetic of the phases.
    target_length: what the advice is for; the model's own length where not given. strict: half a turn instead of a
    whole one in the aliasing bound. Raises FormariumError for numbers out of range.
    """
    dtype = bounds.precision(dtype)
    if target_length is not None and not 0 < target_length <= MOST_TOKENS:
        raise FormariumError(
            f"a target length is a number of tokens above 0 and up to {MOST_TOKENS:,}, not {target_length:,}"
        )
    kinds = tuple(_layers(kind, model, epsilon, dtype, target_length, strict) for kind in model.kinds)
    return Audit(
        model=model.name,
        model_type=model.model_type,
        length=model.length,
        original_length=model.original_length,
        layers=model.layers,
        unrotated_layers=model.unrotated,
        weights=model.dtype,
        epsilon=epsilon,
        dtype=dtype,
        kinds=kinds,
        notes=(*model.notes, *_notes(model, kinds, dtype)),
    )


def _notes(model: RotaryModel, kinds: tuple[LayerAudit, ...], dtype: str) -> list[str]:
    notes = []
    if model.unrotated:
        notes.append(f"{model.unrotated} of {model.layers} layers do not rotate and do not count in N")
    for kind in kinds:
        if kind.wall.holds and not kind.wall.base_holds:
            notes.append(f"the base {kind.base:g} is above the {dtype} wall, as published; its effective base is below")
    if dtype == "tf32":
        notes.append("tf32 multiplies but does not store: the readings of the wall are measured in fp32")
    return list(dict.fromkeys(notes))


def _layers(
    kind: RotaryLayers, model: RotaryModel, epsilon: float, dtype: str, target: int | None, strict: bool
) -> LayerAudit:
    omega, effective = kind.frequencies(model.length), kind.effective_base(model.length)
    distance = kind.distance(model.length)
    limit = float(bounds.precision_wall(dtype))
    furthest = min(max(4 * distance, 1 << 14), _FURTHEST)
    similar = bounds.similarity_length(omega, furthest)
    return LayerAudit(
        kind=kind.kind,
        layers=kind.layers,
        base=kind.base,
        head_width=kind.head_width,
        rotated=kind.rotated,
        turning_pairs=len(omega),
        scaling=_describe(kind),
        window=kind.window,
        distance=distance,
        effective_base=effective,
        length_over_base=model.length / effective,
        distance_over_base=distance / effective,
        bounds=lower_bounds(kind, model.length, epsilon, strict),
        wall=Wall(dtype, limit, limit / effective, effective < limit, kind.base < limit),
        similarity=Similarity(similar, similar >= furthest, similar / distance, similar >= distance),
        readings=tuple(_readings(omega, model, dtype)),
        blind_cosine=blind_cosine(omega, dtype),
        rotation_error=_finite(rotation_error(omega, model.length - 1, _measurable(dtype))),
        advice=_advice(kind, effective, epsilon, dtype, target, model.length),
    )


def _describe(kind: RotaryLayers) -> str:
    """The scaling in a few words; the factors of LongRoPE are too many to show."""
    scaling = kind.scaling
    if isinstance(scaling, LongRoPE):
        return f"LongRoPE(factor={scaling.factor:g}, original_length={scaling.original_length})"
    return "none" if type(scaling) is Scaling else scaling.describe()


def lower_bounds(kind: RotaryLayers, length: int, epsilon: float = EPSILON, strict: bool = False) -> tuple[Bound, ...]:
    """The bounds of aliasing, stability and depth on layers of one kind, in a context of that length."""
    effective, distance = kind.effective_base(length), kind.distance(length)
    lengths = {
        "aliasing": bounds.aliasing_length(effective, strict),
        "stability": bounds.stability_length(effective, epsilon),
        "depth": bounds.stability_length(effective, epsilon, kind.layers),
    }
    found = []
    for name, allowed in lengths.items():
        needed = distance / allowed * effective  # the effective base that this distance needs
        exact, published = bounds.base_for(needed, kind.channels), bounds.base_for(needed)
        longest, margin = float(allowed), float(allowed) / distance
        holds = longest > distance if name == "aliasing" else longest >= distance
        found.append(Bound(name, longest, margin, holds, _finite(exact), float(published)))
    return tuple(found)


def _finite(value: bounds.Array | float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _measurable(dtype: str) -> str:
    return "fp32" if dtype == "tf32" else dtype


def _readings(omega: bounds.Array, model: RotaryModel, dtype: str) -> list[Measured]:
    count = min(_NEIGHBOURS, max(model.length - 1, 1))
    start = max(model.length - 1 - count, 0)
    try:
        weights = _measurable(bounds.precision(model.dtype or "bf16"))
    except FormariumError:  # weights in eight bits or fewer: what is computed with them is in bf16
        weights = "bf16"
    formats = {"tables": weights, "angles": weights}
    found = []
    for reading in READINGS:
        at = formats.get(reading, _measurable(dtype))
        share = read(reading, omega, start, at, count)
        measured = Measured(reading, MEANINGS[reading], at, start, share.slowest, share.all_channels, reading in _USUAL)
        found.append(measured)
    return found


def _advice(
    kind: RotaryLayers, effective: float, epsilon: float, dtype: str, target: int | None, length: int
) -> Advice:
    wanted = target or length
    distance = kind.distance(wanted)
    low, high = bounds.feasible_bases(distance, epsilon, kind.layers, dtype, kind.channels)
    searched = None
    if round(kind.channels) == kind.rotated and distance <= (_SEARCHED if target is None else _SEARCHED_IF_ASKED):
        searched = bounds.similarity_bases(distance, kind.rotated, per_decade=100)
    return Advice(
        length=wanted,
        distance=distance,
        stretch=float(distance / bounds.coherent_phase(epsilon, kind.layers)) / kind.effective_base(wanted),
        bases=(_finite(low), _finite(high)),
        possible=not bool(bounds.no_base(distance, epsilon, kind.layers, dtype)),
        longest_in_format=float(bounds.longest_length(epsilon, kind.layers, dtype)),
        similarity_first=searched.first if searched else None,
        similarity_settled=searched.settled if searched else None,
    )
