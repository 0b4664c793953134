"""Which of twelve photographs is this a patch of? Texture recognition from pictures that come with two libraries.

The photographs are those of scikit-image and scikit-learn, so that there are pictures of some size on every machine.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from formarium.tasks.images.pictures import Source, Stack
from formarium.tasks.task import Split

SIDE = 64
_STRIDE = 8
_SHARES: dict[Split, tuple[float, float]] = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}
_MOST: dict[Split, int] = {"train": 400, "validation": 60, "test": 60}


def read_textures() -> Source:
    """Grey patches of 64 x 64 pixels, 400 of each photograph to train on, 60 to validate and 60 to test.

    The splits are side by side in a photograph, the left three fifths for training, and share no pixel; within a split
    patches overlap. Grey values are the ranks of those of the whole photograph, so that no class is told by being
    bright, dark or of a colour.
    """
    names = sorted(_PHOTOGRAPHS)
    found: dict[Split, list[np.ndarray]] = {split: [] for split in _SHARES}
    for name in names:
        ranks = _ranked(_grey(_PHOTOGRAPHS[name]()))
        for split, (first, last) in _SHARES.items():
            region = ranks[:, round(first * ranks.shape[1]) : round(last * ranks.shape[1])]
            found[split].append(_patches(region, _MOST[split]))
    splits = {
        split: Stack(np.concatenate(patches)[:, None], np.repeat(np.arange(len(names)), [len(p) for p in patches]))
        for split, patches in found.items()
    }
    return Source(splits, tuple(names), size=32)


def _grey(picture: np.ndarray) -> np.ndarray:
    """Luma of an RGB picture (ITU-R BT.601), (H, W)."""
    return picture if picture.ndim == 2 else picture[..., :3] @ np.array([0.299, 0.587, 0.114])


def _ranked(grey: np.ndarray) -> np.ndarray:
    """Each value as the share of smaller values of the picture, times 255."""
    _, where, counts = np.unique(grey.ravel(), return_inverse=True, return_counts=True)
    below = (np.cumsum(counts) - counts / 2) / grey.size
    return np.asarray((255 * below[where]).round().astype(np.uint8).reshape(grey.shape))


def _patches(region: np.ndarray, most: int) -> np.ndarray:
    """At most so many patches (n, S, S) of a region (H, W), evenly spread over all that a stride of 8 pixels gives."""
    windows = np.lib.stride_tricks.sliding_window_view(region, (SIDE, SIDE))[::_STRIDE, ::_STRIDE]
    flat = windows.reshape(-1, SIDE, SIDE)
    return np.asarray(flat[np.linspace(0, len(flat) - 1, min(most, len(flat))).round().astype(np.int64)])


def _scikit_image(name: str) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        import skimage.data

        made: Any = getattr(skimage.data, name)()
        return np.asarray(made[0] if isinstance(made, tuple) else made)

    return read


def _scikit_learn(name: str) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        from sklearn.datasets import load_sample_image

        return np.asarray(load_sample_image(name))

    return read


_PHOTOGRAPHS: dict[str, Callable[[], np.ndarray]] = {
    "brick": _scikit_image("brick"),
    "cat": _scikit_image("cat"),
    "coffee": _scikit_image("coffee"),
    "coins": _scikit_image("coins"),
    "flower": _scikit_learn("flower.jpg"),
    "galaxies": _scikit_image("hubble_deep_field"),
    "grass": _scikit_image("grass"),
    "gravel": _scikit_image("gravel"),
    "motorcycle": _scikit_image("stereo_motorcycle"),
    "palace": _scikit_learn("china.jpg"),
    "portrait": _scikit_image("astronaut"),
    "tissue": _scikit_image("immunohistochemistry"),
}
