"""ConDaFormer: a cubic window taken apart into three planes (Duan et al., 2023)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="condaformer",
    title="ConDaFormer: Disassembled Transformer with Local Structure Enhancement for 3D Point Cloud Understanding",
    date="2023-12-18",
    arxiv="2312.11112",
    authors=("Lunhao Duan", "Shanshan Zhao", "Nan Xue", "Mingming Gong", "Gui-Song Xia", "Dacheng Tao"),
    venue="NeurIPS 2023",
    code="https://github.com/LHDuan/ConDaFormer",
    licence="none",
    domains=("points",),
    slots=("token mixer", "position"),
    summary=(
        "Scenes of a hundred thousand points are segmented with attention inside cubic windows, and the cost of a cube "
        "grows fast with its side. ConDaFormer lets a third of the heads attend within each of three flat slices, "
        "along the coordinate planes, so the window may be wide at little cost. What a slice cannot see is put back by "
        "a depth-wise convolution on occupied voxels before and after attention, which also knows the local shape. The "
        "rest is a U-shaped network with relative position tables. It suits people who label indoor scans or street "
        "scenes on ordinary hardware."
    ),
    honesty=(
        "Code and benchmark pages were read, the tables in the paper were not: 75.5 % on the ScanNet test set is "
        "confirmed by the benchmark, the other results are recollections and unverified. Window origins depend on the "
        "whole batch in the released code, so the prediction for a scene changes with its companions. Its 'depth-wise' "
        "convolution computes a dense one with a mask. Detection, shown in the appendix, has no code. The repository "
        "states no licence; one bundled library in it is Apache-2.0."
    ),
    claims=(
        Claim(
            key="planes-cost-less",
            text=(
                "On voxelised scans, three planes need less than half the query-key pairs per full set of heads that a "
                "cube of side 8 needs, and the ratio grows with the side."
            ),
            source="abstract",
            kind="exact",
        ),
        Claim(
            key="wider-at-equal-cost",
            text=(
                "At no more than the cost of a cube of side 4, planes of side 8 reach at least its segmentation "
                "accuracy (mean IoU)."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="enhancement-repairs",
            text=(
                "Planes alone are no more accurate than the cube; with the convolution before and after attention they "
                "are more accurate than without, at matched parameters."
            ),
            source="abstract",
            kind="comparison",
            notes="Convolution without attention is the arm that could explain it all.",
        ),
        Claim(
            key="local-prior",
            text=(
                "After one block, surface normals can be regressed from the features with less error with the "
                "convolution than without."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="state-of-the-art",
            text="On ScanNet v2 it reaches 75.5 % mean IoU on the test set, above earlier window Transformers.",
            source="abstract; ScanNet v2 test 75.5 % mean IoU",
            kind="comparison",
            notes="Days on several GPUs; results for S3DIS and ScanNet200 are unverified.",
        ),
    ),
)
