"""A plain Transformer on atoms, without a graph (Kreiman et al., 2025)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="mol-transformer",
    title="Transformers Discover Molecular Structure Without Graph Priors",
    date="2025-10-02",
    arxiv="2510.02259",
    authors=("Tobias Kreiman", "Yutong Bai", "Fadi Atieh", "Elizabeth Weaver", "Eric Qu", "Aditi S. Krishnapriyan"),
    code="https://github.com/ASK-Berkeley/graph-free-transformer",
    licence="none",
    domains=("molecules",),
    slots=("stem", "head", "objective", "training"),
    summary=(
        "Models of atoms are usually graph networks with a cutoff radius and built-in symmetry. This work asks what "
        "happens without any of that: a molecule becomes a sequence of tokens that carry an element and raw "
        "coordinates, a language-model Transformer first predicts binned positions, forces and energies one after "
        "another, and is then fine-tuned, with attention in both directions, to read out an energy and a force per "
        "atom. Rotations enter only through data. At equal training compute it rivals an equivariant network on "
        "energies, and attention comes to fade with distance by itself. It concerns people who build interatomic "
        "potentials and would welcome a model that scales like text."
    ),
    honesty=(
        "The body of the paper was not readable: results come from the project page, and the exponents of its scaling "
        "laws are unverified. Forces are 41 % less accurate than the equivariant network's in the authors' own table, "
        "while energies are better. Forces are read out directly, not as a gradient of the energy, so they are not "
        "conservative. The released sampler of rotations is not uniform, its small configurations keep a position "
        "encoding and so depend on the order of atoms, settings of paper and code differ, and no weights are "
        "published."
    ),
    claims=(
        Claim(
            key="competitive-errors",
            text=(
                "Trained for the same compute, the Transformer's mean absolute errors in energy and force on held-out "
                "molecules are within 10 % of an equivariant graph network's."
            ),
            source="abstract; project page (energy 117.99 against 129.77 meV, force 18.35 against 13.01 meV/A)",
            kind="comparison",
            notes=(
                "The abstract says 'competitive' and names no margin; 10 % is ours, and the authors' own page shows "
                "forces 41 % worse. At small scale the graph network is expected ahead: the trend with data is the "
                "result."
            ),
        ),
        Claim(
            key="attention-decays",
            text=(
                "In an early layer of a trained model, attention between atoms falls with their distance on held-out "
                "molecules (rank correlation below -0.3), and not so before training nor when trained on shuffled "
                "labels."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="radius-adapts",
            text=(
                "The radius that holds 90 % of an atom's attention grows with the distance of its neighbours, where a "
                "cutoff fixes it."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="predictable-scaling",
            text=(
                "A power law in the number of parameters fitted to three sizes predicts the loss of a larger one "
                "within 10 %."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="equivariance-learned",
            text=(
                "Trained on randomly rotated molecules, the model's forces turn with the molecule (cosine of at least "
                "0.99), and clearly less without such training."
            ),
            source="project page; cosine above 0.99 (unverified)",
            kind="comparison",
        ),
        Claim(
            key="faster-inference",
            text="A forward pass over a molecule takes less time than that of the graph network.",
            source="abstract; project page (17.2 against 26.3 ms)",
            kind="comparison",
            notes="On small molecules and on a CPU the order may turn: the size at which they cross is the result.",
        ),
        Claim(
            key="pretraining-helps",
            text=(
                "At equal total steps, fine-tuning after the autoregressive stage gives lower errors than training for "
                "the read-out throughout."
            ),
            source="method, two stages",
            kind="comparison",
        ),
    ),
)
