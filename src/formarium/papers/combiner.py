"""Combiner: full attention by way of regions (Ren et al., 2021)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="combiner",
    title="Combiner: Full Attention Transformer with Sparse Computation Cost",
    date="2021-07-12",
    arxiv="2107.05768",
    authors=("Hongyu Ren", "Hanjun Dai", "Zihang Dai", "Mengjiao Yang", "Jure Leskovec", "Dale Schuurmans", "Bo Dai"),
    venue="NeurIPS 2021",
    code="https://github.com/google-research/google-research/tree/master/combiner",
    licence="Apache-2.0",
    domains=("language", "images"),
    slots=("token mixer",),
    summary=(
        "Sparse attention is cheap because each token sees only a few others. Combiner keeps the cost and drops the "
        "blindness: attention is an expectation over all earlier tokens; those nearby are treated one by one, the rest "
        "is grouped into regions, and a region contributes the expectation of its own attention, computed once and "
        "shared by all who look at it. A pattern of sparse attention (segments, powers of two, rows and columns) "
        "defines the regions, and a full-attention counterpart follows. It replaces attention layers as they are, and "
        "is meant for long texts and for images generated pixel by pixel."
    ),
    honesty=(
        "The paper was read, and the code exists in two versions that differ: the TensorFlow one replaces running "
        "maxima by running sums and double-counts tokens in some modes, the JAX one miscounts its levels when the "
        "length is a power of two plus one. Which version produced which number is not stated. Regions are summarised "
        "by maximum pooling, which ignores how many equal tokens a region holds. The text gives a gain of 0.626 where "
        "its table gives 0.616."
    ),
    claims=(
        Claim(
            key="full-support",
            text=(
                "In every variant each output depends on every allowed token, its weights are non-negative and sum to "
                "one, and no later token has any influence."
            ),
            source="abstract",
            kind="exact",
        ),
        Claim(
            key="subquadratic",
            text=(
                "From 1 to 16 thousand tokens, time grows with an exponent of at most 1.6 for segments of about the "
                "square root of the length, and 1.2 for the dyadic form."
            ),
            source="abstract; L log L or L sqrt L",
            kind="scaling",
            notes="Dense attention, with exponent 2, is the reference.",
        ),
        Claim(
            key="beats-its-pattern",
            text=(
                "For each sparse pattern (fixed segments, dyadic, axial) the Combiner made from it has a lower loss "
                "than the pattern at equal parameters and steps."
            ),
            source="abstract; Table 1",
            kind="comparison",
            notes=(
                "Retrieval from a far place in one layer separates them sharply: the bare dyadic and axial patterns "
                "cannot see it."
            ),
        ),
        Claim(
            key="longer-context",
            text=(
                "At a memory budget that stops dense attention at 2 thousand tokens, a Combiner over 8 thousand has "
                "the lower perplexity."
            ),
            source="Table 3 (16.49 against 17.26 perplexity)",
            kind="comparison",
        ),
        Claim(
            key="mixture",
            text="Combining the vertical and the horizontal factorisation has a lower loss than the better of the two.",
            source="Table 1 (3.040 against 3.050 bits per dimension)",
            kind="comparison",
            notes="The published difference is small.",
        ),
        Claim(
            key="state-of-the-art",
            text=(
                "The axial Combiner models CIFAR-10 with 2.77 and ImageNet-64 with 3.42 bits per dimension, below the "
                "Sparse Transformer and Routing Transformer."
            ),
            source="abstract; Table 2 (2.77 and 3.42 bits per dimension)",
            kind="comparison",
            notes="Networks of 128 and 30 layers.",
        ),
        Claim(
            key="locally-low-rank",
            text="The effective attention matrix has rank one within each region of the fixed form.",
            source="method",
            kind="exact",
        ),
        Claim(
            key="drop-in",
            text="With segments of one token, or one segment for all, the fixed form equals dense causal attention.",
            source="method",
            kind="exact",
        ),
    ),
)
