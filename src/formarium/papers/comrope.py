"""ComRoPE: rotary positions with trainable angle matrices that commute (Yu et al., 2025)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="comrope",
    title="ComRoPE: Scalable and Robust Rotary Position Embedding Parameterized by Trainable Commuting Angle Matrices",
    date="2025-06-04",
    arxiv="2506.03737",
    authors=(
        "Hao Yu",
        "Tangyu Jiang",
        "Shuning Jia",
        "Shannan Yan",
        "Shunning Liu",
        "Haolong Qian",
        "Guanghao Li",
        "Shuting Dong",
        "Huaisong Zhang",
        "Chun Yuan",
    ),
    venue="CVPR 2025",
    code="https://github.com/Longin-Yu/ComRoPE",
    licence="none",
    domains=("images",),
    slots=("position",),
    summary=(
        "Rotary embeddings turn queries and keys by fixed angles in fixed planes. ComRoPE learns the rotations "
        "instead: every coordinate axis gets a block-diagonal skew-symmetric matrix, and a token is rotated by the "
        "exponential of their sum weighted with its coordinates. The authors prove that scores depend on relative "
        "position alone exactly when the matrices of the axes commute, and give two families that do: each block "
        "belongs to one axis (axial partition), or all axes share a block up to a factor (linearly dependent). It "
        "matters to anyone who trains vision, video or language Transformers that must survive shifted coordinates and "
        "other resolutions than those of training."
    ),
    honesty=(
        "The published results are single runs, and the quoted gains of 1.6 % and 2.9 % are relative: Table 1 gives "
        "1.13 points at resolution 224 (1.76 % relative; where 1.6 comes from is unverified) and 1.55 points at 512. "
        "The released code differs from the paper: the factors of the linearly dependent form are shared by all heads, "
        "the coordinate noise has half the stated standard deviation, the switch that keeps absolute positions is "
        "inverted (which setting produced the tables is unknown), and the absolute table is sampled with its axes out "
        "of order. It fails under the library version that it pins. The rotary baseline gets coordinates between "
        "0 and 1, which hardly turn it."
    ),
    claims=(
        Claim(
            key="commuting-iff-relative",
            text=(
                "With random weights in float64, shifting every coordinate by one offset changes the scores of both "
                "ComRoPE forms by less than 1e-10, and changes those of unconstrained matrices (LieRE, blocks of 4 or "
                "more) by an amount of order one."
            ),
            source="Theorem 1",
            kind="exact",
            notes="Control: LieRE with blocks of 2 commutes, since plane rotations do, and must be invariant too.",
        ),
        Claim(
            key="generalises-rope",
            text=(
                "With all angle matrices zero, attention equals attention without positions; axial partition with "
                "blocks of 2 equals axial RoPE up to the order of channels; on one axis the linearly dependent form "
                "with factor 1 equals LieRE."
            ),
            source="abstract and section 3",
            kind="exact",
        ),
        Claim(
            key="free-start",
            text=(
                "Added to a pretrained network with all angle matrices zero, ComRoPE leaves the outputs unchanged "
                "before the first step."
            ),
            source="section on fine-tuning",
            kind="exact",
        ),
        Claim(
            key="training-resolution",
            text=(
                "At the training resolution, a vision Transformer with linearly dependent ComRoPE is more accurate "
                "than the same model with LieRE (1.6 % relative, by the paper)."
            ),
            source="abstract and Table 1 (65.49 against 64.36 % on ImageNet-1K at 224)",
            kind="comparison",
            notes=(
                "LieRE holds twice the position parameters on two axes. On video (UCF-101) the paper's own table shows "
                "no gain at the training resolution."
            ),
        ),
        Claim(
            key="higher-resolution",
            text=(
                "Evaluated above its training resolution (512 after 224), the accuracy advantage of linearly dependent "
                "ComRoPE over LieRE is larger than at the training resolution (2.9 % relative, by the paper)."
            ),
            source="abstract and Table 1 (55.29 against 53.74 % at 512)",
            kind="comparison",
        ),
        Claim(
            key="robust-to-offsets",
            text=(
                "Under a random offset common to all coordinates, with standard deviation from 0.2 to 5, the accuracy "
                "of a LieRE model falls and that of a ComRoPE model does not."
            ),
            source="abstract and Figure 5",
            kind="comparison",
        ),
        Claim(
            key="larger-blocks",
            text="Accuracy rises with the block size from 2 to 4 to 8 at equal width and depth.",
            source="ablation of the block size",
            kind="comparison",
            notes="Larger blocks also hold more parameters.",
        ),
        Claim(
            key="perturbation",
            text=(
                "Noise on the coordinates during training raises the accuracy above the training resolution, most for "
                "learned absolute positions (50.99 against 42.66 % at 512) and by a few percent at most for rotary "
                "ones."
            ),
            source="Table 1",
            kind="comparison",
            notes=(
                "The code draws one noise for the whole batch, with half the standard deviation that the paper states."
            ),
        ),
        Claim(
            key="trainable-beats-fixed",
            text="ComRoPE is more accurate than RoPE with fixed frequencies at the training resolution and above it.",
            source="abstract and Table 1 (65.49 against 63.09 %)",
            kind="comparison",
            notes=(
                "The paper's RoPE reads coordinates in (0, 1) and under-rotates. A fair experiment sweeps its "
                "coordinate scale or base and adds RoPE-Mixed (trainable frequencies in planes)."
            ),
        ),
        Claim(
            key="faster-convergence",
            text=(
                "A detector with a ComRoPE backbone reaches the final accuracy of the one with learned absolute "
                "positions in 29 % fewer iterations."
            ),
            source="detection experiments on COCO",
            kind="comparison",
            notes="Stated on COCO only.",
        ),
    ),
)
