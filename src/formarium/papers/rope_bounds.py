"""Bounds on RoPE's base from signal processing (Liu, 2026)."""

from formarium.lab.claim import Card, Claim

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
            notes=(
                "With RoPE's whole bank of frequencies the fast channels still separate the two, so the bound need not "
                "be tight: show both."
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
            notes="The threshold is not known, so ranks are compared, not lengths.",
        ),
        Claim(
            key="depth-compounds",
            text=(
                "The base needed for retrieval at a fixed length grows with depth, like the square root of the number "
                "of layers."
            ),
            source="abstract; base >= context / arccos(threshold^(1/layers))",
            kind="comparison",
            notes=(
                "The null hypothesis is no dependence on depth: each layer rotates its own queries and keys, and the "
                "residual stream never carries the rotation on."
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
            notes=(
                "Four readings must be kept apart: phase as a product with an integer position, cosine alone, tables "
                "or angles in low precision, and a phase accumulated by addition. They do not agree."
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
            notes="The author's table was not available. Depth fails models that work; report margins beside verdicts.",
        ),
        Claim(
            key="million-token-wall",
            text="Beyond one million tokens no base satisfies the bounds in float32, whatever the architecture.",
            source="abstract",
            kind="exact",
            notes=(
                "The limit depends on depth and on a threshold that is not known: stability without depth allows 2.66 "
                "million at threshold 0.95. Models with a base above the wall exist and are used."
            ),
        ),
    ),
)
