"""A survey of techniques for faster Transformer inference (Chitty-Venkata et al., 2023)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="inference-survey",
    title="A Survey of Techniques for Optimizing Transformer Inference",
    date="2023-07-16",
    arxiv="2307.07982",
    authors=("Krishna Teja Chitty-Venkata", "Sparsh Mittal", "Murali Emani", "Venkatram Vishwanath", "Arun K. Somani"),
    venue="Journal of Systems Architecture 2023",
    journal=True,
    volume="144",
    pages="102990",
    domains=("compression",),
    slots=("compression", "training"),
    summary=(
        "This survey orders the ways to make a trained Transformer cheaper to run: learning from a teacher, pruning, "
        "quantising, searching for architectures and designing light ones, and, below them, kernels and accelerators. "
        "It tabulates parameters, operations and accuracy as its sources give them, and names combinations and "
        "hardware-aware search as open ground. In this library it becomes a set of tools with one way of measuring: "
        "size, operations, latency and accuracy before and after, on the reader's own machine. It is useful to anyone "
        "who has a model that works but is too slow or too large."
    ),
    honesty=(
        "A survey proposes no model and has no code. Only its abstract and opening were readable; the list of methods "
        "follows its taxonomy and the standard literature. Numbers that it quotes come from the methods' own papers "
        "under differing conventions (operations counted once or twice, sparsity with or without embeddings, best or "
        "median seed) and are unverified, so none is repeated here as a result."
    ),
    claims=(
        Claim(
            key="each-family-helps",
            text=(
                "Each of the five families (distillation, pruning, quantisation, architecture search, light design) "
                "yields a model that no model trained from scratch for the same budget beats in both cost and "
                "accuracy."
            ),
            source="abstract",
            kind="comparison",
            notes="The smaller model trained from scratch is the baseline that the literature often leaves out.",
        ),
        Claim(
            key="techniques-compose",
            text="Distilling, pruning and quantising together give a higher accuracy than each alone at equal size.",
            source="open directions",
            kind="comparison",
        ),
        Claim(
            key="hardware-exact",
            text=(
                "Fused attention gives the outputs of the unfused form to 1e-5 and takes less time from 512 tokens on."
            ),
            source="abstract, hardware level",
            kind="comparison",
        ),
        Claim(
            key="masks-need-shrinking",
            text=(
                "Zeroing half of the weights of a dense model does not reduce its latency by more than 5 %; removing "
                "the same share physically does."
            ),
            source="pruning section (a control, not a sentence of the paper)",
            kind="comparison",
        ),
        Claim(
            key="int8-on-cpu",
            text=(
                "Dynamic int8 quantisation reduces latency on a CPU with int8 instructions and at least halves the "
                "size, at a relative error of the logits below 5 %."
            ),
            source="quantisation section",
            kind="comparison",
            notes="Depends on the processor; schemes that quantise weights only may be slower without fused kernels.",
        ),
        Claim(
            key="exact-counts",
            text=(
                "A model that has been shrunk gives the outputs of its masked form, and its counted parameters and "
                "operations equal the closed formulas."
            ),
            source="abstract, quantitative comparison",
            kind="exact",
        ),
    ),
)
