"""A unified view of long-sequence models, and attention over many machines (Hè and Kabic, 2023)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="unified-view",
    title="A Unified View of Long-Sequence Models towards Modeling Million-Scale Dependencies",
    date="2023-02-13",
    arxiv="2302.06218",
    authors=("Hongyu Hè", "Marko Kabic"),
    domains=("systems",),
    slots=("token mixer", "training"),
    summary=(
        "The paper writes the many methods for long sequences, from Fourier mixing and convolutions to kernels and "
        "sparse attention, in one form: a matrix that mixes tokens, applied to values. It then shows that longer "
        "contexts help, though not in every task, and sketches a system for contexts of a million tokens, of which it "
        "builds one part: multi-head attention spread over several GPUs. It is of use to anyone who compares mixers "
        "and wants to see their cost, causality and structure side by side, and to those whose sequence no longer fits "
        "on one device and who need exact attention across machines."
    ),
    honesty=(
        "Only the abstract and the table of symbols were available, and no code is public. The template with its "
        "families is our reconstruction, and how the paper distributes attention is unknown: schedules here carry "
        "their usual names (all-gather, ring, all-to-all) and claim nothing about the authors' algorithm. A gain of "
        "'almost 40 times' from four GPUs can only come from a baseline that is unfused or short of memory; against a "
        "fused kernel four give at most four. All other numbers are unverified."
    ),
    claims=(
        Claim(
            key="one-template",
            text=(
                "Each token mixer of the library can state its mixing matrix for a short input, and applying the mixer "
                "equals multiplying its values by that matrix."
            ),
            source="abstract",
            kind="exact",
            notes="A mixer that cannot state a matrix lies outside the template and is listed as such.",
        ),
        Claim(
            key="longer-helps-sometimes",
            text=(
                "At equal tokens, lengthening the context from 64 to 1,024 lowers the loss of a language model ever "
                "less, and lets a model retrieve from a distance only once the context reaches it."
            ),
            source="abstract",
            kind="comparison",
            notes="Refuted if gains are equal in all tasks.",
        ),
        Claim(
            key="attention-falls-short",
            text=(
                "On tasks with dependencies of a thousand tokens and more, a Transformer is less accurate than a mixer "
                "built for long range at equal parameters and time."
            ),
            source="abstract",
            kind="comparison",
        ),
        Claim(
            key="distributed-speed",
            text=(
                "Attention spread over p devices takes less than 1/p of the time of unfused attention on one device "
                "(almost 40 times less on four, by the paper)."
            ),
            source="abstract (almost 40 times on four RTX 4090)",
            kind="comparison",
            notes="Show fused attention on one device beside it: p is the bound there.",
        ),
        Claim(
            key="distributed-exact",
            text=(
                "Every schedule gives the output and the gradients of attention on one device, to rounding, for any "
                "number of devices, with and without a causal mask."
            ),
            source="method",
            kind="exact",
        ),
        Claim(
            key="million-tokens",
            text=(
                "A mixer with a constant-size state processes a million tokens with time and memory that grow with an "
                "exponent of at most 1.1."
            ),
            source="title and abstract",
            kind="scaling",
        ),
    ),
)
