"""Our modules under official weights: the translation of names and layouts, and gradients under official names."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from formarium.errors import CheckpointError

State = Mapping[str, Tensor]
Translate = Callable[[State], dict[str, Tensor]]


class Adapter(nn.Module):
    """A module of ours that takes its weights from an official state.

    module: ours, in any precision; it gets that of the state. translate: official tensors to our parameters by name,
    with differentiable operations only. run: calls the module with official inputs, returns outputs by official name.
    """

    def __init__(
        self,
        module: nn.Module,
        translate: Translate,
        state: State,
        run: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        self.module, self.translate, self.state = module, translate, dict(state)
        self._run = run or (lambda module, **inputs: module(**inputs))
        weights = translate(state)
        floating = next((w.dtype for w in weights.values() if w.is_floating_point()), torch.float32)
        self.module.to(floating)
        own = dict(self.module.named_parameters()) | dict(self.module.named_buffers())
        for name in [n for n in dict(self.module.named_parameters()) if n not in weights]:
            raise CheckpointError(f"the official state lacks what {name!r} is made of")
        for name, weight in weights.items():
            if name not in own or own[name].shape != weight.shape:
                ours = tuple(own[name].shape) if name in own else "absent"
                raise CheckpointError(f"{name!r} is {tuple(weight.shape)} in the official state, {ours} in the module")
        self.module.load_state_dict(weights, strict=False)

    def forward(self, **inputs: Tensor) -> Any:
        return self._run(self.module, **inputs)

    def gradients(self, loss: Callable[..., Tensor]) -> Callable[..., dict[str, Tensor]]:
        """A function of the inputs: the gradients, under official names, of ``loss(outputs, **other inputs)``.

        ``loss`` names the inputs that it takes itself (as ``cotangent``) in its signature; the module gets the rest.
        """
        taken = loss.__code__.co_varnames[1 : loss.__code__.co_argcount]

        def gradients(**inputs: Tensor) -> dict[str, Tensor]:
            own = {name: inputs.pop(name) for name in taken if name in inputs}
            with torch.enable_grad():
                leaves = {k: v.detach().clone() for k, v in self.state.items()}
                floating = {k: v.requires_grad_() for k, v in leaves.items() if v.is_floating_point()}
                weights = self.translate(leaves)
                outputs = functional_call(self, {f"module.{k}": v for k, v in weights.items()}, kwargs=inputs)
                value = loss(outputs, **own)
                found = torch.autograd.grad(value, list(floating.values()), allow_unused=True)
            pairs = zip(floating, found, strict=True)
            return {name: gradient for name, gradient in pairs if gradient is not None}

        return gradients


def against_cotangent(outputs: Any, cotangent: Tensor) -> Tensor:
    """The loss sum(y * cotangent) of the only, or the first, output."""
    y: Tensor = next(iter(outputs.values())) if isinstance(outputs, Mapping) else outputs
    return (y * cotangent).sum()
