"""Any2Point: a frozen Transformer of any modality made to see in 3D (Tang et al., 2024)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="any2point",
    title="Any2Point: Empowering Any-modality Large Models for Efficient 3D Understanding",
    date="2024-04-11",
    arxiv="2404.07989",
    authors=(
        "Yiwen Tang",
        "Ray Zhang",
        "Jiaming Liu",
        "Zoey Guo",
        "Dong Wang",
        "Zhigang Wang",
        "Bin Zhao",
        "Shanghang Zhang",
        "Peng Gao",
        "Hongsheng Li",
        "Xuelong Li",
    ),
    venue="ECCV 2024",
    code="https://github.com/Ivan-Tang-3D/Any2Point",
    licence="none",
    weights="checkpoints and logs on Google Drive, linked from the repository",
    domains=("points",),
    slots=("stem", "position", "training"),
    summary=(
        "3D data are scarce and pretrained Transformers are not. Any2Point keeps a Transformer of text, images or "
        "sound frozen and teaches it point clouds with under a million trained parameters. A small tokenizer makes "
        "tokens from points; each token reads the frozen model's own position table at the place where it would fall "
        "if the cloud were projected on a line or an image, averaged over several views; and small adapters after "
        "every block pool neighbouring tokens of each view, guided by 3D. It addresses people who classify shapes with "
        "little data and memory, and asks what of one modality carries over to another."
    ),
    honesty=(
        "The published numbers come from code with decisive defects, found by running it. In the language variants "
        "attention runs over the samples of a batch instead of the tokens, so with a test list sorted by class the "
        "best results (91.9 and 94.3 %) may contain leakage. In the image and audio variants the position codes are "
        "scrambled by a reshape, so the projection was never tested as described. The best epoch is chosen on the test "
        "set. The parameter counts leave out the classification head. Point-PN, of the tokenizer's family and without "
        "any frozen model, reaches 87.1 and 93.8 % in the same table. Ablations of the paper are unverified."
    ),
    claims=(
        Claim(
            key="any-modality",
            text=(
                "With equal trained parameters, a frozen Transformer pretrained on another modality gives a higher "
                "shape-classification accuracy than the same Transformer with frozen random weights, and that than the "
                "tokenizer alone."
            ),
            source="abstract",
            kind="comparison",
            notes="The random frozen model is the control the paper lacks.",
        ),
        Claim(
            key="virtual-projection",
            text=(
                "Position codes read from the frozen model's table by virtual projection give a higher accuracy than a "
                "shuffled table, a learned code of the coordinates, and none."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="guided-adapter",
            text=(
                "Adapters that pool tokens per view and weigh the views by the 3D cell give a higher accuracy than "
                "uniform weights, and those than bottleneck adapters alone, at matched parameters."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="geometry-kept",
            text=(
                "A token's centre can be regressed linearly from its code averaged over six views with a higher R "
                "squared than from one view, and distinct centres have distinct codes."
            ),
            source="abstract",
            kind="comparison",
            notes="The official one-dimensional form gives a zero vector at integer positions.",
        ),
        Claim(
            key="language-transfers-best",
            text=(
                "A frozen language model gives a higher accuracy than a frozen image model, and that than a frozen "
                "audio model."
            ),
            source="results (91.9 language, 87.7 image, 87.0 audio on ScanObjectNN)",
            kind="comparison",
            notes=(
                "The published order rests on code with the defects named for this paper; three seeds and a fixed last "
                "epoch are needed."
            ),
        ),
        Claim(
            key="no-batch-leak",
            text=(
                "The logits of a shape do not depend on the other shapes of its batch, and are the same for sorted "
                "batches, shuffled batches and one shape alone."
            ),
            source="official code (a control, not a sentence of the paper)",
            kind="exact",
        ),
        Claim(
            key="trained-parameters",
            text=(
                "Fewer than a million parameters are trained: 948,312 (language), 819,192 (image) and 874,536 (audio), "
                "without the classification head."
            ),
            source="results, under 1 M",
            kind="exact",
            notes="The head adds 464,143 for 15 classes; give both counts.",
        ),
    ),
)
