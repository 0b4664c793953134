"""Where the course of a training is written to: CSV files, TensorBoard, Weights & Biases."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formarium.config import ConfigError, suggestion

NAMES = ("csv", "tensorboard", "wandb")


def make_loggers(names: Sequence[str], folder: Path) -> list[Any]:
    """Lightning loggers of those names, writing below ``folder``.

    Raises ConfigError for an unknown name, ModuleNotFoundError where the package of that name is not installed.
    """
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger

    found: list[Any] = []
    for name in names:
        if name in ("tensorboard", "wandb") and importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"there is no package {name!r}", name=name)
        if name == "csv":
            found.append(CSVLogger(folder, name="csv"))  # numbered by itself: it would delete what it finds
        elif name == "tensorboard":
            found.append(TensorBoardLogger(folder, name="tensorboard", version=""))
        elif name == "wandb":
            found.append(WandbLogger(project="formarium", name=folder.name, save_dir=folder))
        else:
            raise ConfigError(f"there is no logger {name!r}{suggestion(name, NAMES)}")
    return found
