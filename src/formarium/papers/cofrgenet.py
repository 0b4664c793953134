"""CoFrGeNet: continued fractions in place of attention and feed-forward (Dhurandhar et al., 2026)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="cofrgenet",
    title="CoFrGeNet: Continued Fraction Architectures for Language Generation",
    date="2026-01-29",
    arxiv="2601.21766",
    authors=(
        "Amit Dhurandhar",
        "Vijil Chenthamarakshan",
        "Dennis Wei",
        "Tejaswini Pedapati",
        "Karthikeyan Natesan\N{NO-BREAK SPACE}Ramamurthy",
        "Rahul Nair",
    ),
    venue="ICML 2026",
    domains=("language",),
    slots=("token mixer", "channel mixer", "training"),
    summary=(
        "A continued fraction of linear forms is a flexible function with few parameters. CoFrGeNet builds language "
        "models from such ladders: one component replaces the feed-forward network, two others replace attention. The "
        "division at each rung is the danger, so the authors rewrite value and gradient with polynomials that need a "
        "single division, and release the deeper rungs only late in training. They report models with half to two "
        "thirds of the parameters that match GPT-2 XL and a Llama of 3.2 billion. It is meant for those who pay for "
        "pre-training and serving, and for students of unusual function classes."
    ),
    honesty=(
        "No official code is public. Ladder and gradient are certain; the layout of the three components is known from "
        "summaries and parameter formulas, and where those leave a choice, ours is marked as such. Published totals "
        "cannot be obtained from the published formulas. An independent replication of the feed-forward form at 82M to "
        "410M did not reproduce the claim (WikiText-2 perplexity 110 against 41) and ran about 3.5 times slower. With "
        "a small initialisation and odd depth the fractions start at their poles. The arXiv comment says an earlier "
        "version was accepted to ICML 2026; IBM holds a patent application on the predecessor (US 20230401438)."
    ),
    claims=(
        Claim(
            key="fewer-parameters",
            text=(
                "A decoder whose feed-forward blocks are ladders, with at most two thirds of the parameters, has a "
                "validation loss within 0.02 nats of the ordinary decoder."
            ),
            source="abstract (1/2 to 2/3 of the parameters)",
            kind="comparison",
            notes=(
                "The margin is ours. The decisive opponents have the ladders' parameter count: a feed-forward made "
                "narrow, and the linear part of the component alone. If the ladders beat neither, they add nothing."
            ),
        ),
        Claim(
            key="attention-replaced",
            text=(
                "With attention replaced as well, the validation loss stays within 0.05 nats of the ordinary decoder's."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "The margin is ours. The reported default needs only a token's own features for its attention row, as "
                "in dense synthesizers, which are the peer."
            ),
        ),
        Claim(
            key="gradient-formula",
            text=(
                "The partial derivative of a fraction by its k-th term is (-1)^k (K_(d-k) / K_d)^2, equal to automatic "
                "differentiation of the recursion to 1e-10 in float64 away from poles."
            ),
            source="Proposition 1",
            kind="exact",
        ),
        Claim(
            key="gradient-faster",
            text=(
                "Forward and backward through the continuant form take less time than through the recursion with a "
                "division at each rung, from five rungs on."
            ),
            source="abstract; 628 against 5,898 microseconds at inference",
            kind="comparison",
            notes="The paper's ninefold gain is for its own layers.",
        ),
        Claim(
            key="gradient-accurate",
            text=(
                "In float32, gradients of the custom form are closer to float64 than those of automatic "
                "differentiation through the recursion, near the poles too."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "Inside the guard zone the custom gradient is a surrogate and differs from that of the clamped value."
            ),
        ),
        Claim(
            key="dyadic-schedule",
            text=(
                "Releasing the rungs late, depth i in the last 1/2^i of training, gives a lower loss than training all "
                "from the start."
            ),
            source="ablation (WikiText-2 perplexity 17.12 to 26.71 without it)",
            kind="comparison",
        ),
        Claim(
            key="plug-in",
            text=(
                "The components replace attention or feed-forward in a causal decoder without other changes: causality "
                "holds, and decoding token by token equals the full pass."
            ),
            source="abstract",
            kind="exact",
        ),
        Claim(
            key="shorter-training",
            text="Training processes more tokens per second than the ordinary decoder with the same number of layers.",
            source="abstract; 178 against 203 hours",
            kind="comparison",
            notes=(
                "The replication without fused kernels found 2.7 to 3.5 times fewer. 203 hours belong to the form with "
                "a division at each rung."
            ),
        ),
        Claim(
            key="function-class",
            text=(
                "At equal parameters, ladders fit rational targets such as 1/(1 + 25 x^2) with less error than an MLP."
            ),
            source="section on the function class",
            kind="comparison",
        ),
    ),
)
