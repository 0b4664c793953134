"""iTransformer: attention between the series, not between the time steps (Liu et al., 2023)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="itransformer",
    title="iTransformer: Inverted Transformers Are Effective for Time Series Forecasting",
    date="2023-10-10",
    arxiv="2310.06625",
    authors=("Yong Liu", "Tengge Hu", "Haoran Zhang", "Haixu Wu", "Shiyu Wang", "Lintao Ma", "Mingsheng Long"),
    venue="ICLR 2024",
    code="https://github.com/thuml/iTransformer",
    licence="MIT",
    domains=("time series",),
    slots=("stem", "token mixer", "head", "training"),
    summary=(
        "A forecaster usually makes one token of all measurements at one time. iTransformer turns the table around: "
        "the whole history of one series becomes one token, attention relates the series to each other, the "
        "feed-forward network models each series, and a linear head emits the entire horizon at once. No component of "
        "the Transformer is changed, there is neither position encoding nor decoder, and the number of series may "
        "differ between training and use. Every window is normalised and the forecast scaled back. It is meant for "
        "people who forecast many related series, from power loads to traffic, and for anyone comparing Transformers "
        "with simple linear forecasters."
    ),
    honesty=(
        "Errors at single horizons are given as they are commonly cited; only the published averages over four "
        "horizons could be verified. In the official repository the inverted models normalise each window and the "
        "models they are compared with do not, so the table 'plus inverted' changes two things at once. Calendar "
        "features enter as extra tokens on most data sets, which the paper mentions only as an option. The released "
        "subset training slices the first columns before it draws from them, and the comparator for unseen series is "
        "much narrower than the model. The Alipay results use private data. On ETT the paper's own table has it behind "
        "a linear model. The released iInformer merges its heads in the wrong order."
    ),
    claims=(
        Claim(
            key="state-of-the-art",
            text=(
                "With the published configurations (96 steps in, 96 out), iTransformer reaches the reported mean "
                "squared error within 0.005 on ETTh1, ETTh2 and Exchange (0.386, 0.297, 0.086), and a lower mean "
                "absolute error than DLinear."
            ),
            source="abstract and main table",
            kind="comparison",
            notes=(
                "Its strength is many series; ETT has seven. Exchange is close to a random walk, so the naive last "
                "value must stand beside it."
            ),
        ),
        Claim(
            key="inverting-helps",
            text=(
                "The inverted Transformer has a lower mean squared error than the Transformer over time steps, both "
                "with normalised windows and both without."
            ),
            source="table 'plus inverted' (ECL 0.277 to 0.178, Weather 0.657 to 0.258)",
            kind="comparison",
            notes=(
                "The paper compares inverted and normalised with neither. All four cells are needed; with no gain left "
                "between the two normalised models, the claim falls."
            ),
        ),
        Claim(
            key="unseen-series",
            text=(
                "Trained on a fifth of the series and evaluated on all, the error of iTransformer rises by less than "
                "that of a Transformer applied to each series separately, against training on all."
            ),
            source="abstract; experiment with 20 % of the series",
            kind="comparison",
            notes=(
                "The paper's comparator has width 32 against 512. The fair one is equally wide. On Solar the paper's "
                "own numbers do not all agree."
            ),
        ),
        Claim(
            key="longer-look-back",
            text=(
                "As the history grows from 48 to 336 steps at a horizon of 96, the test error of iTransformer does not "
                "increase, while that of the Transformer over time steps does."
            ),
            source="abstract; look-back study",
            kind="comparison",
        ),
        Claim(
            key="subset-training",
            text=(
                "Training every batch on a random fifth of the series costs little accuracy (within 5 % of the error "
                "of training on all) and reduces time and memory."
            ),
            source="section on efficient training (Traffic: 91 against 265 ms, 1.28 against 7.50 GB)",
            kind="comparison",
            notes="The draw must be over all series, as the paper says and its code does not.",
        ),
        Claim(
            key="duties",
            text=(
                "Attention over series with a feed-forward over time has a lower error than the two exchanged, than "
                "two attentions, than two feed-forwards, and than either alone."
            ),
            source="ablation of the components",
            kind="comparison",
            notes="On Weather the paper's own table has two feed-forwards ahead (0.248 against 0.258).",
        ),
        Claim(
            key="interpretable-attention",
            text=(
                "In the first layer attention between series correlates with the correlations of their past, in the "
                "last layer with those of their future, more than before training."
            ),
            source="section on variate correlations",
            kind="comparison",
            notes="The paper shows pictures; a rank correlation makes it a number.",
        ),
    ),
)
