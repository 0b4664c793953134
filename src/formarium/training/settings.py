"""How a model is trained: everything that changes the numbers, apart from the model and the task."""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

from formarium.config import BaseConfig, ConfigError


@dataclass(frozen=True)
class Training(BaseConfig):
    """The budget, the optimiser and its schedule.

    steps: optimiser steps, each of batch_size * accumulation examples a process. epochs: instead of steps, passes over
    the training examples; ``evaluate_every``, ``hold`` and ``halve_every`` then count epochs too. optimizer: ``adamw``,
    ``adam`` (no decay) or ``muon`` (hidden matrices by Muon at ``matrix_rate``, all else by AdamW). weight_decay: on
    weights of two dimensions and more, token tables included; never on gains, biases and scalars. clip: of the
    gradient's norm. schedule: after ``warmup`` (a share of the steps; with much less, runs of hundreds of steps spike),
    ``cosine`` or ``linear`` to ``final`` times the rate, ``wsd`` (constant, the last ``decay`` share linear to
    ``final``), ``constant``, or ``halving`` (by half each ``halve_every`` steps, behind the first ``hold`` steps).
    patience: stop after that many evaluations without improvement. keep: the ``last`` weights or the ``best`` evaluated
    ones.
    """

    steps: int = 1000
    epochs: int | None = None
    batch_size: int = 16
    accumulation: int = 1
    optimizer: Literal["adamw", "adam", "muon"] = "adamw"
    learning_rate: float = 3e-3
    matrix_rate: float = 0.02
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float | None = 1.0
    schedule: Literal["cosine", "linear", "wsd", "constant", "halving"] = "cosine"
    warmup: float = 0.1
    final: float = 0.1
    decay: float = 0.2
    halve_every: int | None = None
    hold: int = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] = "32-true"
    compile: bool = False
    evaluate_every: int | None = None
    patience: int | None = None
    keep: Literal["last", "best"] = "last"

    def check(self) -> None:
        """ConfigError for settings that cannot be trained with."""
        if min(self.steps, self.batch_size, self.accumulation) < 1:
            raise ConfigError("steps, batch_size and accumulation are at least 1")
        if (self.epochs is not None and self.epochs < 1) or self.hold < 0:
            raise ConfigError("epochs are at least 1, and hold is not below 0")
        if not self.learning_rate > 0:
            raise ConfigError(f"the learning rate is above 0, not {self.learning_rate:g}")
        for name in ("warmup", "final", "decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a share between 0 and 1, not {getattr(self, name):g}")
        if self.evaluate_every is not None and self.evaluate_every < 1:
            raise ConfigError(f"evaluate_every is at least 1 step, not {self.evaluate_every}")
        if (self.patience is not None or self.keep == "best") and self.evaluate_every is None:
            raise ConfigError("patience and keep='best' need evaluate_every")
        if self.schedule == "halving" and not self.halve_every:
            raise ConfigError("the schedule 'halving' needs halve_every")

    def factor(self, step: int) -> float:
        """The learning rate of a step (from 0) as a share of its peak."""
        rise = int(self.warmup * self.steps)
        if step < rise:
            return (step + 1) / rise
        done = (step - rise) / max(1, self.steps - rise)
        if self.schedule == "cosine":
            return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        if self.schedule == "linear":
            return 1 - (1 - self.final) * min(done, 1.0)
        if self.schedule == "wsd":
            fall = (step - (1 - self.decay) * self.steps) / max(1.0, self.decay * self.steps)
            return 1 - (1 - self.final) * min(max(fall, 0.0), 1.0)
        if self.schedule == "halving" and self.halve_every:
            return float(0.5 ** (max(0, step - self.hold) // self.halve_every))
        return 1.0

    def in_steps(self, epoch: int) -> Self:
        """The same in optimiser steps, where there are ``epoch`` of them to a pass over the training examples."""
        if self.epochs is None:
            return self

        def steps(epochs: int | None) -> int | None:
            return None if epochs is None else epochs * epoch

        return replace(
            self,
            epochs=None,
            steps=self.epochs * epoch,
            evaluate_every=steps(self.evaluate_every),
            halve_every=steps(self.halve_every),
            hold=self.hold * epoch,
        )


@dataclass(frozen=True)
class Machine(BaseConfig):
    """Where a model is trained: what changes speed, not meaning.

    devices: how many a node, or ``auto``. strategy: ``auto``, ``ddp`` (a copy each) or ``fsdp`` (weights and optimiser
    state sharded). Under ``torchrun`` the processes and nodes are those that it started.
    """

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    devices: int | Literal["auto"] = "auto"
    nodes: int = 1
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"

    def check(self) -> None:
        """ConfigError for numbers of devices that are none."""
        for name in ("devices", "nodes"):
            count = getattr(self, name)
            if count != "auto" and count < 1:
                raise ConfigError(f"{name} is at least 1, not {count}")
