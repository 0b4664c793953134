"""CoordFormer: meshes of several people from video, in one stage (Li et al., 2023)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="coordformer",
    title="Coordinate Transformer: Achieving Single-stage Multi-person Mesh Recovery from Videos",
    date="2023-08-20",
    arxiv="2308.10334",
    authors=(
        "Haoyuan Li",
        "Haoye Dong",
        "Hanchao Jia",
        "Dong Huang",
        "Michael C. Kampffmeyer",
        "Liang Lin",
        "Xiaodan Liang",
    ),
    venue="ICCV 2023",
    pages="8744-8753",
    code="https://github.com/Li-Hao-yuan/CoordFormer",
    domains=("video", "bodies"),
    slots=("position", "token mixer", "head"),
    summary=(
        "Recovering bodies from video normally means detecting people, tracking them, and treating each alone. "
        "CoordFormer does it in one network: it predicts, for every frame, a map of body centres and a map of body "
        "parameters, and reads people off at the peaks. Attention runs over all places of a frame and across frames, "
        "without cutting the map into coarse patches, and carries exact pixel coordinates in its queries and keys; the "
        "centre map gates the features. Interactions and occlusions can thus be used. It serves those who study "
        "groups, in sport, therapy or virtual reality."
    ),
    honesty=(
        "No code was ever released: the repository holds a README and a figure. The figure, prototypes in its history "
        "from months before submission, and the public code of ROMP were used; the formula of coordinate-aware "
        "attention is our reconstruction, and paper text and tables were not available. Absolute errors are derived, "
        "not quoted. A widely copied alignment routine gives meaningless aligned errors when two or three bodies are "
        "in a batch; it is in the code this work builds on, and nobody has said whether the 8.8 % of the abstract "
        "suffers from it. Body models and data are licensed and not included."
    ),
    claims=(
        Claim(
            key="joint-modelling",
            text=(
                "Attention across frames for all people at once gives a lower joint error than the same model applied "
                "frame by frame at equal size, and the difference is larger on occluded frames."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="coordinate-attention",
            text=(
                "Coordinate-aware attention on the full map gives a lower joint error than attention without "
                "coordinates and than patch tokens of 4 by 4."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "Coordinates as extra input channels and learned absolute positions are the arms that could tie with "
                "it."
            ),
        ),
        Claim(
            key="body-centre-attention",
            text=(
                "Multiplying features by the predicted centre map gives a lower joint error than no gate and than the "
                "map as an extra channel."
            ),
            source="abstract",
            kind="comparison",
            notes="An untrained map starves the features: compare convergence, and the residual form.",
        ),
        Claim(
            key="state-of-the-art",
            text="On 3DPW, joint, aligned joint and vertex errors are 4.2, 8.8 and 4.7 % below the previous best.",
            source="abstract (4.2, 8.8 and 4.7 % lower on 3DPW)",
            kind="comparison",
            notes="Needs licensed data and body model, and a corrected alignment; state the training data.",
        ),
        Claim(
            key="faster",
            text=(
                "The time per clip does not grow with the number of people, where a method on crops grows linearly; "
                "beyond some number it is faster."
            ),
            source="abstract (40 % faster than video methods)",
            kind="comparison",
            notes="A detector belongs to the cost of the method on crops.",
        ),
        Claim(
            key="one-stage",
            text=(
                "Linking people over frames by nearest centres keeps identities on crossing paths with fewer switches "
                "than linking per-frame detections of the same model without attention across frames."
            ),
            source="abstract",
            kind="comparison",
        ),
    ),
)
