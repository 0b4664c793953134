"""Variants of equal size: one width of each is moved until its parameters match those of the first."""

import torch

from formarium.config import BaseConfig, ConfigError
from formarium.models.model import Model

TOLERANCE = 0.01


def count_parameters(config: BaseConfig) -> int:
    """How many trainable numbers the configured model has; nothing is allocated."""
    with torch.device("meta"):
        model = config.build()
    assert isinstance(model, Model)
    return model.num_parameters()


def match_parameters(config: BaseConfig, target: int, adjusts: str) -> BaseConfig:
    """The configuration with the setting that ``adjusts`` names (dotted, an integer) moved until it matches ``target``.

    The closest width is taken. Raises ConfigError when none comes within 1 %, and when the model has no such setting.
    """
    if abs(count_parameters(config) - target) <= TOLERANCE * target * 0.1:
        return config

    if not hasattr(config, adjusts.partition(".")[0]):
        raise ConfigError(
            f"{config.describe()} is of another size than what it is compared with, and has no {adjusts} by which it "
            "could be brought to that; compare them as they are (--no-matched)"
        )

    def at(width: int) -> int:
        return count_parameters(config.override({adjusts: width}))

    low, high = 1, 1
    while at(high) < target:
        low, high = high, high * 2
        if high > 1 << 24:
            raise ConfigError(f"{adjusts} does not change the size of {config.name()}: parameters cannot be matched")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at(middle) < target else (low, middle)
    width = min((low, high), key=lambda w: abs(at(w) - target))
    found = at(width)
    if abs(found - target) > TOLERANCE * target:
        raise ConfigError(
            f"no {adjusts} brings {config.describe()} within 1 % of {target:,} parameters; the nearest has {found:,}"
        )
    return config.override({adjusts: width})
