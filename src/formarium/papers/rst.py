"""RST: deblurring that attends along circles and radii (Chen et al., 2024)."""

from formarium.lab.claim import Card, Claim

CARD = Card(
    slug="rst",
    title="Spread Your Wings: A Radial Strip Transformer for Image Deblurring",
    date="2024-03-30",
    arxiv="2404.00358",
    authors=("Duosheng Chen", "Shihao Zhou", "Jinshan Pan", "Jinglei Shi", "Lishen Qu", "Jufeng Yang"),
    code="https://github.com/Calvin11311/RST",
    licence="none",
    domains=("restoration",),
    slots=("stem", "position", "token mixer"),
    summary=(
        "A camera that shakes also turns, and the blur of a turn is a shift in the angle, not along rows or columns. "
        "RST therefore organises a deblurring network around polar coordinates. Its first layer is a deformable "
        "convolution whose sampling points may stretch along the radius, and its decoder attends inside strips of "
        "equal radius or equal angle, with a periodic bias for the angle between two places. The rest is a U-shaped "
        "restoration network with a feed-forward in the frequency domain. It addresses people who restore photographs "
        "taken by hand, and asks more generally whether the geometry of attention should follow that of the damage."
    ),
    honesty=(
        "The official repository is empty, and neither the paper's text nor its tables were available, so no number of "
        "the paper is quoted. Details come from the same authors' later repository MDT, which ships a compiled module "
        "of this name, has no licence, and holds one constant apart the same network. There the polar branch of the "
        "stem draws new random weights at every call, which makes inference random; the polar resampling is computed "
        "and discarded; windows are rows of the Cartesian map; and the radial bias cancels. A true polar form is "
        "therefore our reading of the idea, not the authors' code."
    ),
    claims=(
        Claim(
            key="polar-helps-rotation",
            text=(
                "Polar strips gain more PSNR over square windows on rotational blur than on translational blur, at "
                "equal parameters and steps."
            ),
            source="abstract",
            kind="comparison",
            notes=(
                "The published network is Cartesian in fact; arms are square windows, Cartesian strips, true polar "
                "strips and the published form, on crops centred on the rotation. In real photographs that centre is "
                "unknown."
            ),
        ),
        Claim(
            key="radial-stem",
            text=(
                "The radial deformable stem reaches a higher PSNR than a plain convolution and than an ordinary "
                "deformable convolution of equal size."
            ),
            source="abstract, dynamic radial embedding",
            kind="comparison",
            notes="Include offsets redrawn at random on every call, as published.",
        ),
        Claim(
            key="azimuth-bias",
            text="The periodic bias in the angle raises PSNR over strip attention without a bias.",
            source="abstract, radial strip attention",
            kind="comparison",
            notes="A small effect is expected.",
        ),
        Claim(
            key="state-of-the-art",
            text=(
                "On six synthetic and real deblurring sets, GoPro among them, it reaches a higher PSNR than earlier "
                "restoration networks."
            ),
            source="abstract, six data sets",
            kind="comparison",
            notes=(
                "Needs GoPro (2,103 and 1,111 pairs) and 300 thousand steps; the sets other than GoPro, HIDE and "
                "RealBlur are not known to us."
            ),
        ),
    ),
)
