"""Sample4Geo: choosing hard negatives for matching street and satellite views (Deuser, Habel and Oswald, 2023)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="sample4geo",
    title="Sample4Geo: Hard Negative Sampling For Cross-View Geo-Localisation",
    date="2023-03-21",
    arxiv="2303.11851",
    authors=("Fabian Deuser", "Konrad Habel", "Norbert Oswald"),
    venue="ICCV 2023",
    pages="16847-16856",
    code="https://github.com/Skyy93/Sample4Geo",
    licence="none",
    weights="on Google Drive, linked from the README",
    domains=("retrieval",),
    slots=("objective", "training", "data"),
    summary=(
        "Given a photograph from the street, find the satellite image of the place. Earlier systems warp the satellite "
        "view, add special layers, or tune triplets. Sample4Geo uses one ordinary image encoder for both views with a "
        "symmetric contrastive loss, and puts its effort into the batch: first it fills batches with geographic "
        "neighbours, which look alike, later with whatever the current model confuses. By its authors' account that "
        "alone led four benchmarks in 2023. The method is a sampler and a loss, independent of the encoder, and so of "
        "interest to anybody who trains retrieval with in-batch negatives."
    ),
    honesty=(
        "The abstract and the code were read, not the body of the paper. Numbers for CVUSA, CVACT validation and "
        "University-1652 agree with public leaderboards; those for the CVACT test set and VIGOR are recalled and "
        "unverified. The script that finds geographic neighbours feeds degrees where radians are expected, the builder "
        "skips the sample numbered 0, drops the last batch, and does not exclude satellite images that show the same "
        "place. All data sets are available on request only."
    ),
    claims=(
        Claim(
            key="hard-negatives",
            text=(
                "At equal steps and batch size, batches of geographic neighbours followed by batches of visually "
                "similar places give a higher recall at 1 on an unseen area than random batches, and either kind alone "
                "lies between."
            ),
            source="abstract",
            kind="comparison",
            notes="Refuted if random batches catch up at equal steps.",
        ),
        Claim(
            key="symmetric-loss",
            text=(
                "The symmetric contrastive loss gives a higher recall at 1 than a triplet loss and than the loss in "
                "one direction, at equal budget."
            ),
            source="abstract",
            kind="comparison",
            notes="Label smoothing and the learned temperature are to be switched off one at a time.",
        ),
        Claim(
            key="shared-encoder",
            text=(
                "One encoder for both views has a recall at 1 at least as high as two separate encoders of the same "
                "architecture."
            ),
            source="method",
            kind="comparison",
            notes="Two encoders have twice the parameters.",
        ),
        Claim(
            key="no-polar-transform",
            text=(
                "Warping the satellite view to polar coordinates does not raise the recall at 1 of the model trained "
                "with hard negatives, within an area or across areas."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="generalises-across-areas",
            text=(
                "The advantage of hard negatives over random batches holds when training and test areas do not overlap."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="state-of-the-art",
            text=(
                "On CVUSA and CVACT it retrieves the right satellite image first for 98.68 % and 90.81 % of queries, "
                "above all earlier methods."
            ),
            source="abstract; CVUSA 98.68 %, CVACT 90.81 % recall at 1",
            kind="comparison",
            notes="Needs the data sets and 40 epochs of ConvNeXt-B on several GPUs.",
        ),
    ),
)
