"""AdamW, and Muon for matrices, over the parameter groups that a model asks for."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from formarium.parts.linear import FusedLinear
from formarium.parts.part import Part
from formarium.training.settings import Training
from formarium.training.shards import spread, whole


def make_optimiser(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """The configured optimiser over all trainable parameters, each in the group that its kind asks for."""
    groups = parameter_groups(model, training)
    betas = (training.beta1, training.beta2)
    if training.optimizer == "muon":
        return Muon(groups, betas=betas, eps=training.eps)
    kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
    where = {p.device.type for group in groups for p in group["params"]}
    return kind(groups, betas=betas, eps=training.eps, fused=True if where in ({"cpu"}, {"cuda"}) else None)


def parameter_groups(model: nn.Module, training: Training) -> list[dict[str, Any]]:
    """Groups by rate, decay and method; ``learning_rate_factor`` and ``decays`` of a part hold for what it holds."""
    factors: dict[int, float] = {}
    kept: set[int] = set()
    for module in model.modules():
        if isinstance(module, Part):
            own = [id(p) for p in module.parameters(recurse=False)]
            factors.update(dict.fromkeys(own, module.learning_rate_factor))
            kept.update(own if not module.decays else ())
    splits = _matrices(model) if training.optimizer == "muon" else {}
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        pieces = splits.get(id(parameter))
        rate = training.learning_rate if pieces is None else training.matrix_rate
        rate *= factors.get(id(parameter), 1.0)
        decays = parameter.dim() >= 2 and id(parameter) not in kept and training.optimizer != "adam"
        decay = training.weight_decay if decays else 0.0
        group = {"params": [], "lr": rate, "weight_decay": decay}
        if training.optimizer == "muon":
            group["splits"] = pieces
        key = (rate, decay, None if pieces is None else tuple(pieces))
        groups.setdefault(key, group)["params"].append(parameter)
    return list(groups.values())


def _matrices(model: nn.Module) -> dict[int, list[int]]:
    """The hidden matrices that Muon takes, with how their rows split into maps of their own; heads are left out."""
    heads = {id(getattr(model, "head", None))}
    found = {}
    for module in model.modules():
        if isinstance(module, nn.Linear) and id(module) not in heads:
            found[id(module.weight)] = module.splits if isinstance(module, FusedLinear) else [module.out_features]
    return found


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised by Newton-Schulz steps for matrices, AdamW for the rest (Jordan et al. 2024).

    Groups with ``splits`` hold matrices whose rows are the maps of those heights; each is orthogonalised by itself, and
    its rate multiplied by sqrt(max(1, rows / columns)). Other groups go by AdamW.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 0.02,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "splits": None}
        super().__init__(params, {**defaults, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._adamw if group["splits"] is None else self._orthogonal
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    update(parameter, parameter.grad, self.state[parameter], group)
        return loss

    @staticmethod
    def _orthogonal(parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        momentum = state.setdefault("momentum", torch.zeros_like(parameter))
        momentum.lerp_(gradient, 1 - group["momentum"])
        nesterov = whole(gradient.lerp(momentum, group["momentum"]))
        updates = [
            max(1.0, rows.shape[0] / rows.shape[1]) ** 0.5 * orthogonalised(rows)
            for rows in nesterov.split(group["splits"])
        ]
        parameter.add_(spread(torch.cat(updates).to(parameter.dtype), parameter), alpha=-group["lr"])

    @staticmethod
    def _adamw(parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        beta1, beta2 = group["betas"]
        state["mean"].lerp_(gradient, 1 - beta1)
        state["square"].lerp_(gradient.square(), 1 - beta2)
        mean = state["mean"] / (1 - beta1 ** state["step"])
        root = (state["square"] / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
        parameter.addcdiv_(mean, root, value=-group["lr"])


def orthogonalised(matrix: Tensor, steps: int = 5) -> Tensor:
    """Roughly the nearest matrix with equal singular values: five steps of a quintic Newton-Schulz iteration.

    The coefficients (3.4445, -4.7750, 2.0315) are those of Jordan et al. 2024; in bfloat16 on accelerators.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrix.bfloat16() if matrix.is_cuda else matrix
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
