"""URPE: why relative positions inside the softmax are not enough, and a factor outside it (Luo et al., 2022)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="urpe",
    title="Your Transformer May Not be as Powerful as You Expect",
    date="2022-05-26",
    arxiv="2205.13401",
    authors=("Shengjie Luo", "Shanda Li", "Shuxin Zheng", "Tie-Yan Liu", "Liwei Wang", "Di He"),
    venue="NeurIPS 2022",
    code="https://github.com/lsj2408/URPE",
    licence="MIT",
    domains=("theory", "language", "graphs"),
    slots=("position", "token mixer", "theory"),
    summary=(
        "Attention weights sum to one, so a Transformer that knows position only through terms inside the softmax must "
        "answer the same at every place of a sequence of identical tokens, however deep or wide it is. The paper "
        "proves this, states conditions under which a relative encoding can approximate every continuous "
        "sequence-to-sequence function, and meets them with one small change: the attention matrix is multiplied, "
        "after the softmax, by a learned matrix that depends on the offset alone. It matters to anyone who relies on "
        "relative positions without an absolute cue, in text, or in graphs where distance takes the place of the "
        "offset."
    ),
    honesty=(
        "The released code covers the synthetic tasks only; the WikiText-103 and molecule experiments were never "
        "published as code. Of the reported numbers, 0.028 (ZINC, full) is confirmed by a public table; the "
        "perplexities and the ZINC-subset errors are recalled and unverified, and no PCQM4M value is known. The code's "
        "training criterion silently drops the first position of the position task, its flag for a non-negative factor "
        "does nothing, and the text says 10,000 tokens where the scripts use 1,000. A single distinguished token also "
        "escapes the theorem, which the paper does not test."
    ),
    claims=(
        Claim(
            key="rows-equal",
            text=(
                "With identical tokens, every output row of a Transformer with relative positions inside the softmax "
                "(T5 bias, ALiBi, RoPE) is equal to rounding, at any depth and with random weights; with the factor, "
                "rows differ."
            ),
            source="negative theorem (abstract)",
            kind="exact",
            notes=(
                "Controls that also escape: learned absolute positions, relative values, one distinguished first token."
            ),
        ),
        Claim(
            key="learns-positions",
            text=(
                "Asked for the index of each token of a random sequence, an encoder with relative positions stays near "
                "chance and the same model with the factor exceeds 99 % token accuracy."
            ),
            source="experiments, position identification",
            kind="comparison",
            notes=(
                "From its start at 1 the factor has far to go: its table needs a learning rate of its own. A "
                "distinguished first token and absolute positions solve the task as well and must be shown beside it."
            ),
        ),
        Claim(
            key="learns-even-tokens",
            text=(
                "Asked to move the tokens of even places to the front, the model with the factor exceeds 99 % token "
                "accuracy and the model with relative positions alone does not."
            ),
            source="experiments, even-token prediction",
            kind="comparison",
            notes="Same controls.",
        ),
        Claim(
            key="language-modelling",
            text=(
                "A causal language model with relative positions and the factor has a lower validation loss than the "
                "same model without it."
            ),
            source="abstract; WikiText-103, 23.2 against 24.0 test perplexity (recalled)",
            kind="comparison",
            notes=(
                "Document boundaries already break the symmetry of the theorem, so little may be left to gain; RoPE "
                "with and without the factor belongs beside it."
            ),
        ),
        Claim(
            key="graphs",
            text=(
                "From constant node features, a graph Transformer with a shortest-path bias inside the softmax cannot "
                "tell how many nodes lie at a given distance, and the same model with a factor per distance can; on "
                "ZINC the factor lowers the error."
            ),
            source="abstract; ZINC, 0.028 against 0.052 mean absolute error",
            kind="comparison",
            notes="Counting at a distance is the exact core; ZINC itself must be supplied.",
        ),
        Claim(
            key="parameter-efficient",
            text=(
                "With tables shared by all layers, the factor adds heads times (2 times the maximal length - 1) "
                "parameters, and no more."
            ),
            source="abstract",
            kind="exact",
        ),
        Claim(
            key="drop-in",
            text=(
                "With the factor at 1, attention is bit for bit that of the model without it, so a pretrained model "
                "can take it on."
            ),
            source="initialisation of the official code",
            kind="exact",
        ),
    ),
)
