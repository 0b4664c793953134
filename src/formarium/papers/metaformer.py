"""MetaFormer: the block matters more than the token mixer (Yu et al., 2021)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="metaformer",
    title="MetaFormer Is Actually What You Need for Vision",
    date="2021-11-22",
    arxiv="2111.11418",
    authors=(
        "Weihao Yu",
        "Mi Luo",
        "Pan Zhou",
        "Chenyang Si",
        "Yichen Zhou",
        "Xinchao Wang",
        "Jiashi Feng",
        "Shuicheng Yan",
    ),
    venue="CVPR 2022",
    pages="10819-10829",
    code="https://github.com/sail-sg/poolformer",
    licence="Apache-2.0",
    weights="PoolFormer S12 to M48 on the Hugging Face hub, such as sail/poolformer_m36",
    domains=("images",),
    slots=("block", "token mixer", "norm"),
    summary=(
        "Is attention what makes a Transformer good at images? The authors replace it by something that learns "
        "nothing: every token takes the mean of its neighbours. The network, PoolFormer, still classifies ImageNet "
        "about as well as tuned Transformers and with less work. They conclude that the frame counts, namely norm, "
        "token mixer and residual, then norm, channel MLP and residual, and name it MetaFormer. The word has stayed, "
        "and it is the vocabulary of this library. The result concerns everyone who proposes a new mixer: the gain has "
        "to be measured against a mixer that does almost nothing."
    ),
    honesty=(
        "Accuracies are the repository's; the individual values of the paper's ablation on the small model are "
        "unverified and not quoted. Operations in the first version were counted differently from the later ones. "
        "Hybrid models use another norm at their attention stages. The Transformers library's version drops paths at "
        "further places in training, so it agrees in evaluation only. Users found it slower than its operation count "
        "suggests, because pooling and the norm are poorly optimised."
    ),
    claims=(
        Claim(
            key="block-not-mixer",
            text=(
                "Between pooling, depth-wise convolution and attention in one network, the spread in accuracy is less "
                "than half of what is lost by removing the channel MLP or the residual."
            ),
            source="abstract",
            kind="comparison",
            notes="Identity as the mixer is shown beside them.",
        ),
        Claim(
            key="pooling-competitive",
            text="At equal multiply-adds, pooling is within three points of accuracy of attention.",
            source="abstract",
            kind="comparison",
            notes=(
                "The margin is ours. A task of comparing two distant patches is the negative control: pooling must "
                "fail it."
            ),
        ),
        Claim(
            key="smaller-and-cheaper",
            text=(
                "PoolFormer-M36 has 56,172,520 parameters and 8.76 G multiply-adds at 224 pixels: 35 % and 50 % fewer "
                "than DeiT-B, 52 % and 62 % fewer than ResMLP-B24."
            ),
            source="abstract (35 % and 52 % fewer parameters, 50 % and 62 % fewer multiply-adds)",
            kind="exact",
        ),
        Claim(
            key="imagenet",
            text=(
                "On ImageNet-1K, PoolFormer-M36 reaches 82.1 % top-1, 0.3 points above DeiT-B and 1.1 above ResMLP-B24."
            ),
            source="abstract (82.1 % against 81.8 and 81.0)",
            kind="comparison",
            notes="Can be checked with the published weights where the validation images are at hand.",
        ),
        Claim(
            key="general-baseline",
            text=(
                "As a backbone, PoolFormer-S12 reaches 37.2 % mean IoU on ADE20K with Semantic FPN and 36.2 box AP on "
                "COCO with RetinaNet, each within 0.5."
            ),
            source="abstract, several vision tasks",
            kind="comparison",
            notes="Needs the data; others retrained the segmentation to between 36.9 and 37.1 %.",
        ),
    ),
)
