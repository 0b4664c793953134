"""ComplexFormer: attention between complex queries and keys, an angle learned per head (Shao et al., 2025)."""

from typing import Any

from formarium.checks import Check, at_most, below, equal
from formarium.lab.claim import Card, Claim, Comparison, Contrast, Exact, Measurement, Setting, Variant

_OFFICIAL = "EulerRoPE(start='random', scale=1.0)"

_TRAINED = Comparison(
    task="Language",
    model="Decoder(width=96, depth=4, heads=4)",
    training="Training(batch_size=8, learning_rate=0.003)",
    variants=(
        Variant("RoPE", {"position": "RoPE"}),
        Variant(
            "complex attention",
            {"position": _OFFICIAL},
            note="as in the author's code: slopes start at random near 0, scores are not divided by sqrt(K)",
        ),
        Variant(
            "complex attention from RoPE",
            {"position": "EulerRoPE"},
            note="our start: slope 1, offset 0 and the usual scale, which is RoPE at the first step",
        ),
        Variant(
            "RoPE without scale",
            {"position": "RoPE", "token_mixer.scale": 1.0},
            note="control: what leaving out 1/sqrt(K) does by itself",
        ),
        Variant(
            "slope 1",
            {"position": "EulerRoPE(slope=1.0)"},
            note="control: RoPE with a trainable phase offset for each head and channel pair, and nothing else",
        ),
        Variant(
            "slope 0",
            {"position": "EulerRoPE(slope=0.0)"},
            note="control: magnitudes and distance only, the phases of queries and keys are not heard",
        ),
        Variant(
            "one for all heads",
            {"position": "EulerRoPE(tied=True)"},
            note="control: the heads of a layer share slopes and offsets",
        ),
        Variant(
            "trainable frequencies",
            {"position": "CARoPE(content=False)"},
            note="control: one trainable constant frequency a head, no phase of the content",
        ),
        Variant(
            "smooth phase",
            {"position": "EulerRoPE(phase='smooth')"},
            note="our variant: the score does not jump where a phase crosses pi",
        ),
    ),
    probes=("formarium.papers.complexformer:head_spread", "formarium.papers.complexformer:repeated_text"),
    settings={
        "demo": Setting(
            model={"width": 64, "depth": 2},
            task={"evaluation_tokens": 16384},
            learning_rates=(1.0,),
            minutes=2.0,
            steps=300,
            variants=(
                "RoPE",
                "complex attention",
                "complex attention from RoPE",
                "RoPE without scale",
                "slope 1",
                "slope 0",
                "one for all heads",
                "trainable frequencies",
            ),
        ),
        "laptop": Setting(seeds=5, minutes=45.0, steps=300),
        "gpu": Setting(
            model={"width": 384, "depth": 6, "heads": 6},
            task={"context": 512, "tokenizer": "bpe:4096"},
            training={"batch_size": 64, "learning_rate": 0.001, "precision": "bf16-mixed", "compile": True},
            minutes=28.0,
        ),
        # The repository's configuration; a rate of 1e-5, as it stands there, is low for a model that starts from
        # nothing, so that higher ones are tried beside it.
        "paper": Setting(
            model={"width": 512, "depth": 8, "heads": 8, "channel_mixer.hidden": 512, "channel_mixer.bias": True},
            task={
                "context": 1024,
                "tokenizer": "FacebookAI/xlm-roberta-base",
                "corpus": "hf:Skylion007/openwebtext",
            },
            training={
                "batch_size": 2,
                "accumulation": 4,
                "learning_rate": 1e-5,
                "weight_decay": 0.0,
                "warmup": 0.05,
                "final": 0.0,
                "precision": "bf16-mixed",
                "compile": True,
            },
            learning_rates=(1.0, 10.0, 30.0),
            steps=1_100_000,
        ),
    },
)

_LEAK = Measurement(
    function="formarium.papers.complexformer:next_token_losses",
    timed=False,
    settings={
        "demo": Setting(options={"width": 64, "depth": 2, "heads": 4, "context": 64, "batch": 8, "steps": 400}),
        "laptop": Setting(options={"width": 64, "depth": 2, "heads": 4, "context": 128, "batch": 8, "steps": 2000}),
        "gpu": Setting(options={"width": 384, "depth": 6, "heads": 6, "context": 512, "batch": 32, "steps": 4000}),
        "paper": Setting(options={"width": 512, "depth": 8, "heads": 8, "context": 1024, "batch": 8, "steps": 20000}),
    },
)

_VARIANTS = {"RoPE": {"position": "RoPE"}, "complex attention": {"position": _OFFICIAL}}


def _timed(model: str, **options: Any) -> Setting:
    return Setting(seeds=5, options={"model": model, "variants": _VARIANTS, **options})


_TIMED = Measurement(
    function="formarium.lab.timing:step_seconds",
    settings={
        "demo": _timed("Decoder(width=128, depth=4, heads=4)", batch=2, length=256, repeats=5),
        "laptop": _timed("Decoder(width=384, depth=12, heads=6)", batch=1, length=512, repeats=8),
        "gpu": _timed("Decoder(width=384, depth=12, heads=6)", batch=32, length=512, repeats=20, compiled=True),
        "paper": _timed("Decoder(width=512, depth=8, heads=8)", batch=8, length=1024, repeats=50, compiled=True),
    },
)


def head_spread(model: Any, task: Any) -> dict[str, float]:
    """How far the heads of a layer are apart: the deviation of slopes and of offsets between them.

    The mean over layers and channel pairs. ``slope_growth``, where slopes began at random, divides that of the slopes
    by the expected one of the start; where they began equal, any spread is learned. Nothing for other positions.
    """
    import torch

    from formarium.parts import EulerRoPE

    positions = [module for module in model.modules() if isinstance(module, EulerRoPE)]
    found: dict[str, float] = {}
    for name in ("slope", "offset"):
        tables = [p.detach() for position in positions if (p := getattr(position, name)) is not None]
        if tables:
            found[f"{name}_spread"] = float(torch.stack([t.std(dim=0, correction=0).mean() for t in tables]).mean())
    first = positions[0].slope if positions and positions[0].config.start == "random" else None
    if first is not None and len(first) > 1:
        heads, pairs = first.shape
        found["slope_growth"] = found["slope_spread"] / (pairs**-0.5 * (1 - 1 / heads) ** 0.5)
    return found


def repeated_text(model: Any, task: Any) -> dict[str, float]:
    """The loss on a passage that the model has just read word for word: how well it makes use of what came before.

    ``repeated_loss``: half a context of text, twice, the second time scored. ``repeated_loss@2x``: a whole context,
    twice, at twice the length of the training.
    """
    import torch
    import torch.nn.functional as F

    device = next(model.parameters()).device
    tokens = next(task.batches(32, seed=1_000_003))["tokens"].to(device)
    found = {}
    for name, length in (("repeated_loss", tokens.shape[1] // 2), ("repeated_loss@2x", tokens.shape[1])):
        passage = tokens[:, :length]
        with torch.no_grad():
            scores = model(torch.cat([passage, passage], dim=1))[:, length - 1 : -1]
        found[name] = float(F.cross_entropy(scores.flatten(0, 1).float(), passage.flatten()))
    return found


def next_token_losses(
    seed: int, width: int, depth: int, heads: int, context: int, batch: int, steps: int, corpus: str = "stdlib"
) -> dict[str, dict[str, float]]:
    """Validation losses of next-token training with the causal mask and without it, complex attention and RoPE.

    Without the mask (an encoder in place of the decoder) the token to be predicted is among those that are read.
    """
    from formarium.config import parse
    from formarium.models import Decoder, Encoder
    from formarium.tasks import Language
    from formarium.training import Training
    from formarium.training.harness import fit

    task = Language(Language.Config(corpus=corpus, context=context, evaluation_tokens=16384))
    task.prepare()
    known = task.tokenizer.vocabulary
    training = Training(steps=steps, batch_size=batch)
    found = {}
    for name, position in (("complex attention", _OFFICIAL), ("RoPE", "RoPE")):
        own: dict[str, Any] = {
            "vocabulary": known,
            "width": width,
            "depth": depth,
            "heads": heads,
            "position": parse(position),
            "max_length": context,
        }
        for mask, config in (
            ("with the mask", Decoder.Config(tied=False, **own)),
            ("without the mask", Encoder.Config(outputs=known, **own)),
        ):
            _, result = fit(config, task, training, seed=seed, metrics=("loss",), show=False)
            found[f"{name} {mask}"] = {"loss": float(result.metrics["loss"])}  # type: ignore[arg-type]
    return found


def causality(seed: int) -> list[Check]:
    """Whether scores stay to the last bit when later tokens change, and whether decoding with kept keys gives them."""
    import torch

    from formarium.config import parse
    from formarium.models import Decoder
    from formarium.parts import EulerRoPE

    torch.manual_seed(seed)
    model = Decoder(Decoder.Config(width=64, depth=3, heads=4, position=parse(_OFFICIAL), init_std=0.2)).double()
    for module in model.modules():
        if isinstance(module, EulerRoPE) and module.offset is not None:
            module.offset.data.normal_()
    tokens = torch.randint(256, (2, 48))
    with torch.no_grad():
        scores = model(tokens)
        moved = 0.0
        for first in (1, 17, 47):
            changed = tokens.clone()
            changed[:, first:] = torch.randint(256, changed[:, first:].shape)
            moved = max(moved, float((model(changed)[:, :first] - scores[:, :first]).abs().max()))
        state = model.new_state(2, 48)
        steps = [model.step(tokens[:, :20], state)] + [model.step(tokens[:, i : i + 1], state) for i in range(20, 48)]
        decoded = float((torch.cat(steps, dim=1) - scores).abs().max())
    return [
        equal("scores do not hear later tokens", moved, 0.0),
        at_most("decoding with kept keys agrees", decoded, 1e-10),
    ]


def parameters(seed: int) -> list[Check]:
    """What complex attention adds to a decoder with RoPE, at several shapes and at the repository's 8 x 512."""
    from formarium.config import parse
    from formarium.lab.matching import count_parameters
    from formarium.models import Decoder

    found = []
    for width, depth, heads in ((64, 1, 1), (96, 4, 6), (512, 8, 8)):
        base = Decoder.Config(width=width, depth=depth, heads=heads)
        rope = count_parameters(base)
        added = count_parameters(base.replace(position=parse(_OFFICIAL))) - rope
        name = f"parameters added to {depth} layers of width {width}"
        found.append(equal(name, added, depth * width))
    share = added / rope
    found.append(below("share of the model of 8 x 512", share, 2e-4))
    return found


CARD = Card(
    slug="complexformer",
    title=(
        "ComplexFormer: Disruptively Advancing Transformer Inference Ability via Head-Specific Complex Vector Attention"
    ),
    date="2025-05-15",
    arxiv="2505.10222",
    authors=("Jintian Shao", "Hongyi Huang", "Jiayi Wu", "Beiwen Zhang", "ZhiYu Wu", "You Shan", "MingKai Zheng"),
    code="https://github.com/shaojintian/complexFormer",
    licence="none",
    domains=("language",),
    slots=("position", "token mixer"),
    summary=(
        "ComplexFormer reads the query and the key of every attention head as complex numbers, one per pair of "
        "channels, and scores them in polar form: the magnitudes multiply, and the angle is a learned affine function "
        "of the phase difference between the two tokens plus RoPE's rotation for their distance. Each head and channel "
        "has its own slope and offset, so one head may listen to content and another to distance. Values and the "
        "output projection stay real. It is for designers of language models who want content and position in one "
        "formula at almost no extra parameters; since the score factors into turned queries and turned keys, ordinary "
        "fused attention kernels can compute it."
    ),
    honesty=(
        "Withdrawn by its first author on 27 May 2025 (version 2); no reason is recorded. The body of the paper was "
        "not available, so the equations rest on the abstract and the author's repository, and no result of the paper "
        "is quoted. That repository builds a causal mask for its language model and then does not apply it, so "
        "training there sees the future; whether the paper's runs took this path is unknown. The repository does not "
        "run as it stands, and its training and decoding files disagree, because the first casts the frequencies to "
        "bfloat16."
    ),
    parts=("EulerRoPE",),
    model="Decoder(position=EulerRoPE(start='random', scale=1.0))",
    built=True,
    claims=(
        Claim(
            key="causal",
            text="The scores of the language model at a position do not change when later tokens change.",
            source="official code (a control, not a sentence of the paper)",
            kind="exact",
            experiment=Exact.everywhere(f"{__name__}:causality"),
            notes=(
                "Of our model, before anything is measured with it. The published code builds a causal mask and then "
                "does not apply it."
            ),
        ),
        Claim(
            key="leak-explains-low-losses",
            text=(
                "Trained on next tokens without the causal mask, as in the published code, the same model brings its "
                "loss towards zero by copying the token it is asked for, and RoPE does as well."
            ),
            source="official code (a control, not a sentence of the paper)",
            kind="comparison",
            experiment=_LEAK,
            requires=(
                Contrast("complex attention without the mask", better="lower", margin=0.1),
                Contrast("complex attention without the mask", "complex attention with the mask", margin=1.0),
                Contrast("RoPE without the mask", better="lower", margin=0.1, decides=False),
                Contrast("RoPE without the mask", "RoPE with the mask", margin=1.0, decides=False),
            ),
            notes=(
                "Decides whether any low perplexity of the published code means anything: without the mask it is "
                "leakage, whatever the attention. Nats a byte of Python's own sources."
            ),
        ),
        Claim(
            key="lower-perplexity",
            text=(
                "At equal parameters and tokens, a causal decoder with complex multi-head attention reaches a lower "
                "validation loss than the same decoder with RoPE."
            ),
            source="abstract",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("complex attention", "RoPE"),
                Contrast("complex attention from RoPE", "RoPE", decides=False),
                Contrast("smooth phase", "RoPE", decides=False),
                Contrast("RoPE without scale", "RoPE", decides=False),
                Contrast("slope 1", "RoPE", decides=False),
                Contrast("trainable frequencies", "RoPE", decides=False),
            ),
            notes=(
                "The attention of the author's code, causal, in our decoder; the block of that code has no residual "
                "around its feed-forward. The paper names language modelling, text and code generation and "
                "mathematics, without data splits, and no number of it is known."
            ),
        ),
        Claim(
            key="lower-perplexity-from-rope",
            text=(
                "Started at RoPE, complex attention reaches a lower validation loss than RoPE: the idea at its best, "
                "whatever the start of the published code does."
            ),
            source="abstract, with our start",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("complex attention from RoPE", "RoPE"),
                Contrast("complex attention from RoPE", "complex attention", decides=False),
                Contrast("smooth phase", "complex attention from RoPE", decides=False),
            ),
        ),
        Claim(
            key="angle-and-not-its-company",
            text=(
                "It is the angle between contents that helps: started at RoPE, complex attention beats RoPE with a "
                "trainable phase offset alone and with trainable frequencies alone, and as published it beats RoPE "
                "without the scale that it leaves out."
            ),
            source="the abstract's claim, isolated by our controls",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("complex attention from RoPE", "slope 1"),
                Contrast("complex attention from RoPE", "trainable frequencies"),
                Contrast("complex attention", "RoPE without scale"),
            ),
        ),
        Claim(
            key="long-context",
            text=(
                "At two and at four times the length it was trained at, the decoder with complex attention has a lower "
                "validation loss than the decoder with RoPE."
            ),
            source="abstract ('improved long-context coherence')",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("complex attention", "RoPE", metric="loss@2x"),
                Contrast("complex attention", "RoPE", metric="loss@4x"),
                Contrast("complex attention from RoPE", "RoPE", metric="loss@2x", decides=False),
                Contrast("complex attention from RoPE", "RoPE", metric="loss@4x", decides=False),
                Contrast("slope 1", "RoPE", metric="loss@2x", decides=False),
                Contrast("trainable frequencies", "RoPE", metric="loss@2x", decides=False),
                Contrast("complex attention", "RoPE", metric="repeated_loss", decides=False),
                Contrast("complex attention", "RoPE", metric="repeated_loss@2x", decides=False),
            ),
            notes=(
                "The paper defines no metric of coherence. Beside the losses stands that on a passage which the model "
                "has just read word for word (repeated_loss)."
            ),
        ),
        Claim(
            key="parameter-efficiency",
            text=(
                "Complex attention adds exactly as many parameters per layer as the model is wide (two per head and "
                "channel pair): 4,096 for 8 layers of width 512, under 0.02 % of that model."
            ),
            source="abstract and official code",
            kind="exact",
            experiment=Exact.everywhere(f"{__name__}:parameters"),
            notes="Equal parameters do not mean equal cost, which is a claim of its own.",
        ),
        Claim(
            key="cheap",
            text="A training step with complex attention takes at most 15 % longer than one with RoPE.",
            source="our bound; the paper speaks of efficiency in parameters only",
            kind="comparison",
            experiment=_TIMED,
            requires=(Contrast("complex attention", "RoPE", metric="seconds", margin=-0.15, relative=True),),
            notes=(
                "With the score factored into turned queries and keys. The published code computes a cosine for every "
                "pair of tokens and channels instead."
            ),
        ),
        Claim(
            key="heads-differ",
            text=(
                "Slopes and offsets learned per head reach a lower validation loss than slopes and offsets tied across "
                "the heads of a layer."
            ),
            source="abstract ('each head learns distinct strategies')",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("complex attention from RoPE", "one for all heads"),
                Contrast(
                    "complex attention from RoPE", metric="slope_spread", better="higher", margin=0.1, decides=False
                ),
                Contrast(
                    "complex attention from RoPE", metric="offset_spread", better="higher", margin=0.1, decides=False
                ),
                Contrast("complex attention", metric="slope_growth", better="higher", margin=1.0, decides=False),
            ),
            notes=(
                "The spreads are deviations between the heads of a layer after training, offsets in radians; slopes "
                "that started at random are held against the spread of their start."
            ),
        ),
        Claim(
            key="adaptive-angle",
            text=(
                "With the slope of the phase difference learned, the validation loss is lower than with it frozen at 1 "
                "(RoPE with an offset) and than with it frozen at 0 (magnitudes and distance only)."
            ),
            source="abstract",
            kind="comparison",
            experiment=_TRAINED,
            requires=(
                Contrast("complex attention from RoPE", "slope 1"),
                Contrast("complex attention from RoPE", "slope 0"),
                Contrast("slope 0", "RoPE", decides=False),
            ),
            notes=(
                "For a slope that is not an integer the score jumps where a phase crosses the cut at plus or minus pi."
            ),
        ),
    ),
)
