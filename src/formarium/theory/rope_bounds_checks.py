"""The claims about bounds on RoPE's base that need no training, as functions for the lab.

Checks return a list of ``formarium.checks.Check``, measurements ``{variant: {metric: number}}``. ``seed`` places
the windows of positions that are measured; closed forms do not depend on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from formarium.checks import Check, at_most, below, check
from formarium.parts.positions.rope_scaling import plain_frequencies
from formarium.theory import rope_bounds as bounds
from formarium.theory.rope_audit import lower_bounds
from formarium.theory.rope_config import read_rotary
from formarium.theory.rope_precision import READINGS, Coincidence, Reading, lost_steps, read

# The precision wall.

_BELOW, _ABOVE = (1e4, 5e5, 8e6), (1e7, 1e8, 3580165449.0)


def precision_wall(
    seed: int,
    reading: Reading = "product",
    dtype: str = "fp32",
    below: Sequence[float] = _BELOW,
    above: Sequence[float] = _ABOVE,
    rotated: int | None = None,
    reach: int = 1 << 20,
    limit: float = 0.5,
) -> list[Check]:
    """Whether neighbours coincide for bases above the wall and only there, by one reading of it.

    rotated: a whole bank of channels, of which the slowest is looked at; None is the published form, one channel that
    turns 1/base. reach: positions lie below it. limit: the share of equal neighbours from which on they coincide.
    """
    found = []
    for base in (*below, *above):
        share = _share(seed, reading, base, dtype, rotated, reach).slowest
        name = f"{reading}, {dtype}, base {base:g}: share of equal neighbours"
        found.append(check(name, share, limit, share > limit if base in above else share <= limit))
    return found


def precision_readings(
    seed: int,
    below: Sequence[float] = _BELOW,
    above: Sequence[float] = _ABOVE,
    rotated: int = 128,
    reach: int = 1 << 20,
    low: str = "bf16",
) -> dict[str, dict[str, float]]:
    """All readings side by side: the share of equal neighbours below and above the fp32 wall.

    Metrics of each reading: ``below`` and ``above`` (means over the bases, slowest channel), ``all channels`` (above
    the wall, every channel at once). low: the precision of tables and angles.
    """
    found: dict[str, dict[str, float]] = {}
    for reading in READINGS:
        dtype = low if reading in ("tables", "angles") else "fp32"
        sides = [[_share(seed, reading, b, dtype, rotated, reach) for b in bases] for bases in (below, above)]
        slow = [float(np.mean([s.slowest for s in side])) for side in sides]
        found[reading] = {
            "below": slow[0],
            "above": slow[1],
            "all channels": float(np.mean([s.all_channels for s in sides[1]])),
        }
    return found


def _share(seed: int, reading: Reading, base: float, dtype: str, rotated: int | None, reach: int) -> Coincidence:
    """Coincidences in eight windows of positions, or, for the accumulated phase, at phases from 1 to a full turn."""
    random = np.random.default_rng(seed)
    omega = np.array([1 / base]) if rotated is None else plain_frequencies(base, rotated).numpy()
    if reading == "accumulated":
        lost = lost_steps(omega, random.uniform(1, 2 * np.pi, (4096, 1)), dtype)
        return Coincidence(float(lost[:, int(np.argmin(omega))].mean()), float(lost.all(axis=1).mean()))
    seen = [read(reading, omega, int(start), dtype, 1024) for start in random.integers(0, reach - 1025, 8)]
    slowest, joint = np.mean([(s.slowest, s.all_channels) for s in seen], axis=0)
    return Coincidence(float(slowest), float(joint))


# The region between the bounds.


def goldilocks_zone(
    seed: int, epsilon: float = 0.95, layers: int = 32, dtype: str = "fp32", stated: float = 475e3
) -> list[Check]:
    """The interval of bases: shrinks with length and depth, is empty exactly from the length that the formulas give.

    stated: that length as the claim has it, to 1 %.
    """
    lengths, depths = np.geomspace(64, 1e8, 241), np.arange(1, 129)
    low, high = bounds.feasible_bases(lengths[:, None], epsilon, depths, dtype)
    widths = np.log(high / low)
    empty = bounds.no_base(lengths[:, None], epsilon, depths, dtype)
    longest = bounds.longest_length(epsilon, depths, dtype)
    last = float(bounds.longest_length(epsilon, layers, dtype))
    needed = bounds.stability_base(1e5, epsilon, np.array([1, 4, 64, 256]))
    return [
        check(
            "change of the interval with length, at most",
            np.diff(widths, axis=0).max(),
            0,
            (np.diff(widths, axis=0) < 0).all(),
        ),
        check(
            "change of the interval with depth, at most",
            np.diff(widths, axis=1).max(),
            0,
            (np.diff(widths, axis=1) < 0).all(),
        ),
        check(
            "lengths and depths at which the interval is empty below the longest length, or not above it",
            int((empty != (lengths[:, None] >= longest)).sum()),
            0,
            bool((empty == (lengths[:, None] >= longest)).all()) and bool(empty.any()) and not bool(empty.all()),
        ),
        check(f"longest length at {layers} layers", last, stated, abs(last / stated - 1) <= 0.01),
        check(
            "base needed at 256 layers over that at 64", needed[3] / needed[2], 2, abs(needed[3] / needed[2] - 2) < 0.01
        ),
    ]


def million_tokens(
    seed: int, epsilon: float = 0.95, dtype: str = "fp32", depths: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128)
) -> list[Check]:
    """Whether no base is left beyond a million tokens whatever the architecture: the longest length at each depth."""
    longest = [float(bounds.longest_length(epsilon, depth, dtype)) for depth in depths]
    named = zip(depths, longest, strict=True)
    return [at_most(f"longest length at {depth} layers", length, 1e6) for depth, length in named]


# Models.


@dataclass(frozen=True)
class Known:
    """A model's published configuration, under Hugging Face's names, and whether it is known to work at its length.

    works: None where nothing firm is known. source: on what that rests.
    """

    name: str
    settings: dict[str, Any] = field(hash=False)
    works: bool | None = True
    source: str = "released for that length"


def _known(
    name: str,
    base: float,
    head: int,
    layers: int,
    length: int,
    scaling: dict[str, Any] | None = None,
    works: bool | None = True,
    source: str = "released for that length",
    **more: Any,
) -> Known:
    facts = {"rope_theta": base, "head_dim": head, "num_hidden_layers": layers, "max_position_embeddings": length}
    return Known(name, {"_name_or_path": name, **facts, "rope_scaling": scaling, **more}, works, source)


def _yarn(factor: float, original: int) -> dict[str, Any]:
    return {"type": "yarn", "factor": factor, "original_max_position_embeddings": original}


def _llama3(factor: float) -> dict[str, Any]:
    wavelengths = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    return {"rope_type": "llama3", "factor": factor, **wavelengths}


_LATENT: dict[str, Any] = {"qk_rope_head_dim": 64, "qk_nope_head_dim": 128}
MODELS = (
    _known("LLaMA-1 7B", 1e4, 128, 32, 2048),
    _known("Llama-2 7B", 1e4, 128, 32, 4096),
    _known("Llama-2 70B", 1e4, 128, 80, 4096),
    _known("Together LLaMA-2 32K", 1e4, 128, 32, 32768, {"type": "linear", "factor": 8.0}),
    _known("YaRN Llama-2 128k", 1e4, 128, 32, 131072, _yarn(32, 4096)),
    _known("CodeLlama 7B", 1e6, 128, 32, 16384),
    _known("CodeLlama 34B", 1e6, 128, 48, 16384),
    _known("Llama-3 8B", 5e5, 128, 32, 8192),
    _known("Llama-3 70B", 5e5, 128, 80, 8192),
    _known("Llama-3.1 8B", 5e5, 128, 32, 131072, _llama3(8)),
    _known("Llama-3.1 70B", 5e5, 128, 80, 131072, _llama3(8)),
    _known("Llama-3.1 405B", 5e5, 128, 126, 131072, _llama3(8)),
    _known("Llama-3.2 1B", 5e5, 64, 16, 131072, _llama3(32)),
    _known("Gradient Llama-3 8B 1048k", 3580165449.0, 128, 32, 1048576, source="a retrofit in use at that length"),
    _known("Mistral 7B v0.1", 1e4, 128, 32, 32768, sliding_window=4096),
    _known("Mistral 7B v0.3", 1e6, 128, 32, 32768),
    _known("Mixtral 8x7B", 1e6, 128, 32, 32768),
    _known("Mixtral 8x22B", 1e6, 128, 56, 65536),
    _known("DeepSeek-LLM 7B", 1e4, 128, 30, 4096),
    _known("DeepSeek-Coder 6.7B", 1e5, 128, 32, 16384, {"type": "linear", "factor": 4.0}),
    _known("DeepSeek-V2", 1e4, 192, 60, 163840, _yarn(40, 4096), **_LATENT),
    _known("DeepSeek-V3", 1e4, 192, 61, 163840, _yarn(40, 4096), **_LATENT),
    _known("DeepSeek-V3 without YaRN", 1e4, 192, 61, 163840, works=None, source="not measured", **_LATENT),
    _known("Qwen2.5 7B 1M", 1e7, 128, 28, 1010000, dual_chunk_attention_config={"chunk_size": 262144}),
    _known("GPT-NeoX 20B", 1e4, 96, 44, 2048, rotary_pct=0.25),
    _known(
        "LLaMA-1 7B at four times its length",
        1e4,
        128,
        32,
        8192,
        works=False,
        source="Chen et al. 2023, arXiv 2306.15595: without interpolation perplexity explodes",
    ),
    _known(
        "2B model of base 100 at 4,096",  # its width and depth do not matter: B_eff is below 100 with any
        100.0,
        128,
        32,
        4096,
        works=False,
        source="Men et al. 2024, arXiv 2405.14591: retrieves up to about 500 tokens only",
    ),
)


def case_study(seed: int, epsilon: float = 0.95, dtype: str = "fp32") -> list[Check]:
    """Margins of models known to work, which should be 1 or more, and of models known to break, of which one is below.

    Where a model is not known to work or to break it is left out.
    """
    found = []
    for model in MODELS:
        if model.works is None:
            continue
        facts = read_rotary(model.settings)
        kind = facts.kinds[0]
        margins = {bound.name: bound.margin for bound in lower_bounds(kind, facts.length, epsilon)}
        margins[f"{dtype} wall"] = float(bounds.precision_wall(dtype)) / kind.effective_base(facts.length)
        if model.works:
            names = {name: f"{model.name} works; margin to {name}" for name in margins}
            found += [check(names[name], margin, 1, margin >= 1) for name, margin in margins.items()]
        else:
            least = min(margins, key=lambda name: margins[name])
            found.append(below(f"{model.name} breaks; margin to {least}", margins[least], 1))
    return found


def invariants(seed: int) -> list[Check]:
    """What must be true of the formulas themselves, whatever the models do."""
    random = np.random.default_rng(seed)
    base, length = 10 ** random.uniform(2, 8, 64), 10 ** random.uniform(2, 7, 64)
    depth, epsilon = random.integers(1, 129, 64), random.uniform(0.01, 0.99, 64)
    rotated = 2 * random.integers(2, 129, 64)

    def apart(name: str, one: Any, other: Any, limit: float = 1e-9) -> Check:
        most = float(np.max(np.abs(np.asarray(one, np.float64) / np.asarray(other, np.float64) - 1)))
        return at_most(name, most, limit)

    exact = bounds.effective_base(base, rotated)
    deep, deeper = (bounds.stability_base(length, 0.95, depth) for depth in (4096, 16384))
    similar = bounds.similarity(plain_frequencies(float(base[0]), 128).numpy(), 4096)
    return [
        apart("exact over published effective base against base^(-2/d)", exact / base, base ** (-2 / rotated)),
        apart("base of an effective base undoes it", bounds.base_for(exact, rotated), base),
        apart(
            "depth bound of one layer against stability",
            bounds.stability_base(length, epsilon, 1),
            length / np.arccos(epsilon),
        ),
        apart("four times the layers ask for twice the base", deeper / deep, 2.0, 1e-4),
        apart(
            "stability without coherence against L / (pi/2)",
            bounds.stability_base(length, 1e-300),
            length / (np.pi / 2),
        ),
        check(
            "aliasing base over stability base, at most",
            float((bounds.aliasing_base(length) / bounds.stability_base(length, epsilon, depth)).max()),
            0.25,
            bool((bounds.aliasing_base(length) <= bounds.stability_base(length, epsilon, depth) / 4).all()),
        ),
        apart("cosine sum at distance 0 against d/2", similar[0], 64.0),
        check("cosine sum, at most", float(np.abs(similar).max()), 64, bool(np.abs(similar).max() <= 64 + 1e-9)),
    ]
