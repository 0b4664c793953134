"""Self-attention as a support vector machine: where gradient descent takes it (Ataee Tarzanagh et al., 2023)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="attention-svm",
    title="Transformers as Support Vector Machines",
    date="2023-08-31",
    arxiv="2308.16898",
    authors=("Davoud Ataee\N{NO-BREAK SPACE}Tarzanagh", "Yingcong Li", "Christos Thrampoulidis", "Samet Oymak"),
    venue="NeurIPS 2023 workshop on Mathematics of Modern Machine Learning",
    code="https://github.com/umich-sota/TF-as-SVM",
    licence="none",
    domains=("theory",),
    slots=("theory", "token mixer"),
    summary=(
        "Train one attention layer by gradient descent and its weights grow without end. This paper says in which "
        "direction: that of a hard-margin support vector machine which separates, in each sequence, one chosen token "
        "from the others. Trained through one matrix, attention tends to the solution with the smallest Frobenius "
        "norm; trained through separate keys and queries, to the one with the smallest nuclear norm, hence of low "
        "rank. The chosen tokens need be best only locally, but with many dimensions they mostly are the best. It is "
        "for theorists of training dynamics, and yields a probe of trained heads."
    ),
    honesty=(
        "Abstract, notebooks and their stored plots were read, the text of the theorems was not: statements follow the "
        "established results, and exact assumptions and constants are unverified. After attention saturates, plain "
        "gradients are rounding noise, so correct programs differ in the third digit after a thousand steps. The "
        "official comparison is with the tokens that training chose, the local solution. Which tokens stay relevant "
        "under a nonlinear head is read from the trained model, not predicted."
    ),
    claims=(
        Claim(
            key="two-norms",
            text=(
                "After training, the direction of a single weight matrix correlates above 0.98 with the Frobenius "
                "solution and below 0.92 with the nuclear one, and that of separate keys and queries the other way "
                "round."
            ),
            source="abstract, (1)",
            kind="comparison",
            notes="Averages over at least 30 random problems. Correlation approaches its limit slowly: show the curve.",
        ),
        Claim(
            key="local-directions",
            text=(
                "In some runs the chosen tokens are not the best ones; the weights then still correlate above 0.98 "
                "with the solution for the chosen tokens, and less with that for the best."
            ),
            source="abstract, (1)",
            kind="comparison",
        ),
        Claim(
            key="global-when-equal",
            text=(
                "When all but the best token of a sequence score equally, every run chooses the best tokens, whatever "
                "its start."
            ),
            source="abstract, (2)",
            kind="comparison",
        ),
        Claim(
            key="overparameterisation",
            text="The share of runs that choose the best tokens rises with the embedding dimension.",
            source="abstract, (2)",
            kind="comparison",
        ),
        Claim(
            key="feasibility",
            text=(
                "The separation problem has a solution whichever tokens are chosen, once the dimension is at least the "
                "larger of the number of sequences and the sequence length less one, for random data."
            ),
            source="abstract, (2)",
            kind="exact",
            notes="A linear program decides it; no training is needed.",
        ),
        Claim(
            key="nonlinear-heads",
            text=(
                "For a nonlinear head that keeps several tokens, the generalised solution (finite part plus direction) "
                "correlates more with the trained weights than the direction alone, and that more than the one-token "
                "solution."
            ),
            source="abstract, (3)",
            kind="comparison",
        ),
        Claim(
            key="arbitrary-data",
            text="The same correlations hold for tokens that are not Gaussian, such as embeddings of a language model.",
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="regularisation-path",
            text=(
                "Minimising the loss under a norm bound, the correlation with the solution rises with the bound "
                "towards 1."
            ),
            source="abstract, vanishing regularisation",
            kind="comparison",
        ),
        Claim(
            key="low-rank",
            text=(
                "The Frobenius solution's rank is at most the number of sequences and at most the dimension; the "
                "nuclear solution's nuclear norm is no larger, and its Frobenius norm no smaller."
            ),
            source="section on rank",
            kind="exact",
        ),
    ),
)
