"""No positions: a causal mask alone tells tokens apart (Kazemnejad et al. 2023, arXiv 2305.19466)."""

from dataclasses import dataclass

from formarium.config import BaseConfig
from formarium.parts.part import Position


class NoPE(Position):
    """Neither adds, turns, biases nor scales anything."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        pass

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
