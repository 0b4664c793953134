"""PPGT: three small changes that make a plain Transformer strong on graphs (Ma et al., 2025)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="ppgt",
    title="Plain Transformers Can be Powerful Graph Learners",
    date="2025-04-16",
    arxiv="2504.12588",
    authors=("Liheng Ma", "Soumyasundar Pal", "Yingxue Zhang", "Philip H. S. Torr", "Mark Coates"),
    venue="Transactions on Machine Learning Research 2026",
    journal=True,
    code="https://github.com/LiamMa/PPGT",
    licence="MIT",
    domains=("graphs",),
    slots=("stem", "position", "token mixer", "norm"),
    summary=(
        "PPGT runs an ordinary pre-norm Transformer over the nodes of a graph, without message passing, and changes "
        "three things. Attention compares queries and keys by distance instead of by inner product. The norm keeps the "
        "length of a token when it is worth keeping, because the size of a neighbourhood hides in lengths that usual "
        "norms erase. And random-walk probabilities of every pair of nodes, lifted by sines, pass through a small "
        "network that biases and gates attention. The aim is to bring graphs into the same architecture as text and "
        "images without giving up the power to tell graphs apart; it matters to people working on molecules, networks "
        "and multimodal models."
    ),
    honesty=(
        "The tables of the paper could not be read: BREC totals come from a public review of its third version and the "
        "split of three categories is inferred; ZINC, MNIST and CLUSTER results are recalled and unverified, PCQM4Mv2 "
        "is unverified. The released attention drops the factor 1/sqrt(d) on the inner product but keeps it on the key "
        "norm, so only the paper's form is a distance. Published runs also use the multiplicative gate after the "
        "softmax. One edge encoder of the code appends the number of nodes where its reciprocal is meant, unused by "
        "the published configurations."
    ),
    claims=(
        Claim(
            key="magnitude-kept",
            text=(
                "On telling multisets apart whose elements repeat up to three times, distance attention with the "
                "adaptive norm is more accurate than inner products with RMSNorm, and each change alone lies between."
            ),
            source="abstract, changes 1 and 2",
            kind="comparison",
            notes="LayerNorm is a third norm to include.",
        ),
        Claim(
            key="norms-erase-scale",
            text=(
                "RMSNorm gives the same output for a token and for any positive multiple of it; the adaptive norm does "
                "not, unless its slope is zero, and with slope 1 and offset 0 it is the identity."
            ),
            source="section on adaptive normalisation",
            kind="exact",
        ),
        Claim(
            key="distance-attention",
            text=(
                "The simplified attention equals a softmax over negative squared distances between queries and keys, "
                "and does not change when one vector is added to all of both."
            ),
            source="section on simplified L2 attention",
            kind="exact",
            notes="Holds for the paper's scale, not for that of the released code.",
        ),
        Claim(
            key="realised-expressivity",
            text=(
                "On BREC the model separates more pairs than the same backbone with inner products and RMSNorm, and "
                "than GRIT (218)."
            ),
            source="abstract; BREC, 234 of 400 pairs",
            kind="comparison",
            notes=(
                "With these random-walk features no model can exceed the number of pairs that refinement by them "
                "separates (236 by an exact computation); more than that is a leak."
            ),
        ),
        Claim(
            key="theoretical-ceiling",
            text=(
                "Colour refinement with random-walk probabilities up to 32 steps separates 236 of the 400 BREC pairs, "
                "1-WL separates none, and a graph is never separated from itself with its nodes relabelled."
            ),
            source="abstract ('consistent with its theoretical expressivity')",
            kind="exact",
            notes="The number 236 was computed for this library, not by the authors.",
        ),
        Claim(
            key="sines-help",
            text=(
                "With sines of the random-walk probabilities the model separates more of the CFI pairs of BREC than "
                "without."
            ),
            source="ablation of the pre-encoding (CFI pairs: 24 against 8)",
            kind="comparison",
        ),
        Claim(
            key="real-graphs",
            text=(
                "On regressing properties of molecules with at most 500 thousand parameters, its error is below that "
                "of GIN and no higher than that of GRIT-style attention."
            ),
            source="abstract; ZINC mean absolute error 0.0566 (unverified)",
            kind="comparison",
            notes="ZINC must be supplied; the mean of four seeds at the best validation epoch is the convention.",
        ),
        Claim(
            key="encoding-is-the-limit",
            text=(
                "Replacing random-walk features by a richer subgraph encoding, with the same backbone, raises the "
                "share of BREC pairs separated."
            ),
            source="BREC, 58.5 against 76 %",
            kind="comparison",
        ),
    ),
)
