"""ComplexFormer: attention between complex queries and keys, an angle learned per head (Shao et al., 2025)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="complexformer",
    title=(
        "ComplexFormer: Disruptively Advancing Transformer Inference Ability via Head-Specific Complex Vector Attention"
    ),
    date="2025-05-15",
    arxiv="2505.10222",
    authors=("Jintian Shao", "Hongyi Huang", "Jiayi Wu", "Beiwen Zhang", "ZhiYu Wu", "You Shan", "MingKai Zheng"),
    code="https://github.com/shaojintian/complexFormer",
    licence="none",
    domains=("language",),
    slots=("position", "token mixer"),
    summary=(
        "ComplexFormer reads the query and the key of every attention head as complex numbers, one per pair of "
        "channels, and scores them in polar form: the magnitudes multiply, and the angle is a learned affine function "
        "of the phase difference between the two tokens plus RoPE's rotation for their distance. Each head and channel "
        "has its own slope and offset, so one head may listen to content and another to distance. Values and the "
        "output projection stay real. It is for designers of language models who want content and position in one "
        "formula at almost no extra parameters; since the score factors into turned queries and turned keys, ordinary "
        "fused attention kernels can compute it."
    ),
    honesty=(
        "Withdrawn by its first author on 27 May 2025 (version 2); no reason is recorded. The body of the paper was "
        "not available, so the equations rest on the abstract and the author's repository, and no result of the paper "
        "is quoted. That repository builds a causal mask for its language model and then does not apply it, so "
        "training there sees the future; whether the paper's runs took this path is unknown. The repository does not "
        "run as it stands, and its training and decoding files disagree, because the first casts the frequencies to "
        "bfloat16."
    ),
    claims=(
        Claim(
            key="causal",
            text=(
                "The logits of the language model at a position do not change when later tokens change; the same model "
                "without a causal mask drives its training loss towards zero by copying the next token."
            ),
            source="official code (a control, not a sentence of the paper)",
            kind="exact",
            notes=(
                "Decides whether any low perplexity of the published code means anything: without the mask it is "
                "leakage."
            ),
        ),
        Claim(
            key="lower-perplexity",
            text=(
                "At equal parameters and tokens, a causal decoder with complex multi-head attention reaches a lower "
                "validation loss than the same decoder with RoPE."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "Fair arms: RoPE; the official initialisation (slope near 0); slope 1 and offset 0, which starts as "
                "RoPE; RoPE without the 1/sqrt(d) scale, since the official score has none; RoPE with a trainable "
                "phase offset per head only. The paper names language modelling, text and code generation and "
                "mathematics, without data splits."
            ),
        ),
        Claim(
            key="long-context",
            text=(
                "Trained at one length and evaluated at two and four times that length, the decoder with complex "
                "attention loses less in validation loss than the decoder with RoPE."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "The paper says 'improved long-context coherence' and defines no metric; per-position loss and key "
                "retrieval stand in for it."
            ),
        ),
        Claim(
            key="parameter-efficiency",
            text=(
                "Complex attention adds exactly as many parameters per layer as the model is wide (two per head and "
                "channel pair): 4,096 for 8 layers of width 512, under 0.02 % of that model."
            ),
            source="abstract and official code",
            kind="exact",
            notes="Equal parameters do not mean equal cost; the loss at equal FLOPs belongs beside it.",
        ),
        Claim(
            key="heads-differ",
            text=(
                "Slopes and offsets learned per head reach a lower validation loss than slopes and offsets tied across "
                "the heads of a layer."
            ),
            source="abstract",
            kind="comparison",
            notes="A probe should also report the variance between heads after training against that at the start.",
        ),
        Claim(
            key="adaptive-angle",
            text=(
                "With the slope of the phase difference learned, the validation loss is lower than with it frozen at 1 "
                "(RoPE) and than with it frozen at 0 (magnitudes and distance only)."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "For a slope that is not an integer the score jumps where a phase crosses the cut at plus or minus pi."
            ),
        ),
    ),
)
