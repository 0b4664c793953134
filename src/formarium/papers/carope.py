"""Context-aware Rotary Position Embedding (Veisi, Fartoot and Amirzadeh 2025)."""

import statistics
from typing import Any

from formarium.checks import Check, below
from formarium.lab.claim import Card, Claim, Comparison, Contrast, Exact, Measurement, Setting, Variant

_MAIN = ("RoPE", "CARoPE", "trainable frequencies", "ALiBi", "NoPE")

_TRAINED = Comparison(
    task="Language",
    model="Decoder(width=96, depth=3, heads=4)",
    training="Training(batch_size=8, learning_rate=0.003)",
    variants=(
        Variant("RoPE", {"position": "RoPE"}),
        Variant("CARoPE", {"position": "CARoPE"}, note="with the bias that makes it RoPE at the first step"),
        Variant(
            "CARoPE to the letter",
            {"position": "CARoPE(bias=False, start='random')"},
            note="the paper's formula: no bias, W random, so no start at RoPE",
        ),
        Variant(
            "trainable frequencies",
            {"position": "CARoPE(content=False)"},
            note="control: one trainable constant frequency a head, no context",
        ),
        Variant("ALiBi", {"position": "ALiBi"}, note="control: made for extrapolation"),
        Variant("NoPE", {"position": "NoPE"}, note="control: no positions"),
        Variant(
            "RoPE in a window",
            {"position": "RoPE", "token_mixer.window": 128},
            note="control: never attends further than it was trained to",
        ),
    ),
    probes=("formarium.papers.carope:advance",),
    settings={
        "demo": Setting(
            model={"width": 64, "depth": 2},
            task={"evaluation_tokens": 16384},
            learning_rates=(1.0,),
            minutes=1.2,
            steps=400,
            variants=("RoPE", "CARoPE", "trainable frequencies"),
        ),
        "laptop": Setting(seeds=5, minutes=28.0, steps=180),
        "gpu": Setting(
            model={"width": 384, "depth": 6, "heads": 6},
            task={"context": 512, "tokenizer": "bpe:4096"},
            training={"batch_size": 64, "learning_rate": 0.001, "precision": "bf16-mixed", "compile": True},
            minutes=28.0,
            variants=_MAIN,
        ),
        "paper": Setting(
            model={
                "width": 768,
                "depth": 12,
                "heads": 12,
                "norm": "LayerNorm",
                "channel_mixer": "FeedForward(bias=True)",
                "token_mixer.bias": True,
            },
            task={"context": 512, "tokenizer": "gpt2", "corpus": "hf:HuggingFaceFW/fineweb-edu/sample-10BT"},
            training={
                "batch_size": 32,
                "accumulation": 32,
                "learning_rate": 6e-4,
                "warmup": 0.04,
                "precision": "bf16-mixed",
                "compile": True,
            },
            steps=19000,
            learning_rates=(1.0,),
            variants=_MAIN,
        ),
    },
)

_TIMED = Measurement(
    function="formarium.papers.carope:training_rates",
    settings={
        "demo": Setting(options={"depth": 2, "width": 64, "batch": 2, "repeats": 3}),
        "laptop": Setting(seeds=5, options={"depth": 6, "width": 384, "batch": 2, "repeats": 8}),
        "gpu": Setting(seeds=5, options={"depth": 12, "width": 768, "batch": 32, "repeats": 20}),
        "paper": Setting(seeds=5, options={"depth": 12, "width": 768, "batch": 32, "repeats": 50}),
    },
)


def advance(model: Any, task: Any) -> dict[str, float]:
    """How fast phases grow in a trained model: the mean advance of a token, over layers, heads and channel pairs.

    ``effective_distance`` is sum_i f^i / (K/2), radians a token; RoPE's own mean is the value at the start. Nothing for
    models of other positions.
    """
    import torch

    from formarium.parts import CARoPE

    positions = [module for module in model.modules() if isinstance(module, CARoPE)]
    if not positions:
        return {}
    batch = next(task.batches(4, seed=0))
    with torch.no_grad():
        embeddings = model.stem(batch["tokens"])
        frequencies = [position.frequencies(embeddings) for position in positions]
        steps = [f[..., None] ** p.exponents for f, p in zip(frequencies, positions, strict=True)]
    return {
        "mean_frequency": float(torch.stack(frequencies).mean()),
        "effective_distance": float(torch.stack(steps).mean()),
    }


def training_rates(seed: int, depth: int, width: int, batch: int, repeats: int) -> dict[str, dict[str, float]]:
    """Tokens a second of a forward and backward pass, RoPE and CARoPE in turn: median over repeats."""
    import torch

    from formarium.lab.timing import training_seconds
    from formarium.models import Decoder

    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = Decoder.Config(vocabulary=4096, width=width, depth=depth, heads=max(1, width // 64), max_length=512)
    models = {name: base.override({"position": name}).build().to(device) for name in ("RoPE", "CARoPE")}
    tokens = torch.randint(base.vocabulary, (batch, 512), generator=torch.Generator().manual_seed(seed)).to(device)
    seconds = training_seconds(models, tokens, repeats)
    return {name: {"rate": tokens.numel() / statistics.median(own)} for name, own in seconds.items()}


def starts_at_rope(seed: int, bias: bool) -> list[Check]:
    """Whether a decoder with CARoPE gives the scores of one with RoPE before any training."""
    import torch

    from formarium.models import Decoder

    torch.manual_seed(seed)
    base = Decoder.Config(vocabulary=64, width=128, depth=2, heads=2)
    rope = base.build().double()
    form = "CARoPE" if bias else "CARoPE(bias=False, start='random')"
    carope = base.override({"position": form}).build().double()
    carope.load_state_dict(rope.state_dict(), strict=False)
    if not bias:
        for block in carope.blocks:
            torch.nn.init.zeros_(block.token_mixer.position.weight)
    tokens = torch.randint(64, (2, 96))
    with torch.no_grad():
        difference = float((rope(tokens) - carope(tokens)).abs().max())
    what = "the bias ln(exp(1/theta - 1) - 1)" if bias else "no bias, W = 0"
    return [below(f"scores equal RoPE's with {what}", difference, 1e-6)]


def phases_in_half_precision(seed: int, length: int = 8192) -> list[Check]:
    """How far running sums in bfloat16 and in float32 are from float64 after ``length`` tokens, in radians."""
    import torch

    frequencies = torch.rand(length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 0.5 + 0.5
    exact = frequencies.cumsum(0)
    found = []
    for dtype, limit in ((torch.float32, 0.05), (torch.bfloat16, 0.05)):
        total, sums = torch.zeros((), dtype=dtype), []
        for step in frequencies.to(dtype):
            total = total + step
            sums.append(total)
        error = float((torch.stack(sums).double() - exact).abs().max())
        name = f"running phase in {str(dtype).removeprefix('torch.')} after {length} tokens"
        found.append(below(name, error, limit))
    return found


CARD = Card(
    slug="carope",
    title="Context-aware Rotary Position Embedding",
    date="2025-07-30",
    arxiv="2507.23083",
    authors=("Ali Veisi", "Delaram Fartoot", "Hamidreza Amirzadeh"),
    domains=("language",),
    slots=("position",),
    code="",
    licence="none",
    summary=(
        "RoPE turns queries and keys by an angle that grows evenly with the position, whatever the text says. CARoPE "
        "lets every token and head decide how far the angle advances: a softplus of a linear map of the token gives a "
        "frequency between 0 and 1, and the phase at a position is the running sum of its powers over the prefix. "
        "Distance becomes a matter of content. Whoever trains a decoder at one length and wants to use it at twice that "
        "length should look at it, and at the much simpler constant frequencies that it is compared with here."
    ),
    honesty=(
        "No code was published. What the paper leaves open (which vectors the frequencies read, one map a layer or "
        "one for all, which exponents) are settings of ours. The promised start at RoPE is impossible with the formula "
        "as printed; our bias makes it possible. The paper reports one run without seeds."
    ),
    parts=("CARoPE",),
    model="Decoder(position=CARoPE)",
    built=True,
    claims=(
        Claim(
            key="lower-loss",
            text="At the length it was trained at, CARoPE reaches a lower perplexity than RoPE.",
            source="abstract; table 1 (21.23 against 21.31, one run)",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("CARoPE", "RoPE"),
                Contrast("CARoPE to the letter", "RoPE", decides=False),
                Contrast("trainable frequencies", "RoPE", decides=False),
            ),
        ),
        Claim(
            key="longer-context",
            text="At twice the length it was trained at, CARoPE's loss is far lower than RoPE's.",
            source="abstract; table 1 (21.39 against 56.61 at 1,024 tokens)",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("CARoPE", "RoPE", metric="loss@2x"),
                Contrast("CARoPE", "ALiBi", metric="loss@2x", decides=False),
                Contrast("CARoPE", "NoPE", metric="loss@2x", decides=False),
                Contrast("CARoPE", "RoPE in a window", metric="loss@2x", decides=False),
                Contrast("CARoPE", "RoPE", metric="loss@4x", decides=False),
            ),
            notes="The paper compares with no position that was made for extrapolation; they stand beside the verdict.",
        ),
        Claim(
            key="context-matters",
            text=(
                "What helps is the context: CARoPE beats the same rotation with one trainable constant frequency a head, "
                "at the trained length and at twice that length."
            ),
            source="the title's claim, isolated by our control",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("CARoPE", "trainable frequencies"),
                Contrast("CARoPE", "trainable frequencies", metric="loss@2x"),
            ),
        ),
        Claim(
            key="faster-training",
            text="Training with CARoPE processes more tokens a second than with RoPE.",
            source="section 4 (0.76 against 0.63 million tokens a second)",
            kind="comparison",
            experiment=_TIMED,
            requires=(
                Contrast("CARoPE", "RoPE", metric="rate", better="higher", relative=True),
                Contrast("CARoPE", "RoPE", "rate", "higher", margin=-0.15, relative=True, decides=False),
            ),
            notes="The method adds a product, a power and a running sum to RoPE, so a gain can only come from elsewhere.",
        ),
        Claim(
            key="starts-at-rope",
            text="CARoPE can be initialised so that the model equals one with RoPE.",
            source="section 3, with our bias",
            kind="exact",
            experiment=Exact.everywhere(f"{__name__}:starts_at_rope", bias=True),
        ),
        Claim(
            key="starts-at-rope-as-printed",
            text="The formula as printed, without a bias, can be initialised at RoPE.",
            source="section 3",
            kind="exact",
            experiment=Exact.everywhere(f"{__name__}:starts_at_rope", bias=False),
        ),
        Claim(
            key="phases-survive-half-precision",
            text="The running phases can be summed in training precision, float32 and bfloat16 alike.",
            source="implied by training in bfloat16",
            kind="exact",
            experiment=Exact.everywhere(f"{__name__}:phases_in_half_precision"),
            notes="formarium sums phases in float32 whatever the precision of the model.",
        ),
    ),
)
