"""MatFormer: one training run, many model sizes (Devvrit et al., 2023)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="matformer",
    title="MatFormer: Nested Transformer for Elastic Inference",
    date="2023-10-11",
    arxiv="2310.07707",
    authors=(
        "Devvrit",
        "Sneha Kudugunta",
        "Aditya Kusupati",
        "Tim Dettmers",
        "Kaifeng Chen",
        "Inderjit Dhillon",
        "Yulia Tsvetkov",
        "Hannaneh Hajishirzi",
        "Sham Kakade",
        "Ali Farhadi",
        "Prateek Jain",
    ),
    venue="NeurIPS 2024",
    code="https://github.com/devvrit/matformer",
    licence="Apache-2.0",
    weights=(
        "MatFormer-OLMo 180M, 460M and 1.3B (RAIVNLab/MatFormer-OLMo) and MatViT B/16 and L/16 "
        "(google-research/scenic); not the paper's language models"
    ),
    domains=("language", "images"),
    slots=("channel mixer", "training", "compression"),
    summary=(
        "MatFormer trains a Transformer so that a prefix of the hidden units of every feed-forward block is a working "
        "block on its own. Each step draws a width and takes an ordinary step for it; everything else is shared. "
        "Afterwards one cuts out a model of any trained width without retraining, or mixes widths from layer to layer, "
        "which yields hundreds of models from one run. Since they share weights they also agree, which helps "
        "speculative decoding and retrieval with a small query encoder. It is for those who must serve the same model "
        "on phones and servers; Gemma 3n is a product built on it."
    ),
    honesty=(
        "The paper's language models use private data and code; the authors' public repository is a small "
        "demonstration and their laboratory's reproduction trains differently (all widths at each step, gradients "
        "summed, one width for the whole model). The abstract's 2.6B model belongs to the first version; the "
        "conference version goes up to 850M. Speculative-decoding factors, ViT tables and training sizes are "
        "unverified. Small independent replications found slices somewhat worse than models trained alone, and "
        "confirmed the agreement. The public Llama version puts the gate's activation in another place than the paper."
    ),
    claims=(
        Claim(
            key="slices-match-independent",
            text=(
                "Each extracted width has a validation loss no more than 0.01 nats above a model of that size trained "
                "by itself."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "'Comparable' is read as 0.01 nats. Two budgets must be shown: every baseline gets the steps of the "
                "MatFormer run, and the four together get its compute. Small replications report deficits of 0.005 to "
                "0.02."
            ),
        ),
        Claim(
            key="mix-and-match",
            text=(
                "Models that mix trained widths over layers, non-decreasing with depth, lie on or below the line "
                "between trained widths in loss against size, and beat random mixtures of equal size."
            ),
            source="abstract",
            kind="comparison",
            notes="All mixtures of a small model can be enumerated.",
        ),
        Claim(
            key="consistency",
            text=(
                "A slice agrees with the full model on the next token more often, and has a lower KL divergence from "
                "it, than an independently trained model of its size."
            ),
            source="abstract; up to 11.5 % more agreement",
            kind="comparison",
        ),
        Claim(
            key="speculative-decoding",
            text=(
                "With a slice as the draft, the full model accepts more tokens per check than with an independent "
                "draft of equal size."
            ),
            source="abstract; up to 6 % faster than with an independent draft",
            kind="comparison",
            notes=(
                "Greedy output must equal that of the full model alone. The quoted speed-ups (1.14 against 1.10) are "
                "unverified."
            ),
        ),
        Claim(
            key="no-extra-cost",
            text=(
                "With widths of 1/8, 1/4, 1/2 and 1 drawn uniformly, a training step costs on average 15/32 (46.9 %) "
                "of the full feed-forward's operations."
            ),
            source="method",
            kind="exact",
        ),
        Claim(
            key="nested-exactly",
            text=(
                "The model cut out at a width gives the output of the nested model run at that width, and the full "
                "width that of an ordinary Transformer."
            ),
            source="method",
            kind="exact",
        ),
        Claim(
            key="retrieval-space",
            text=(
                "Nearest neighbours with queries encoded by a slice and documents by the full encoder are found more "
                "accurately than with an independent small query encoder."
            ),
            source="abstract, MatViT",
            kind="comparison",
            notes=(
                "An independent encoder shares no space, so it is near chance by construction; the loss against "
                "full-size queries is the better measure."
            ),
        ),
        Claim(
            key="scaling-parity",
            text=(
                "Over three or more sizes, the full width of MatFormer follows the loss curve of an ordinary "
                "Transformer within 0.01 nats."
            ),
            source="scaling section",
            kind="comparison",
            notes="The paper's fitted coefficients are unverified.",
        ),
    ),
)
