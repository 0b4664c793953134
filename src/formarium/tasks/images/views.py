"""Views of pictures as models see them: cut to a square, mirrored or not, as numbers from -1 to 1."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def view(
    images: Sequence[Tensor],
    size: int,
    at: np.ndarray | None = None,
    mirrored: np.ndarray | None = None,
    pad: int = 0,
) -> Tensor:
    """Bytes (C, h, w) of any h, w >= size to numbers (n, C, size, size) with mean and deviation one half taken out.

    at: (n, 2) from 0 to 1, where the square lies between the top left and the bottom right; the middle where None. pad:
    black pixels put on every side before. mirrored: (n,) booleans, left and right exchanged.
    """
    cut = []
    for index, image in enumerate(images):
        if pad:
            image = F.pad(image, (pad,) * 4)
        down, right = (0.5, 0.5) if at is None else at[index]
        top, left = (round(float(s) * (n - size)) for s, n in zip((down, right), image.shape[1:], strict=True))
        square = image[:, top : top + size, left : left + size]
        cut.append(square.flip(-1) if mirrored is not None and mirrored[index] else square)
    return torch.stack(cut).to(torch.float32) / 127.5 - 1
