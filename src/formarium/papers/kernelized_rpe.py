"""Kernelized attention with relative positions by FFT (Luo et al., 2021)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="kernelized-rpe",
    title="Stable, Fast and Accurate: Kernelized Attention with Relative Positional Encoding",
    date="2021-06-23",
    arxiv="2106.12566",
    authors=(
        "Shengjie Luo",
        "Shanda Li",
        "Tianle Cai",
        "Di He",
        "Dinglan Peng",
        "Shuxin Zheng",
        "Guolin Ke",
        "Liwei Wang",
        "Tie-Yan Liu",
    ),
    venue="NeurIPS 2021",
    domains=("language", "images"),
    slots=("token mixer", "position"),
    summary=(
        "Attention with random features runs in linear time but has no room for a relative bias inside the softmax. "
        "This paper notices that the bias, once exponentiated, is a matrix that depends on the offset alone, so "
        "numerator and denominator become convolutions along the sequence, which a Fourier transform evaluates in n "
        "log n. It also normalises queries and keys so that the random features stay tame, and finds that the relative "
        "bias restores the sharpness this takes away; models then train from scratch without diverging. It matters for "
        "long sequences, of text or of image patches, where exact attention is too slow and plain linear attention too "
        "weak."
    ),
    honesty=(
        "The official code exists only as a supplement on OpenReview (forum X7XNPor93uG) and was not read; abstract "
        "and introduction were. The method follows from them and from the Performer paper, but no table could be read "
        "and none is quoted, and the number of features, the redrawing of random directions and the sharing of the "
        "bias are open. In single precision the Fourier path loses rows that see only small biases. Exponentiated "
        "biases that are constant beyond a distance need no Fourier transform at all."
    ),
    claims=(
        Claim(
            key="n-log-n",
            text=(
                "From 1 to 16 thousand tokens, the time of kernelized attention with a relative bias grows with an "
                "exponent of at most 1.2."
            ),
            source="abstract",
            kind="scaling",
        ),
        Claim(
            key="exact-by-fft",
            text=(
                "The Fourier evaluation equals the direct double sum to 1e-10 in float64, without mask, causally, and "
                "on two-dimensional grids."
            ),
            source="method",
            kind="exact",
        ),
        Claim(
            key="faster-when-long",
            text=(
                "Beyond some length it is faster than softmax attention with a relative bias, at equal width and heads."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "The fair opponent is a fused kernel. Report the length at which they cross, and the blockwise form "
                "for clipped biases beside it."
            ),
        ),
        Claim(
            key="bias-needs-more",
            text=(
                "Kernelized attention without the bias cannot express attention with it: its score matrix has at most "
                "as high a rank as it has features, while that of an exponentiated random bias is full."
            ),
            source="abstract",
            kind="exact",
        ),
        Claim(
            key="stable-training",
            text=(
                "Over a sweep of learning rates, causal models with normalised features and the relative bias never "
                "diverge, where models with plain positive features do, and end at a lower loss."
            ),
            source="abstract",
            kind="comparison",
            notes="Four arms: plain or normalised features, with or without the bias.",
        ),
        Claim(
            key="variance",
            text=(
                "The relative variance of the positive-feature estimate of exp(x.y) is (exp(|x + y|^2) - 1) / m for m "
                "independent features, so at most (e^4 - 1) / m for unit vectors."
            ),
            source="section on normalisation",
            kind="exact",
        ),
        Claim(
            key="accurate",
            text=(
                "At matched parameters and steps, its validation loss is lower than that of linear attention with elu "
                "features and of positive features without a bias."
            ),
            source="abstract",
            kind="comparison",
            notes="Softmax attention with the same bias is the ceiling to show.",
        ),
    ),
)
