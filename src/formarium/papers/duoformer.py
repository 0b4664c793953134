"""DuoFormer: attention across scales inside a patch, then across patches (Tang et al., 2025)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="duoformer",
    title="DuoFormer: Leveraging Hierarchical Representations by Local and Global Attention Vision Transformer",
    date="2025-06-15",
    arxiv="2506.12982",
    authors=("Xiaoya Tang", "Bodong Zhang", "Man Minh Ho", "Beatrice S. Knudsen", "Tolga Tasdizen"),
    venue="MIDL 2025 (Proceedings of Machine Learning Research)",
    volume="301",
    pages="1495-1507",
    code="https://github.com/xiaoyatang/duoformer_TCGA",
    licence="none",
    domains=("images",),
    slots=("stem", "token mixer", "position"),
    summary=(
        "DuoFormer classifies medical images with a convolutional trunk and a Transformer on top. The trunk's maps of "
        "four resolutions are cut so that every image patch owns its cells at each scale; attention first mixes those "
        "cells within the patch, across scales, into one summary token, and then mixes the summaries of all patches. "
        "Fine texture and coarse layout are thus related directly, without pretraining a Transformer on large data. It "
        "is designed for pathology, where both cell and tissue matter and labels are few, and the pieces fit other "
        "trunks."
    ),
    honesty=(
        "The announced repository cannot be retrieved; the authors' duoformer_TCGA is used, whose latest state does "
        "not run and whose earlier commit holds the logs. The paper's tables were not accessible. In the authors' own "
        "logs runs differ by 3 to 6 points, validation and test hardly agree, and a plain hybrid of trunk and "
        "Transformer reaches 0.869 balanced accuracy against 0.865 for the best DuoFormer. Attention over patches has "
        "neither residual nor norm, a final norm is computed and discarded, and four scales cost 365 G multiply-adds "
        "per image."
    ),
    claims=(
        Claim(
            key="beats-baselines",
            text=(
                "At equal parameters, its balanced accuracy is higher than that of the trunk alone and of trunk plus "
                "Transformer on the last map."
            ),
            source="abstract",
            kind="comparison",
            notes="At least five seeds: published runs differ by more than their gaps.",
        ),
        Claim(
            key="scale-attention",
            text=(
                "Attention across scales within a patch gives a higher balanced accuracy than no such attention and "
                "than attention restricted to cells of one scale."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="plug-and-play",
            text=(
                "The same module raises balanced accuracy over the plain hybrid on two different convolutional trunks."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="channel-token",
            text="A summary token made from the trunk's maps gives a higher balanced accuracy than a learned one.",
            source="ablation of the scale token",
            kind="comparison",
            notes="The trunk's token adds about 46 million parameters on ResNet-50: match them.",
        ),
        Claim(
            key="patch-residual",
            text=(
                "Residuals and norms around the attention over patches raise balanced accuracy over the published form "
                "without them."
            ),
            source="official code (a control, not a sentence of the paper)",
            kind="comparison",
        ),
    ),
)
