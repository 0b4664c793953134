"""Three-Phase Transformer: a residual stream read as rotating stripes (Abu Ayyash, 2026)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="three-phase",
    title="Three-Phase Transformer",
    date="2026-04-14",
    arxiv="2604.14430",
    authors=("Mohammad R. Abu\N{NO-BREAK SPACE}Ayyash",),
    code="https://github.com/achelousace/three-phase-transformer",
    licence="MIT",
    domains=("language",),
    slots=("stem", "block", "norm", "position"),
    summary=(
        "The Three-Phase Transformer is an ordinary decoder (SwiGLU, RMSNorm, RoPE, grouped queries) whose residual "
        "stream is read as N equal stripes. Each stripe has its own RMSNorm; between attention and feed-forward every "
        "stripe is rotated by learned angles, offset from stripe to stripe like the phases of an alternating current; "
        "and a fixed profile 1/(position+1) replaces the mean of the embedding as a faint absolute position. Almost no "
        "parameters are added. The paper reports lower perplexity and faster convergence at 123 million parameters. It "
        "interests those who look for cheap structure in language-model training, and those who want to know how much "
        "of such a gain belongs to the baseline."
    ),
    honesty=(
        "Not peer reviewed. Only the 123M script is public: the 5.5M ablations and the RoPE baseline are not. The "
        "'-7.20 %' compares the best of three seeds with one seed of a baseline that multiplies its embedding by the "
        "square root of the width, which the new model does not; the paper's own experiment 7 credits 3 % to dropping "
        "that multiplier, and a baseline without it is never reported. The mean over seeds gives 6.6 %. At 5.5M the "
        "head counts differ as well. The official incremental decoding gives every generated token position 0 of the "
        "profile, as its author documents."
    ),
    claims=(
        Claim(
            key="perplexity",
            text=(
                "At equal tokens and with under 0.01 % more parameters, the three-phase decoder has a lower perplexity "
                "than a RoPE decoder (7.2 % lower, by the paper)."
            ),
            source=(
                "abstract and table of experiment 11 (16.06 against 17.31 on WikiText-103; bits per byte 2.62 % lower)"
            ),
            kind="comparison",
            notes=(
                "The paper's baseline multiplies its embedding by the square root of the width. The fair baseline does "
                "not; both must run, and the claim is the model's own only if it beats the second."
            ),
        ),
        Claim(
            key="convergence",
            text="The three-phase decoder reaches the RoPE decoder's final loss in at most 1/1.93 of its steps.",
            source="abstract (1.93 times fewer steps, 1.64 times less wall-clock)",
            kind="comparison",
            notes=(
                "Same handicap of the baseline. The official rotation loops over the stripes and costs 17 % of the "
                "time; one reshape avoids it."
            ),
        ),
        Claim(
            key="phases-are-a-knob",
            text=(
                "With heads held fixed, perplexity does not improve as N goes from 1 to 12: N = 1 is best or tied at "
                "5.5M parameters, and N = 1 and N = 3 cannot be told apart at 123M."
            ),
            source="abstract and experiments on N",
            kind="comparison",
            notes="The paper changed the number of heads with N, which confounds its own sweep.",
        ),
        Claim(
            key="self-stabilising",
            text=(
                "Trained without the profile and without removing the mean, the sum of the stripe means stays close to "
                "zero (about 7e-3 in the embedding) without being enforced."
            ),
            source="abstract, (a)",
            kind="comparison",
            notes=(
                "A plain RoPE decoder read in the same stripes is the control: an equal sum there makes the effect "
                "generic."
            ),
        ),
        Claim(
            key="angle-drift",
            text=(
                "At 12 layers, the distance of each layer's rotation angles from their start is U-shaped over depth, "
                "smallest near block 2 in every seed."
            ),
            source="abstract, (b)",
            kind="comparison",
        ),
        Claim(
            key="orthogonal-composition",
            text=(
                "At the embedding the profile alone sets the mean of the channels to 1/(position+1) and leaves all "
                "other directions as they were; rotations preserve the norm of every stripe and commute with its "
                "normaliser."
            ),
            source="abstract, (c)",
            kind="exact",
            notes=(
                "It holds at the embedding only: for N of 2 or more the first rotation turns the profile out of the "
                "mean direction entirely, so a protected subspace beyond the first attention is not what the equations "
                "give."
            ),
        ),
        Claim(
            key="stripe-sum",
            text=(
                "The rotations of the N stripes sum to zero for N of 2 or more, so that N stripes with equal content "
                "cancel."
            ),
            source="section on the phase geometry",
            kind="exact",
            notes="True by construction, with random weights as well: it is no evidence of learning.",
        ),
        Claim(
            key="profile-helps",
            text="The fixed profile lowers perplexity against removing the mean only, and against doing neither.",
            source="experiments at 5.5M (13.90 with it, 13.97 with zero mean, 14.00 with neither)",
            kind="comparison",
            notes="The published difference is about 1.5 standard deviations of its seeds.",
        ),
        Claim(
            key="overwrite-beats-residual",
            text="Overwriting the stream with its rotation gives a lower perplexity than adding the rotation to it.",
            source="experiments at 5.5M (0.06 perplexity)",
            kind="comparison",
        ),
        Claim(
            key="learned-offsets",
            text=(
                "Letting the offsets between stripes be learned, three parameters, does not change perplexity beyond "
                "the spread of seeds."
            ),
            source="ablation grid (-0.005 perplexity)",
            kind="comparison",
        ),
        Claim(
            key="parameters",
            text=(
                "The rotation adds depth times width / (2N) parameters: 1,536 of 123,490,560, or 0.00124 %, at the "
                "paper's size."
            ),
            source="abstract",
            kind="exact",
        ),
    ),
)
