"""CAT: attention in three geometries, mixed by a router (Lin, Ojha and Bai, 2025)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="cat",
    title="CAT: Curvature-Adaptive Transformers for Geometry-Aware Learning",
    date="2025-10-01",
    arxiv="2510.01634",
    authors=("Ryan Y. Lin", "Siddhartha Ojha", "Nicholas Z. Bai"),
    venue="NeurIPS 2025 workshop on Non-Euclidean Foundation Models and Geometric Learning",
    domains=("knowledge graphs",),
    slots=("token mixer",),
    summary=(
        "CAT runs three attentions side by side, one in flat, one in hyperbolic and one on spherical space, and lets a "
        "small network decide for every token how much of each to use. Trees fit hyperbolic space and cycles the "
        "sphere, but real data mix both, and earlier models had to choose one geometry in advance. Here the choice is "
        "soft, learned, and can be read off. The authors test it on completing knowledge graphs, where relations range "
        "from hierarchies to symmetric links. It is of interest to people who embed structured data, and raises the "
        "question whether the gain comes from curvature or merely from three attentions with a router."
    ),
    honesty=(
        "No code is public and the body of the paper was not available. The abstract fixes three parallel branches, a "
        "router with one weight vector per token, about 5 % more parameters and the two data sets; the formulas of the "
        "branches, the router's size, the scoring of links and the optional entropy term are our reconstruction, built "
        "from the usual formulas, and no table of the paper is quoted. The 5 % can only hold when entity embeddings "
        "are counted: a block alone grows by about 70 %."
    ),
    claims=(
        Claim(
            key="routing-beats-fixed",
            text=(
                "On FB15k-237 and WN18RR, routing between three geometries gives about 10 % higher mean reciprocal "
                "rank and Hits@10 than the best single geometry."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "The decisive control is absent from the abstract: three branches of the same flat geometry with a "
                "router, at matched parameters. Fixed equal weights are a second one. Ranks must be the realistic "
                "ones, filtered, over all entities."
            ),
        ),
        Claim(
            key="mixed-structure",
            text=(
                "On a graph of trees, cycles and grids of known geometry, the routed model has a higher mean "
                "reciprocal rank than each single geometry at equal dimension."
            ),
            source="abstract",
            kind="comparison",
            notes="Same control of three equal branches.",
        ),
        Claim(
            key="routing-interpretable",
            text=(
                "On such a graph, the router's weights tell tree entities from cycle entities, hyperbolic against "
                "spherical, with an area under the curve above 0.7."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "With three flat branches the same reading should give about 0.5; if it does not, the weights do not "
                "show geometry."
            ),
        ),
        Claim(
            key="parameter-overhead",
            text="The routed model has about 5 % more parameters than the single-geometry model.",
            source="abstract",
            kind="exact",
            notes="Report it with and without the entity embeddings: they dominate the count.",
        ),
        Claim(
            key="inference-time",
            text=(
                "A batch of queries, scored against all entities, takes less than 1.2 times as long as with one "
                "geometry."
            ),
            source="abstract",
            kind="comparison",
            notes="Attention alone takes two to three times as long; scoring tens of thousands of entities hides it.",
        ),
    ),
)
