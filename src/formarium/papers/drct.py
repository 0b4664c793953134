"""DRCT: dense connections for super-resolution Transformers (Hsu, Lee and Chou, 2024)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="drct",
    title="DRCT: Saving Image Super-resolution away from Information Bottleneck",
    date="2024-03-31",
    arxiv="2404.00722",
    authors=("Chih-Chung Hsu", "Chia-Ming Lee", "Yi-Shiuan Chou"),
    venue="CVPR Workshops (NTIRE) 2024",
    pages="6133-6142",
    code="https://github.com/ming053l/DRCT",
    licence="MIT",
    weights="DRCT and DRCT-L for 4 times enlargement on Google Drive, linked from the README",
    domains=("restoration",),
    slots=("block", "training"),
    summary=(
        "The authors watch the size of the feature maps in window-attention networks that enlarge images, and see them "
        "collapse in the last layers: information, they argue, is squeezed out before the picture is rebuilt. Their "
        "remedy is old and simple. Within every group, each layer receives the group's input and all earlier outputs "
        "side by side, as in densely connected convolutional networks, and passes on a thin slice. The network gets "
        "smaller than its rivals at equal or better quality. It is meant for those who enlarge photographs, and for "
        "anyone tracing signal strength through deep residual Transformers."
    ),
    honesty=(
        "The tables quoted are the repository's, which its authors say carry corrected numbers; the proceedings' "
        "complexity figures are acknowledged to be wrong. The README's 5.92 G cannot be a count of multiply-adds: a "
        "flop counter gives 74.3 G at a 64 by 64 input. Users found it slower than HAT and could not reproduce the "
        "twofold results of DRCT-L; its weights for that scale were deleted. A score on BSD100 above that of the "
        "larger model looks inconsistent. The third training stage and the rank in the NTIRE challenge are unverified."
    ),
    claims=(
        Claim(
            key="bottleneck",
            text=(
                "In a trained network of plain window-attention groups, the size of the feature maps relative to the "
                "first group falls by more than half in the last groups; with dense connections it does not."
            ),
            source="abstract",
            kind="comparison",
            notes="It must also be read before training, or the effect is one of initialisation.",
        ),
        Claim(
            key="dense-connections",
            text=(
                "At equal multiply-adds, the densely connected network has a higher PSNR on Set5 than plain groups "
                "made wider and than the same network with its dense inputs removed."
            ),
            source="abstract; 33.11 against 33.04 dB for HAT (Set5, 4 times)",
            kind="comparison",
            notes="Published gains are below 0.1 dB; small budgets may not resolve them.",
        ),
        Claim(
            key="fewer-parameters",
            text=(
                "At fourfold enlargement DRCT has 14,139,579 parameters and DRCT-L 27,580,719, 68 % of HAT and HAT-L "
                "each."
            ),
            source="README (14.1 against 20.8 million for HAT)",
            kind="exact",
            notes="Fewer parameters are not fewer operations here: 74.3 G multiply-adds at a 64 by 64 input.",
        ),
        Claim(
            key="state-of-the-art",
            text=(
                "DRCT-L has a higher PSNR than HAT-L on Set5, Set14, BSD100, Urban100 and Manga109 at fourfold "
                "enlargement."
            ),
            source="abstract; README (33.37 against 33.30 dB on Set5, 4 times)",
            kind="comparison",
            notes=(
                "Checkable with the published weights where test sets are at hand; Y channel, border cropped by the "
                "scale."
            ),
        ),
        Claim(
            key="progressive-training",
            text=(
                "At equal total steps, training first on other images at the same scale gives a higher PSNR than "
                "training on the target images throughout."
            ),
            source="method, same-task progressive training",
            kind="comparison",
        ),
    ),
)
