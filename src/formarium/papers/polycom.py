"""Polynomial Composition Activations (Zhuo et al., ICLR 2025)."""

import itertools
import math
import statistics
from typing import Any

from formarium.checks import Check, at_most
from formarium.lab.claim import Card, Claim, Comparison, Contrast, Exact, Exponent, Measurement, Setting, Variant

_ACTIVATIONS = ("PolyReLU", "PolyNorm", "GELU", "ReLU", "SquaredReLU")
_VARIANTS = (
    Variant("SwiGLU", {"channel_mixer": "SwiGLU"}),
    *(Variant(name, {"channel_mixer": f"FeedForward(activation={name})"}) for name in _ACTIVATIONS),
)
_MOE = "the mixture-of-experts half of the paper's experiments is not built"

_GPU: dict[str, Any] = {
    "model": {"width": 768, "depth": 12, "heads": 12},
    "task": {"context": 512, "tokenizer": "bpe:4096"},
    "training": {"batch_size": 32, "learning_rate": 6e-4, "precision": "bf16-mixed", "compile": True},
}
_PAPER: dict[str, Any] = {
    "model": {
        "width": 2048,
        "depth": 24,
        "heads": 16,
        "channel_mixer.hidden": 5504,
        "tied": False,
        "init_std": 0.013975,
    },
    "task": {
        "context": 4096,
        "tokenizer": "meta-llama/Llama-2-7b-hf",
        "corpus": "hf:togethercomputer/RedPajama-Data-1T/default",
    },
    "training": {
        "batch_size": 2,
        "accumulation": 32,
        "learning_rate": 3e-4,
        "warmup": 0.0025,
        "precision": "bf16-mixed",
        "compile": True,
    },
}

_TRAINED = Comparison(
    task="Language",
    model="Decoder(width=96, depth=3, heads=4)",
    training="Training(batch_size=8, learning_rate=0.003)",
    variants=_VARIANTS,
    probes=("formarium.papers.polycom:ranks",),
    settings={
        "demo": Setting(
            model={"width": 64, "depth": 2},
            task={"evaluation_tokens": 16384},
            learning_rates=(1.0,),
            minutes=2.0,
            steps=400,
        ),
        "laptop": Setting(seeds=5, minutes=28.0, steps=300),
        "gpu": Setting(**_GPU, minutes=28.0),
        "paper": Setting(**_PAPER, steps=954000, learning_rates=(1.0,)),
    },
)

_MUON = Comparison(
    task="Language",
    model="Decoder(width=96, depth=3, heads=4)",
    training="Training(batch_size=8, learning_rate=0.003, optimizer='muon')",
    variants=tuple(v for v in _VARIANTS if v.name in ("SwiGLU", "PolyNorm", "SquaredReLU")),
    settings={
        "demo": Setting(
            model={"width": 64, "depth": 2},
            task={"evaluation_tokens": 16384},
            learning_rates=(1.0,),
            minutes=1.2,
            steps=400,
        ),
        "laptop": Setting(seeds=5, minutes=20.0, steps=200),
        "gpu": Setting(**_GPU, minutes=28.0),
        "paper": Setting(**_PAPER, steps=954000, learning_rates=(1.0,)),
    },
)


_FITTED = Measurement(
    function="formarium.papers.polycom:fits",
    timed=False,
    settings={
        "demo": Setting(options={"widths": [4, 8, 16], "rounds": 60}),
        "laptop": Setting(seeds=5, options={"widths": [4, 8, 16, 32], "rounds": 400}),
        "gpu": Setting(seeds=10, options={"widths": [4, 8, 16, 32, 64, 128], "rounds": 1000}),
        "paper": Setting(seeds=10, options={"widths": [4, 8, 16, 32, 64, 128], "rounds": 2000}),
    },
)

_SPLINES = Measurement(
    function="formarium.papers.polycom:best_errors",
    timed=False,
    settings={
        "demo": Setting(options={"knots": [8, 16, 32, 64]}),
        "laptop": Setting(seeds=10, options={"knots": [8, 16, 32, 64, 128]}),
        "gpu": Setting(seeds=20, options={"knots": [8, 16, 32, 64, 128]}),
        "paper": Setting(seeds=20, options={"knots": [8, 16, 32, 64, 128]}),
    },
)

_TIMED = Measurement(
    function="formarium.papers.polycom:step_seconds",
    settings={
        "demo": Setting(options={"width": 128, "depth": 2, "batch": 2, "repeats": 5, "compiled": False}),
        "laptop": Setting(seeds=5, options={"width": 384, "depth": 6, "batch": 2, "repeats": 8, "compiled": True}),
        "gpu": Setting(seeds=5, options={"width": 768, "depth": 12, "batch": 32, "repeats": 20, "compiled": True}),
        "paper": Setting(seeds=5, options={"width": 2048, "depth": 24, "batch": 8, "repeats": 20, "compiled": True}),
    },
)


def ranks(model: Any, task: Any) -> dict[str, float]:
    """Effective rank of the channel mixers' matrices, and how alike the hidden states of neighbouring layers are.

    Effective rank: exp of the entropy of the singular values as shares of their sum, over the smaller side; the mean
    over matrices. Similarity: mean cosine of each token behind one block and behind the next.
    """
    import torch

    def effective(weight: Any) -> float:
        values = torch.linalg.svdvals(weight.detach().double())
        share = values / values.sum()
        return float(torch.special.entr(share).sum().exp() / len(values))

    mixers = [block.channel_mixer for block in model.blocks]
    states: list[Any] = []
    hooks = [block.register_forward_hook(lambda module, given, out: states.append(out)) for block in model.blocks]
    try:
        with torch.no_grad():
            model(next(task.batches(4, seed=0))["tokens"].to(next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    similarity = [float(torch.cosine_similarity(a, b, dim=-1).mean()) for a, b in itertools.pairwise(states)]
    ins = [effective(m.up.weight) for m in mixers]
    outs = [effective(m.down.weight) for m in mixers]
    found = {"effective_rank_in": statistics.mean(ins), "effective_rank_out": statistics.mean(outs)}
    return found | {"layer_similarity": statistics.mean(similarity)} if similarity else found


def step_seconds(
    seed: int, width: int, depth: int, batch: int, repeats: int, compiled: bool
) -> dict[str, dict[str, float]]:
    """Seconds of a forward and backward pass of decoders of equal size, the activations in turn: median of repeats."""
    import torch

    from formarium.lab.matching import count_parameters, match_parameters
    from formarium.lab.timing import training_seconds
    from formarium.models import Decoder
    from formarium.models.compiling import compiled as compile_model

    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = Decoder.Config(vocabulary=4096, width=width, depth=depth, heads=max(1, width // 64), max_length=512)
    target = count_parameters(base)
    models: dict[str, Any] = {}
    for name in ("SwiGLU", "GELU", "PolyReLU", "PolyNorm"):
        mixer = "SwiGLU" if name == "SwiGLU" else f"FeedForward(activation={name})"
        config = match_parameters(base.override({"channel_mixer": mixer}), target, "channel_mixer.hidden")
        model = config.build().to(device)
        models[name] = compile_model(model) if compiled else model
    tokens = torch.randint(base.vocabulary, (batch, 512), generator=torch.Generator().manual_seed(seed)).to(device)
    seconds = training_seconds(models, tokens, repeats)
    return {name: {"seconds": statistics.median(own)} for name, own in seconds.items()}


def exact_powers(seed: int) -> list[Check]:
    """PolyReLU against ReLU, ReLU^2 and a sum of powers: the same numbers, to the last bit for the first two."""
    import torch

    from formarium.parts import PolyReLU

    x = 3 * torch.randn(4096, generator=torch.Generator().manual_seed(seed))
    part = PolyReLU()

    def difference(coefficients: list[float], wanted: Any) -> float:
        with torch.no_grad():
            part.weight.copy_(torch.tensor(coefficients[1:]))
            part.bias.fill_(coefficients[0])
            return float((part(x) - wanted).abs().max())

    relu = torch.relu(x)
    cases = [
        ("PolyReLU equals ReLU", difference([0, 1, 0, 0], relu), 0.0),
        ("PolyReLU equals ReLU^2", difference([0, 0, 1, 0], relu.square()), 0.0),
        (
            "PolyReLU equals 0.5 + ReLU - 2 ReLU^2 + 0.25 ReLU^3",
            difference([0.5, 1, -2, 0.25], 0.5 + relu - 2 * relu.square() + 0.25 * relu**3),
            1e-3,
        ),
    ]
    return [at_most(n, value, limit) for n, value, limit in cases]


def fits(seed: int, widths: list[int], rounds: int) -> dict[str, dict[str, Any]]:
    """How closely networks with two hidden layers fit smooth functions on [-1, 1], against their parameters.

    Functions: x^3, sin(2 pi x), and Runge's 1 / (1 + 25 x^2). Fitted by L-BFGS in float64 on 257 Chebyshev points; the
    error is the largest on 2,001 even points. ``error`` maps the number of parameters to the geometric mean error over
    the functions, ``error_at_largest`` is that of the widest.
    """
    import torch

    from formarium.parts import PolyReLU, ReLU

    targets = {
        "cube": lambda x: x**3,
        "sine": lambda x: torch.sin(2 * math.pi * x),
        "runge": lambda x: 1 / (1 + 25 * x**2),
    }
    points = torch.cos(torch.linspace(0, math.pi, 257, dtype=torch.float64))[:, None]
    even = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None]

    def error(kind: Any, width: int, target: Any, number: int) -> tuple[int, float]:
        torch.manual_seed(1000 * seed + number)
        layers = [torch.nn.Linear(1, width), kind(), torch.nn.Linear(width, width), kind(), torch.nn.Linear(width, 1)]
        network = torch.nn.Sequential(*layers).double()
        optimiser = torch.optim.LBFGS(
            network.parameters(), lr=1.0, max_iter=rounds, history_size=30, line_search_fn="strong_wolfe",
            tolerance_grad=1e-12, tolerance_change=1e-14,
        )  # fmt: skip

        def loss() -> Any:
            optimiser.zero_grad()
            value = (network(points) - target(points)).square().mean()
            value.backward()
            return value

        optimiser.step(loss)
        with torch.no_grad():
            worst = float((network(even) - target(even)).abs().max())
        return sum(p.numel() for p in network.parameters()), max(worst, 1e-12)

    found: dict[str, dict[str, Any]] = {}
    for name, kind in (("ReLU", ReLU), ("PolyReLU", PolyReLU)):
        errors: dict[str, float] = {}
        for width in widths:
            own = [error(kind, width, target, number) for number, target in enumerate(targets.values())]
            errors[str(own[0][0])] = statistics.geometric_mean(e for _, e in own)
        logs = {size: math.log10(value) for size, value in errors.items()}
        found[name] = {"error": errors, "log_error_at_largest": list(logs.values())[-1]}
    return found


def best_errors(seed: int, knots: list[int]) -> dict[str, dict[str, Any]]:
    """The least error that one hidden layer can have on a smooth function of one variable, against its width.

    With knots as its biases, a layer of ReLU spans the piecewise linear functions, one of PolyReLU with only the cube
    the cubic splines; the best of either space is a least-squares problem without an optimiser's luck. The function is
    a random cosine series on [-1, 1] whose fourth derivative is bounded; ``error`` maps the width to the largest error.
    """
    import numpy as np
    from scipy.interpolate import make_lsq_spline

    random = np.random.default_rng(seed)
    waves = np.arange(1, 65)
    sizes, phases = random.uniform(-1, 1, 64) / waves**5.0, random.uniform(0, 2 * np.pi, 64)

    def target(x: Any) -> Any:
        return np.cos(np.multiply.outer(x, waves) + phases) @ sizes

    points, even = np.linspace(-1, 1, 4001), np.linspace(-1, 1, 9973)
    found: dict[str, dict[str, Any]] = {}
    for name, degree in (("ReLU", 1), ("PolyReLU", 3)):
        errors = {}
        for count in knots:
            inner = np.linspace(-1, 1, count + 2)[1:-1]
            ends = np.full(degree + 1, 1.0)
            best = make_lsq_spline(points, target(points), np.concatenate((-ends, inner, ends)), k=degree)
            errors[str(count)] = float(np.abs(best(even) - target(even)).max())
        found[name] = {"error": errors}
    return found


def _beats(key: str, variant: str, against: tuple[str, ...], text: str, source: str, *beside: Contrast) -> Claim:
    return Claim(
        key=key,
        text=text,
        source=source,
        kind="comparison",
        experiment=_TRAINED,
        requires=(*(Contrast(variant, other) for other in against), *beside),
    )


CARD = Card(
    slug="polycom",
    title="Polynomial Composition Activations: Unleashing the Dynamics of Large Language Models",
    date="2024-11-06",
    arxiv="2411.03884",
    venue="International Conference on Learning Representations (ICLR 2025)",
    authors=("Zhijian Zhuo", "Ya Wang", "Yutao Zeng", "Xiaoqing Li", "Xun Zhou", "Jinwen Ma"),
    domains=("language",),
    slots=("channel mixer",),
    code="https://github.com/BryceZhuo/PolyCom",
    licence="MIT (by its README; the code it builds on is Apache-2.0)",
    weights="PolyReLU_1B and PolyNorm_1B, Hugging Face organisation Open-Foundation-Models",
    summary=(
        "The nonlinearity between the two matrices of a feed-forward layer is replaced by a short trainable polynomial: "
        "of the rectified input (PolyReLU), or of the input with each of its powers brought to unit root mean square "
        "over the channels (PolyNorm). Four numbers a layer are added, and the gate of SwiGLU is given up for a wider "
        "plain layer of the same size. The paper reports a lower loss of language models at 1 billion parameters, dense "
        "and with experts. It matters to anyone who pre-trains a model and chooses an activation."
    ),
    honesty=(
        "Published numbers were read off figures, one seed each, with the same learning rate for all activations. The "
        f"proofs of the expressivity bounds were disputed in review. {_MOE.capitalize()}."
    ),
    parts=("PolyReLU", "PolyNorm"),
    model="Decoder(channel_mixer=FeedForward(activation=PolyNorm))",
    built=True,
    claims=(
        _beats(
            "polynorm-beats-swiglu",
            "PolyNorm",
            ("SwiGLU",),
            "At equal parameters and tokens a decoder with PolyNorm reaches a lower loss than one with SwiGLU.",
            "abstract; figures (2.174 against 2.191 nats at 1B, one run)",
            Contrast("PolyNorm", "SquaredReLU", decides=False),
            Contrast("SquaredReLU", "SwiGLU", decides=False),
        ),
        _beats(
            "polyrelu-beats-swiglu",
            "PolyReLU",
            ("SwiGLU",),
            "At equal parameters and tokens a decoder with PolyReLU reaches a lower loss than one with SwiGLU.",
            "abstract; figures (2.180 against 2.191 nats at 1B, one run)",
            Contrast("PolyReLU", "SquaredReLU", decides=False),
        ),
        _beats(
            "beats-gelu-and-relu",
            "PolyNorm",
            ("GELU", "ReLU"),
            "PolyNorm reaches a lower loss than GELU and ReLU in a plain feed-forward of the same width.",
            "figures (2.174 against 2.209 and 2.218 nats at 1B, one run)",
            Contrast("PolyReLU", "GELU", decides=False),
            Contrast("PolyReLU", "ReLU", decides=False),
        ),
        _beats(
            "beats-squared-relu",
            "PolyNorm",
            ("SquaredReLU",),
            "PolyNorm reaches a lower loss than squared ReLU, the strongest cheap activation.",
            "ablation; squared ReLU is the control that speed-runs favour",
        ),
        Claim(
            key="holds-under-muon",
            text="PolyNorm's gain over SwiGLU does not depend on AdamW: it is there under Muon too.",
            source="our control: gains shown only under AdamW often vanish under Muon",
            kind="comparison",
            experiment=_MUON,
            requires=(Contrast("PolyNorm", "SwiGLU"), Contrast("PolyNorm", "SquaredReLU", decides=False)),
        ),
        Claim(
            key="represents-powers",
            text="PolyReLU represents ReLU, its square and any polynomial of it up to its order exactly.",
            source="section 3",
            kind="exact",
            experiment=Exact.everywhere(f"{__name__}:exact_powers"),
        ),
        Claim(
            key="fits-smooth-functions-better",
            text="Networks with PolyReLU fit smooth functions more closely than ReLU networks of the same size.",
            source="section 3 (theorems; here an experiment in one dimension)",
            kind="comparison",
            experiment=_FITTED,
            requires=(Contrast("PolyReLU", "ReLU", metric="log_error_at_largest"),),
            notes="The effect is in powers of ten. What an optimiser finds is no proof of what a network can represent.",
        ),
        Claim(
            key="optimal-rate",
            text=(
                "PolyReLU networks reach the optimal rate: on functions of one variable with four bounded derivatives "
                "their least error falls with the fourth power of their size."
            ),
            source="section 3 (theorem, size of order eps^(-d/n)), for d = 1, n = 4 and one hidden layer",
            kind="scaling",
            experiment=_SPLINES,
            requires=(
                Exponent("PolyReLU", over="error", limit=-3.75),
                Exponent("ReLU", over="error", limit=-2.25, better="higher", decides=False),
            ),
            notes="A quarter is left for the finite range of sizes. What training finds is another matter.",
        ),
        Claim(
            key="no-overhead",
            text="A training step with PolyNorm takes at most 10 % longer than one with SwiGLU or GELU of equal size.",
            source="section 4 (no significant overhead); the bound of 10 % is ours",
            kind="comparison",
            experiment=_TIMED,
            requires=(
                Contrast("PolyNorm", "SwiGLU", metric="seconds", margin=-0.10, relative=True),
                Contrast("PolyNorm", "GELU", metric="seconds", margin=-0.10, relative=True),
                Contrast("PolyReLU", "SwiGLU", metric="seconds", margin=-0.10, relative=True, decides=False),
            ),
        ),
        Claim(
            key="higher-rank",
            text=(
                "Trained with PolyNorm, the feed-forward matrices have a higher effective rank than with SwiGLU and "
                "GELU, and neighbouring layers are less alike."
            ),
            source="section 4.4 (analysis)",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("PolyNorm", "SwiGLU", "effective_rank_in", "higher"),
                Contrast("PolyNorm", "GELU", "effective_rank_in", "higher"),
                Contrast("PolyNorm", "SwiGLU", "effective_rank_out", "higher", decides=False),
                Contrast("PolyNorm", "GELU", "effective_rank_out", "higher", decides=False),
                Contrast("PolyNorm", "GELU", "layer_similarity", "lower"),
            ),
            notes="Ranks are shares of the smaller side of each matrix, since the matrices differ in shape.",
        ),
    ),
)
