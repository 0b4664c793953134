"""Bounds on RoPE's base from signal processing (Liu, 2026)."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from formarium.lab.claim import (
    SCALES,
    Card,
    Claim,
    Comparison,
    Contrast,
    Exact,
    Exponent,
    Measurement,
    Setting,
    Variant,
)

_THEORY = "formarium.theory.rope_bounds_checks"
_APART = 32  # of the two tokens that have to be told apart, in sequences of 64
_HEAD = 16  # channels of a head


def _one_rate(turns: float) -> str:
    """RoPE whose channels all turn at one rate: so many turns over the distance between the two tokens."""
    return f"RoPE(base=1.0, scaling=LinearScaling(factor={_APART / (2 * math.pi * turns)!r}))"


# A whole bank whose slowest channel makes one turn over that distance.
_BANK = f"RoPE(base={(_APART / (2 * math.pi)) ** (_HEAD / (_HEAD - 2))!r})"

_ALIASING = Comparison(
    task=f"NearerToken(length={2 * _APART})",
    model="Encoder(width=32, depth=2, heads=2)",
    training="Training(batch_size=32, learning_rate=0.003, weight_decay=0.0, warmup=0.05)",
    variants=(
        Variant("one turn", {"position": _one_rate(1)}, note="the far token is a full turn behind the near one"),
        Variant("two turns", {"position": _one_rate(2)}, note="half of that base"),
        Variant("half a turn", {"position": _one_rate(0.5)}, note="twice the base"),
        Variant("a quarter turn", {"position": _one_rate(0.25)}, note="four times the base"),
        Variant(
            "whole bank",
            {"position": _BANK},
            note="control: RoPE's frequencies, of which the slowest makes the full turn",
        ),
        Variant(
            "one turn, causal",
            {"position": _one_rate(1), "tied": False},
            model="Decoder(width=32, depth=2, heads=2)",
            note="control: a decoder, where the causal mask alone tells which token came first",
        ),
        Variant("no position", {"position": "NoPE"}, note="control: chance"),
    ),
    settings={
        "demo": Setting(
            learning_rates=(1.0,),
            minutes=1.2,
            steps=400,
            variants=("one turn", "a quarter turn", "whole bank", "one turn, causal"),
        ),
        "laptop": Setting(minutes=8.0, steps=510),
        "gpu": Setting(
            model={"width": 128, "depth": 4, "heads": 8},
            training={"batch_size": 128, "learning_rate": 0.001, "compile": True},
            minutes=20.0,
            steps=5000,
        ),
        "paper": Setting(
            model={"width": 256, "depth": 8, "heads": 16},
            training={"batch_size": 128, "learning_rate": 0.001, "compile": True},
            seeds=5,
            steps=20000,
        ),
    },
)


def _retrieval(**options: Any) -> Setting:
    return Setting(options=options)


_BASES = [4.0, 10.0, 30.0, 100.0, 1000.0, 10000.0]
_RETRIEVAL = Measurement(
    function="formarium.papers.rope_bounds:retrieval",
    timed=False,
    settings={
        "demo": _retrieval(bases=[4.0, 30.0, 1000.0], depths=[1, 2], length=32, width=32, heads=1, batch=16, steps=150),
        "laptop": _retrieval(bases=_BASES, depths=[1, 2, 4], length=64, width=32, heads=1, batch=16, steps=300),
        "gpu": _retrieval(
            bases=[*_BASES, 1e5, 1e6], depths=[1, 2, 4, 8], length=256, width=128, heads=4, batch=64, steps=2000
        ),
        "paper": _retrieval(
            bases=[*_BASES, 1e5, 1e6], depths=[2, 4, 8, 16], length=512, width=256, heads=4, batch=64, steps=10000
        ),
    },
)


_READINGS = Measurement(
    function=f"{_THEORY}:precision_readings",
    timed=False,
    settings={scale: Setting() for scale in SCALES},
)


def retrieval(
    seed: int,
    bases: list[float],
    depths: list[int],
    length: int,
    width: int,
    heads: int,
    batch: int,
    steps: int,
    epsilon: float = 0.95,
) -> dict[str, dict[str, Any]]:
    """Decoders of several bases and depths trained alike to retrieve at one length; how far each of them retrieves.

    ``reach`` of each model: the distance up to which it is right more often than half way from chance to always, in
    eighths of the length; where it fails somewhere and not beyond, as many eighths as it masters. ``far``: the share of right answers in the farthest quarter. Of
    ``stability bound`` and ``cosine sum`` the ``rank_correlation`` of the length that the criterion grants a base with
    the reach, a mean over depths (0 where all reach equally far). Of ``depth`` the ``base_needed`` for the farthest
    quarter to pass half way, by depth: between bases on a logarithmic line, and the first or last base where that is
    beyond them.
    """
    from formarium.models import Decoder
    from formarium.parts import RoPE
    from formarium.parts.positions.rope_scaling import plain_frequencies
    from formarium.tasks import Retrieval
    from formarium.theory import rope_bounds as bounds
    from formarium.training import Training
    from formarium.training.harness import fit

    task = Retrieval(Retrieval.Config(length=length))
    training = Training(steps=steps, batch_size=batch, weight_decay=0.0, warmup=0.05)
    enough = (1 + 1 / task.classes) / 2
    banks = [plain_frequencies(base, width // heads).numpy() for base in bases]
    granted = {
        "stability bound": [float(bounds.stability_length(1 / bank.min(), epsilon)) for bank in banks],
        "cosine sum": [float(bounds.similarity_length(bank, length)) for bank in banks],
    }
    found: dict[str, dict[str, Any]] = {}
    needed, correlations = {}, dict.fromkeys(granted, 0.0)
    for depth in depths:
        reaches, fars = [], []
        for base in bases:
            config = task.adapt(
                Decoder.Config(width=width, depth=depth, heads=heads, tied=False, position=RoPE.Config(base=base))
            )
            with _one_thread():  # models so small are slower with several, and far slower on a busy machine
                model, _ = fit(config, task, training, seed=seed, metrics=None, show=False)
            right = by_distance(model, task)
            reaches.append(reach(right, length, enough))
            fars.append(sum(right[-2:]) / 2)
            found[f"base {base:g}, depth {depth}"] = {"reach": reaches[-1], "far": fars[-1]}
        needed[depth] = crossing(bases, fars, enough)
        for name, lengths in granted.items():
            correlations[name] += rank_correlation(lengths, reaches) / len(depths)
    found |= {name: {"rank_correlation": value} for name, value in correlations.items()}
    return found | {"depth": {"base_needed": needed}}


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def by_distance(model: Any, task: Any, parts: int = 8) -> list[float]:
    """The share of right answers of a model in each of the equal parts of all distances up to the length."""
    import torch

    sequences = next(task.batches(256, seed=1_000_003))
    device = next(model.parameters()).device
    distances = task.distances(sequences["tokens"])
    asked = distances.shape[1]
    model.eval()
    with torch.no_grad():
        scores = model(sequences["tokens"].to(device))[:, -asked:, : task.classes]
    right = (scores.argmax(-1).cpu() == sequences["targets"][:, -asked:]).double()
    part = (distances * parts // task.config.length).clamp(max=parts - 1)
    return [float(right[part == number].mean()) for number in range(parts)]


def reach(right: list[float], length: int, enough: float) -> float:
    """The length of the parts of the distances whose share is at least ``enough``."""
    return length * sum(share >= enough for share in right) / len(right)


def crossing(bases: list[float], shares: list[float], enough: float) -> float:
    """The base from which on all shares are ``enough``, between two bases on a logarithmic line."""
    failing = [number for number, share in enumerate(shares) if share < enough]
    if not failing:
        return bases[0]
    last = failing[-1]
    if last == len(bases) - 1:
        return bases[-1]
    between = (enough - shares[last]) / (shares[last + 1] - shares[last])
    return float(bases[last] ** (1 - between) * bases[last + 1] ** between)


def rank_correlation(one: list[float], other: list[float]) -> float:
    """Spearman's; 0 where one of the two is constant."""
    from scipy.stats import spearmanr

    if len(set(one)) == 1 or len(set(other)) == 1:
        return 0.0
    return float(spearmanr(one, other).statistic)


CARD = Card(
    slug="rope-bounds",
    title=(
        "Rotary Positional Embeddings as Phase Modulation: Theoretical Bounds on the RoPE Base for Long-Context "
        "Transformers"
    ),
    date="2026-02-11",
    arxiv="2602.10959",
    authors=("Feilong Liu",),
    domains=("theory", "language"),
    slots=("position", "theory"),
    parts=("RoPE", "LinearScaling", "YaRN", "Llama3"),
    model="Decoder(position=RoPE(base=500000.0))",
    built=True,
    summary=(
        "Each channel pair of RoPE is read as an oscillator whose phase carries the position. From this view follow "
        "limits on RoPE's one free number, its base, for a wanted context length: the slowest oscillator must not "
        "complete a turn; it must stay coherent, the more so the deeper the network; and its step from token to token "
        "must exceed the resolution of the arithmetic. Together they bound a region of bases that should work. The "
        "paper introduces no network. It matters to those who stretch contexts or choose a base for a new model, and "
        "to those who serve such models at low precision and wonder whether a configuration can hold what it promises."
    ),
    honesty=(
        "No code is public, and the full text was not available: the four formulas are known from the abstract and a "
        "published summary. Its coherence threshold, how it counts layers and its case-study table are unknown. The "
        "exact forms that use the slowest frequency instead of 1/base, the effective base under scaling schemes, and "
        "every model audit are derived here, not the author's. By those audits models that plainly work violate the "
        "depth bound (Llama-2 at 4k, DeepSeek-V3 at 128k) or the precision wall (Llama-3.2-1B). Submitted to TMLR and "
        "under review when last seen."
    ),
    claims=(
        Claim(
            key="aliasing",
            text=(
                "When all channels turn at one slow rate, telling a token at a distance from one a full turn further "
                "falls to chance beyond 2 pi times the base, and a larger base restores it."
            ),
            source="abstract; context < 2 pi base",
            kind="comparison",
            experiment=_ALIASING,
            requires=(
                Contrast(
                    "one turn",
                    metric="accuracy",
                    margin=0.55,
                    label="with one rate and a full turn between them, two tokens are told apart by chance (below 55 %)",
                ),
                Contrast(
                    "a quarter turn",
                    metric="accuracy",
                    better="higher",
                    margin=0.8,
                    label="with four times that base they are told apart (above 80 %)",
                ),
                Contrast("half a turn", "one turn", "accuracy", "higher", margin=0.3, decides=False),
                Contrast("two turns", metric="accuracy", margin=0.55, decides=False),
                Contrast("whole bank", "one turn", "accuracy", "higher", margin=0.3, decides=False),
                Contrast("one turn, causal", "one turn", "accuracy", "higher", margin=0.3, decides=False),
            ),
            notes=(
                "Among two tokens of a sequence the nearer is asked for; 50 % is chance. The encoder cannot do better "
                "where all channels turn at one rate, since the two can be exchanged without any score changing. Two "
                "things that the bound leaves out stand beside the verdict: with RoPE's whole bank of frequencies the "
                "fast channels may still separate the two, and a causal mask may, so that the bound need not bind."
            ),
        ),
        Claim(
            key="dc-stability",
            text=(
                "Over models trained with different bases at one length, the distance at which retrieval fails grows "
                "with the base as the stability bound predicts, and ranks the models at least as well as the "
                "cosine-sum criterion of Men et al. (2024)."
            ),
            source="abstract; base >= context / arccos(threshold)",
            kind="comparison",
            experiment=_RETRIEVAL,
            requires=(
                Contrast(
                    "stability bound",
                    metric="rank_correlation",
                    better="higher",
                    margin=0.5,
                    label="the distance at which retrieval fails grows with the stability bound (rank correlation over 0.5)",
                ),
                Contrast(
                    "stability bound",
                    "cosine sum",
                    "rank_correlation",
                    "higher",
                    margin=-0.05,
                    label="the stability bound ranks the models at least as well as the cosine sum (within 0.05)",
                ),
                Contrast("cosine sum", metric="rank_correlation", better="higher", margin=0.5, decides=False),
            ),
            notes=(
                "The threshold is not known, so ranks are compared, not lengths; the stability bound ranks models of one "
                "width by their base. Retrieval is of the value of a kind, among tokens of other kinds. The rate of "
                "learning is one for all bases."
            ),
        ),
        Claim(
            key="depth-compounds",
            text=(
                "The base needed for retrieval at a fixed length grows with depth, like the square root of the number "
                "of layers."
            ),
            source="abstract; base >= context / arccos(threshold^(1/layers))",
            kind="scaling",
            experiment=_RETRIEVAL,
            requires=(
                Exponent(
                    "depth",
                    "base_needed",
                    limit=0.25,
                    better="higher",
                    label="the base needed grows with depth by an exponent over 0.25 (half of the square root's)",
                ),
                Exponent(
                    "depth",
                    "base_needed",
                    limit=0.75,
                    decides=False,
                    label="and by one below 0.75",
                ),
            ),
            notes=(
                "The null hypothesis is no dependence on depth, an exponent of 0: each layer rotates its own queries and "
                "keys, and the residual stream never carries the rotation on. Deeper models may even need less, since "
                "what is far can be passed on in several steps. All depths and bases train for equally many steps, so "
                "that a need may also be one of time."
            ),
        ),
        Claim(
            key="precision-wall",
            text=(
                "In float32, once the base exceeds 2^23, neighbouring positions get numerically equal phases in the "
                "slowest channel."
            ),
            source="abstract; base < 1 / machine epsilon",
            kind="exact",
            experiment=Exact.everywhere(f"{_THEORY}:precision_wall", reading="product"),
            notes=(
                "By the reading that most code implements: phases as the product of an integer position with a "
                "frequency. Their relative difference is 1 / position, whatever the base. The other readings are claims "
                "of their own."
            ),
        ),
        Claim(
            key="precision-wall-accumulated",
            text=(
                "The same, where the phase of a position is that of the position before plus the frequency: in float32, "
                "once the base exceeds 2^23 and the phase 1, most steps of the slowest channel are lost."
            ),
            source="abstract; base < 1 / machine epsilon, in a reading derived here",
            kind="exact",
            experiment=Exact.everywhere(f"{_THEORY}:precision_wall", reading="accumulated"),
            notes="Few implementations add phases up; tables are products.",
        ),
        Claim(
            key="precision-readings",
            text=(
                "Above the wall most neighbouring positions coincide in the slowest channel for an accumulated phase, "
                "for tables in bfloat16 and for positions in bfloat16; for products in float32 none do. With positions "
                "in bfloat16 neighbours coincide in all channels at once."
            ),
            source="derived here: four readings of the precision wall",
            kind="comparison",
            experiment=_READINGS,
            requires=(
                Contrast("product", metric="above", margin=0.01),
                Contrast("accumulated", metric="above", better="higher", margin=0.5),
                Contrast("tables", metric="above", better="higher", margin=0.5),
                Contrast("angles", metric="above", better="higher", margin=0.5),
                Contrast("angles", metric="all channels", better="higher", margin=0.5),
                Contrast("accumulated", metric="below", margin=0.5, decides=False),
                Contrast("tables", metric="below", margin=0.5, decides=False),
                Contrast("angles", metric="below", margin=0.5, decides=False),
            ),
            notes=(
                "Below the wall an accumulated phase loses few steps; bfloat16 makes neighbours equal on both sides of "
                "it, so that there it is the precision and not the base that decides."
            ),
        ),
        Claim(
            key="goldilocks-zone",
            text=(
                "Lower and upper bounds leave an interval of bases that shrinks with length and depth and is empty in "
                "float32 beyond a length that follows from the formulas (about 475 thousand tokens at 32 layers and "
                "threshold 0.95)."
            ),
            source="abstract",
            kind="exact",
            experiment=Exact.everywhere(f"{_THEORY}:goldilocks_zone"),
            notes="The number comes from the published formulas with a threshold of our choice.",
        ),
        Claim(
            key="case-study",
            text=(
                "Computed from published configurations, the bounds hold for models known to work at their stated "
                "length and fail for those known to break down."
            ),
            source="abstract",
            kind="exact",
            experiment=Exact.everywhere(f"{_THEORY}:case_study"),
            notes="The author's table was not available. Depth fails models that work; report margins beside verdicts.",
        ),
        Claim(
            key="million-token-wall",
            text="Beyond one million tokens no base satisfies the bounds in float32, whatever the architecture.",
            source="abstract",
            kind="exact",
            experiment=Exact.everywhere(f"{_THEORY}:million_tokens"),
            notes=(
                "The limit depends on depth and on a threshold that is not known: stability without depth allows 2.66 "
                "million at threshold 0.95. Models with a base above the wall exist and are used."
            ),
        ),
        Claim(
            key="formulas",
            text=(
                "The published forms and the exact ones agree up to a factor base^(-2/d); the depth bound of one layer is "
                "the stability bound, four times the layers ask for twice the base, and aliasing never binds."
            ),
            source="derived here from the four formulas",
            kind="exact",
            experiment=Exact.everywhere(f"{_THEORY}:invariants"),
        ),
    ),
)
