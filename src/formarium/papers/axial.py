"""Axial attention: one axis of a tensor at a time (Ho et al., 2019)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="axial",
    title="Axial Attention in Multidimensional Transformers",
    date="2019-12-20",
    arxiv="1912.12180",
    authors=("Jonathan Ho", "Nal Kalchbrenner", "Dirk Weissenborn", "Tim Salimans"),
    code="https://github.com/google-research/google-research/tree/master/axial",
    licence="Apache-2.0",
    weights="ImageNet-32 and ImageNet-64 checkpoints in the bucket gs://axial-transformers",
    domains=("images", "video"),
    slots=("token mixer", "position", "training"),
    summary=(
        "Attention over all pixels of an image is out of reach, attention along one row or one column is not. Axial "
        "Transformers stack such layers, folding the other axes into the batch, and arrange masks and shifts so that a "
        "generative model still sees every earlier pixel and gives an exact likelihood. Everything about the rows "
        "above is computed once per row and in parallel; only a small stack runs pixel by pixel, so sampling is quick "
        "without assuming independence. The layer needs nothing but ordinary attention and transposes. It serves those "
        "who model images, video or other grids, and became a common building block in vision."
    ),
    honesty=(
        "Code and abstract were read, the body of the paper only in its introduction. Results for ImageNet-32 and BAIR "
        "are recalled and unverified; 3.44 bits per dimension on ImageNet-64 is quoted from the Combiner paper, which "
        "also reruns a bare axial pattern that leaderboards confuse with this model. Two down-sampled versions of "
        "ImageNet circulate and are not comparable. The released network is unusual: its feed-forward is no wider than "
        "its stream, and residual branches start at 1e-10. The recurrent inner decoder of the ablation is not in the "
        "code."
    ),
    claims=(
        Claim(
            key="full-receptive-field",
            text=(
                "With random weights, the prediction for a pixel depends on every earlier pixel in raster order and on "
                "no other."
            ),
            source="abstract",
            kind="exact",
            notes="The published initialisation is too close to zero to show it.",
        ),
        Claim(
            key="expressive",
            text=(
                "On small binary images with a parity constraint across rows, the model's likelihood comes within 0.01 "
                "bits per dimension of the entropy, and a model that sees only its row does not."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="cheap",
            text=(
                "On square images, the time of an axial layer grows with the number of pixels with an exponent of at "
                "most 1.6, against 2 for dense attention."
            ),
            source="abstract",
            kind="scaling",
        ),
        Claim(
            key="semi-parallel-sampling",
            text=(
                "Sampling with the context of the rows above computed once per row gives the very samples of computing "
                "everything anew for each pixel."
            ),
            source="abstract",
            kind="exact",
        ),
        Claim(
            key="faster-sampling",
            text="At 16 by 16 pixels, row-wise sampling takes at most a fifth of the time of sampling pixel by pixel.",
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="state-of-the-art",
            text=(
                "At equal parameters and steps, its bits per dimension are within 0.02 of dense raster attention at "
                "less time per step, and below those of row attention alone."
            ),
            source="abstract (ImageNet-32, ImageNet-64, BAIR)",
            kind="comparison",
            notes="The published state of the art dates from 2019 and needs ImageNet or BAIR.",
        ),
        Claim(
            key="ordinary-layers",
            text="An axial layer equals ordinary multi-head attention on each row (or column) taken as a sequence.",
            source="abstract",
            kind="exact",
        ),
    ),
)
