"""AxFormer: pruning a fine-tuned Transformer for accuracy first (Nagarajan et al., 2020)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="axformer",
    title="AxFormer: Accuracy-driven Approximation of Transformers for Faster, Smaller and more Accurate NLP Models",
    date="2020-10-07",
    arxiv="2010.03688",
    authors=("Amrit Nagarajan", "Sanchari Sen", "Jacob R. Stevens", "Anand Raghunathan"),
    domains=("compression",),
    slots=("compression", "token mixer", "channel mixer"),
    summary=(
        "A model pretrained on everything is too large for one task, and some of its parts may even do harm there. "
        "AxFormer walks through a fine-tuned Transformer, from whole blocks to heads and groups of weights, and "
        "removes each part without which the validation loss is no higher, without any retraining. In some layers it "
        "then lets each word attend only to the few that matter most. The outcome is said to be smaller, faster and "
        "more accurate at once, and combines with distillation and quantisation. It is for people who deploy one model "
        "for one task and have a little labelled data."
    ),
    honesty=(
        "Three versions of the abstract are all that could be read, and no code is public; the method here is a "
        "reconstruction that satisfies them, with our choice of order, group size, removal rule and data split, and no "
        "results table is quoted. 'Up to' figures need not belong to one model. Selecting parts on the set that is "
        "also reported inflates accuracy; in a small preliminary trial on digits the selection loss always fell while "
        "test accuracy fell in five of six seeds. Not accepted at ICLR 2021 or 2022 as far as known."
    ),
    claims=(
        Claim(
            key="parts-that-hurt",
            text=(
                "In an over-parameterised fine-tuned model, some parts lower the validation loss when removed, and "
                "these lower the test loss more often than parts drawn at random."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="more-accurate",
            text=(
                "Pruned by validation loss, the model has a higher accuracy on a test set that took no part in the "
                "selection."
            ),
            source="abstract (up to 4.5 %)",
            kind="comparison",
            notes=(
                "Three-way split. Controls: random removal at equal cost, early stopping on the selection set, "
                "magnitude pruning at equal size, and fine-tuning on both sets."
            ),
        ),
        Claim(
            key="faster-and-smaller",
            text=(
                "After physical removal the model takes less time and fewer bytes, in proportion to the parts removed."
            ),
            source="abstract (up to 2.5 times faster, 3.2 times smaller)",
            kind="comparison",
            notes="Always beside the change in accuracy.",
        ),
        Claim(
            key="selective-hard-attention",
            text=(
                "Hard attention in layers chosen by validation loss gives a test loss no higher than soft attention "
                "everywhere, and lower than hard attention in all layers."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="composes",
            text=(
                "Applied to a distilled or quantised model it keeps at least half of the reduction in size and time "
                "that it gives the full model, at equal accuracy loss."
            ),
            source="abstract",
            kind="comparison",
            notes="The share is ours: the abstract says only that they combine.",
        ),
        Claim(
            key="hierarchy-efficient",
            text=(
                "Going from blocks to heads and groups takes fewer forward passes than trying all elements, at an "
                "equal final validation loss."
            ),
            source="method, hierarchical search",
            kind="comparison",
        ),
        Claim(
            key="masked-equals-shrunk",
            text=(
                "The model with its parts masked gives the outputs of the model with them removed, and the validation "
                "loss never rises during the search."
            ),
            source="method",
            kind="exact",
        ),
    ),
)
