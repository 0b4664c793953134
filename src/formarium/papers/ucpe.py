"""UCPE: camera positions as rays, for video generation and beyond (Zhang et al., 2025)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="ucpe",
    title="Unified Camera Positional Encoding for Controlled Video Generation",
    date="2025-12-08",
    arxiv="2512.07237",
    authors=(
        "Cheng Zhang",
        "Boying Li",
        "Meng Wei",
        "Yan-Pei Cao",
        "Camilo Cruz\N{NO-BREAK SPACE}Gambardella",
        "Dinh Phung",
        "Jianfei Cai",
    ),
    venue="CVPR 2026",
    code="https://github.com/chengzhag/UCPE",
    licence="none",
    weights="adapters for Wan2.1-T2V-1.3B, linked from the README",
    domains=("video",),
    slots=("position", "token mixer", "training"),
    summary=(
        "UCPE tells a Transformer where each patch looks. Every token gets a frame of its own, with the viewing ray as "
        "an axis and the camera as origin, and attention carries queries, keys and values between these frames, so "
        "scores depend on relative rays. A fisheye lens is then no special case: it is merely a different set of rays. "
        "Since relative frames cannot tell up from down, a small map of latitude and up-direction adds pitch and roll. "
        "Both enter a frozen video generator through a narrow extra attention branch. It is useful to those who steer "
        "cameras in generated video, and to anyone with several views."
    ),
    honesty=(
        "Paper and inference code were read. The paper's equation for rays does not invert the projection it belongs "
        "to, and the code uses the right one; the code's up-map has a slip of one to four degrees; its Plücker "
        "baseline used transposed rotations until March 2026, and whether the tables were run again is unknown. Rays "
        "are taken at patch corners. 'Less than 1 %' of trained parameters counts the text encoder: of the generator "
        "alone it is 2.5 %. In the paper's table pitch and roll do not favour rays over simpler encodings."
    ),
    claims=(
        Claim(
            key="unifies-lenses",
            text=(
                "On views through mixed lenses, a model with relative rays predicts a target view with less error than "
                "the same model with PRoPE or GTA, above all for fisheye lenses."
            ),
            source="abstract; ablation table (rotation error 4.12 against 5.35 for PRoPE and 5.27 for GTA)",
            kind="comparison",
            notes=(
                "Trained on pinholes alone the three should tie. A further arm gives PRoPE and GTA the ray as an input "
                "feature, since part of the gain is that each token knows its own ray."
            ),
        ),
        Claim(
            key="generalises",
            text=(
                "Tested in a world frame moved by a random rigid motion, its error stays the same while that of "
                "Plücker coordinates rises; trained on moderate lenses, it loses less on extreme ones."
            ),
            source="abstract; results on RealEstate10K",
            kind="comparison",
            notes="Use the right Plücker formula.",
        ),
        Claim(
            key="relative-invariance",
            text=(
                "One rigid motion applied to all cameras leaves the attention output unchanged, to rounding, and "
                "changes a model fed with Plücker coordinates."
            ),
            source="method",
            kind="exact",
        ),
        Claim(
            key="pitch-and-roll",
            text=(
                "Painting a view from its camera alone, when the scene knows up and down, the error with the "
                "latitude-up map falls below the floor that no model blind to a global rotation can pass."
            ),
            source="abstract",
            kind="comparison",
            notes="Yaw must stay uncontrolled.",
        ),
        Claim(
            key="few-parameters",
            text=(
                "The adapter trains 35,637,120 parameters: 0.49 % of text encoder, generator and decoder together, "
                "2.51 % of the generator."
            ),
            source="abstract (less than 1 %)",
            kind="exact",
        ),
        Claim(
            key="state-of-the-art",
            text=(
                "Trained for equal steps around one frozen generator, it follows a requested camera path with less "
                "error than pose vectors with trained self-attention and than Plücker maps."
            ),
            source="abstract; Tables 1 and 2",
            kind="comparison",
            notes="In the paper's RealEstate10K table it leads in camera errors and not in video quality.",
        ),
        Claim(
            key="prior-kept",
            text="Before the first step, the generator with the adapter gives the same output as without, bit for bit.",
            source="method, zero-initialised projection",
            kind="exact",
        ),
    ),
)
