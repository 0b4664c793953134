"""RTNet: face parsing in a polar frame around the face (Lin et al., 2021)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="rtnet",
    title="RoI Tanh-polar Transformer Network for Face Parsing in the Wild",
    date="2021-02-04",
    arxiv="2102.02717",
    authors=("Yiming Lin", "Jie Shen", "Yujiang Wang", "Maja Pantic"),
    venue="Image and Vision Computing 2021",
    journal=True,
    volume="112",
    pages="104190",
    code="https://github.com/hhj1897/face_parsing",
    licence="MIT",
    weights="RTNet-50 and RTNet-101 in the repository (git-lfs; its quota is often exhausted)",
    domains=("images",),
    slots=("position", "token mixer", "data"),
    summary=(
        "Cutting out a face and labelling its pixels loses the hair and keeps half of a neighbour. RTNet instead warps "
        "the whole image around the given box: angle along one axis, and along the other the distance squeezed by a "
        "hyperbolic tangent, so that the face fills a fixed share and nothing is cut off. Turning the head then shifts "
        "the rows. Its residual blocks convolve both in this frame and in a tanh-squeezed Cartesian one. The "
        "Transformer of its name transforms space; there is no attention. It serves people who parse faces in "
        "arbitrary poses, and gives others a reversible, focused view of an object."
    ),
    honesty=(
        "The paper's text was not available beyond the abstract, and none of its numbers could be verified, so none is "
        "quoted; training settings are unknown and training code is not public. The two repositories (this and "
        "hhj1897/roi_tanh_warping) fix details the abstract leaves open, among them which blocks are hybrid, that "
        "colour order is BGR and that inputs are 513 pixels wide. The code's helper for square boxes is wrong for "
        "several boxes at once. iBugMask is for research on request."
    ),
    claims=(
        Claim(
            key="fixed-share",
            text=(
                "For every box, the ellipse of the box's area lands on the column at tanh(1) of the map, about 76 % of "
                "the radial axis."
            ),
            source="abstract, second contribution",
            kind="exact",
        ),
        Claim(
            key="information-kept",
            text=(
                "Warping an image and warping it back restores it inside the box, with an error that falls as the map "
                "grows."
            ),
            source="abstract, second contribution",
            kind="exact",
            notes="Far outside the box resolution is lost, and there the tanh-Cartesian map loses more.",
        ),
        Claim(
            key="rotation-equivariance",
            text=(
                "For a square box, rotating the sampling frame by one row's angle shifts the rows of the map by one, "
                "to rounding, and a convolution with circular padding commutes with the shift."
            ),
            source="abstract, second contribution",
            kind="exact",
        ),
        Claim(
            key="robust-to-rotation",
            text=(
                "Trained on upright faces and tested at 0 to 180 degrees, the polar network keeps its mean F1 while a "
                "network on cropped faces and one on the tanh-Cartesian map lose theirs."
            ),
            source="abstract",
            kind="comparison",
            notes="A cropped network trained with rotated faces is the arm that could make the transform needless.",
        ),
        Claim(
            key="periphery",
            text=(
                "The F1 of hair reaching beyond the box, with other faces partly in view, is higher for warped inputs "
                "than for cropped ones."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="hybrid-blocks",
            text=(
                "At equal parameters, blocks that convolve in both frames reach a higher mean F1 than blocks with both "
                "branches in one frame."
            ),
            source="abstract, third contribution",
            kind="comparison",
        ),
        Claim(
            key="state-of-the-art",
            text="On iBugMask the network reaches a higher mean F1 than earlier face parsers, without landmarks.",
            source="abstract",
            kind="comparison",
            notes="No number could be verified; the data must be requested.",
        ),
    ),
)
