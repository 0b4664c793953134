"""FlatFormer: windows of equal size instead of equal shape for point clouds (Liu et al., 2023)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="flatformer",
    title="FlatFormer: Flattened Window Attention for Efficient Point Cloud Transformer",
    date="2023-01-20",
    arxiv="2301.08739",
    authors=("Zhijian Liu", "Xinyu Yang", "Haotian Tang", "Shang Yang", "Song Han"),
    venue="CVPR 2023",
    pages="1200-1211",
    code="https://github.com/mit-han-lab/flatformer",
    licence="none",
    domains=("points",),
    slots=("stem", "position", "token mixer"),
    summary=(
        "In a laser scan some windows hold hundreds of points and others three, so attention in windows of equal shape "
        "spends its time on padding and bookkeeping. FlatFormer sorts the occupied cells window by window, cuts the "
        "sorted list into groups of equal size, and runs plain dense attention within each group. Groups no longer "
        "match windows exactly, which costs some locality; changing the sort axis from layer to layer and shifting the "
        "windows lets information flow again. It is made for 3D detection in driving, where each frame must be "
        "processed on a small device within a tenth of a second, and for anyone with sparse, uneven inputs."
    ),
    honesty=(
        "Only code, README and abstract were available: milliseconds, ablations and the two-stage variant of the paper "
        "are unverified and not quoted, and baseline accuracies are taken from later papers. Waymo's terms forbid "
        "publishing weights. The code sorts in serpentine order where the paper's text describes a plain one, its "
        "batch offset mixes samples on small grids, and it fails on frames with fewer cells than a group. Part of the "
        "reported speed is due to a fused attention kernel and to a fused feed-forward that is not in the repository."
    ),
    claims=(
        Claim(
            key="less-overhead",
            text=(
                "At equal width and window, flattened groups take less time than padded equal-shape windows, and waste "
                "fewer than one group of slots per sample."
            ),
            source="abstract",
            kind="comparison",
            notes="Both sides need the same attention kernel, and data preparation counts.",
        ),
        Claim(
            key="accuracy-kept",
            text=(
                "At equal parameters and steps, grouping is as accurate as exact window attention, to within one "
                "standard deviation of seeds."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="axes-and-shifts",
            text=(
                "Alternating the sort axis and shifting the windows is more accurate than one order in all layers, and "
                "that more than a random order."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="order-matters",
            text="At equal group size, sorting by window is more accurate than a random order.",
            source="method, window-based sorting",
            kind="comparison",
            notes="Space-filling curves (Z-order, Hilbert) belong beside it.",
        ),
        Claim(
            key="linear-cost",
            text="Time grows with the number of cells with an exponent between 0.85 and 1.15 at a fixed group size.",
            source="method, groups of fixed size",
            kind="scaling",
        ),
        Claim(
            key="faster-than-peers",
            text=(
                "On Waymo frames a forward pass takes at most 1/4.6 of SST's time and 1/1.4 of the "
                "sparse-convolutional CenterPoint's, at equal or higher accuracy."
            ),
            source="abstract (4.6 times over SST, 1.4 times over CenterPoint)",
            kind="comparison",
            notes=(
                "A statement about GPUs and Waymo, with half precision on both sides; real time was shown on a Jetson "
                "AGX Orin."
            ),
        ),
    ),
)
