"""Several token mixers side by side, weighed for each token by a router: the token mixer of CAT.

Lin, Ojha and Bai 2025, arXiv 2510.01634. The abstract fixes the three geometries and one weight vector a token; the
router's size, its entropy term and what branches share are a reconstruction.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.linear import Linear
from formarium.parts.part import Part, Position, TokenMixer
from formarium.parts.token_mixers.attention import Attention
from formarium.parts.token_mixers.hyperbolic_attention import HyperbolicAttention
from formarium.parts.token_mixers.multi_head import MultiHead
from formarium.parts.token_mixers.spherical_attention import SphericalAttention


class TokenRouter(Part):
    """softmax((W_2 ReLU(W_1 x + b_1) + b_2) / temperature): tokens (..., D) to shares of n branches (..., n).

    hidden: the inner width, by default half of D. entropy: this much times the mean entropy of the shares is taken off
    the training loss, so that no branch starves (unverified in the paper). reads: what the mixer reads, normed, or the
    tokens as the stem left them. Raises ConfigError for a temperature that is not above 0.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        hidden: int | None = None
        temperature: float = 1.0
        entropy: float = 0.0
        reads: Literal["input", "embeddings"] = "input"

    def __init__(self, width: int, branches: int, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        hidden = max(1, width // 2) if config.hidden is None else config.hidden
        if hidden < 1 or not config.temperature > 0:
            raise ConfigError("a router has an inner width of at least 1 and a temperature above 0")
        self.up, self.down = Linear(width, hidden), Linear(hidden, branches)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.down(torch.relu(self.up(x))) / self.config.temperature
        dtype = torch.promote_types(logits.dtype, torch.float32)
        return torch.softmax(logits, dim=-1, dtype=dtype).to(logits.dtype)


class Mixture(TokenMixer):
    """sum_g alpha_g(x_i) branch_g(x)_i over mixers in parallel: (B, T, D) to (B, T, D).

    branches: by default attention in flat space, on the Poincaré ball and on the sphere. router: gives alpha, that of
    the query token; None weighs all branches equally. shared_projection: branches take their queries, keys and values
    from the first one's projection. Raises ConfigError for what is not a token mixer, and for branches that cannot
    share a projection.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        branches: tuple[BaseConfig, ...] = (
            Attention.Config(),
            HyperbolicAttention.Config(),
            SphericalAttention.Config(),
        )
        router: TokenRouter.Config | None = TokenRouter.Config()
        shared_projection: bool = False

    def __init__(
        self,
        width: int,
        position: Position | None = None,
        causal: bool = False,
        config: Config | None = None,
        **surroundings: Any,
    ) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.causal = causal
        if not config.branches:
            raise ConfigError("a mixture has at least one branch")
        around = {**surroundings, "width": width, "causal": causal}
        # A position that is not shared by all layers is the mixer's own: each branch has one.
        own = position is not None and not position.shared
        self.branches = nn.ModuleList(
            branch.build(**around, position=copy.deepcopy(position) if own and index else position)
            for index, branch in enumerate(config.branches)
        )
        for branch, settings in zip(self.branches, config.branches, strict=True):
            if not isinstance(branch, TokenMixer):
                raise ConfigError(f"the branches of a mixture are token mixers, which {settings.name()} is not")
        if config.shared_projection:
            first, *rest = self.branches
            if not all(isinstance(branch, MultiHead) for branch in self.branches):
                raise ConfigError("only branches with queries, keys and values can share their projection")
            for branch in rest:
                cast(MultiHead, branch).share_projection(cast(MultiHead, first))
        router = config.router
        self.router: TokenRouter | None = None
        if router is not None:
            self.router = cast(TokenRouter, router.build(width=width, branches=len(config.branches)))

    def shares(self, x: Tensor, context: Context) -> Tensor:
        """alpha (B, T, n), which sums to 1 over branches."""
        if self.router is None:
            return x.new_full((*x.shape[:-1], len(self.branches)), 1 / len(self.branches))
        if self.router.config.reads == "embeddings":
            if context.embeddings is None:
                raise ConfigError("the router reads tokens as the stem left them, which the context here lacks")
            x = context.embeddings
        shares: Tensor = self.router(x)
        return shares

    def forward(self, x: Tensor, context: Context) -> Tensor:
        shares = self.shares(x, context)
        if context.penalties is not None and self.router is not None and self.router.config.entropy:
            context.penalties.append(-self.router.config.entropy * _mean_entropy(shares, context.mask))
        return _weighed(shares, [branch(x, context) for branch in self.branches])

    def new_state(self, batch: int, capacity: int, like: Tensor) -> LayerState:
        states = (branch.new_state(batch, capacity, like) for branch in self._all)
        return {f"{index}.{name}": tensor for index, state in enumerate(states) for name, tensor in state.items()}

    def step(self, x: Tensor, context: Context, state: LayerState) -> Tensor:
        outputs = []
        for index, branch in enumerate(self._all):
            mark = f"{index}."
            own = {name.removeprefix(mark): tensor for name, tensor in state.items() if name.startswith(mark)}
            outputs.append(branch.step(x, context, own))
            state.update({f"{mark}{name}": tensor for name, tensor in own.items()})
        return _weighed(self.shares(x, context), outputs)

    @property
    def _all(self) -> list[TokenMixer]:
        return cast(list[TokenMixer], list(self.branches))


@contextmanager
def recorded_shares(model: nn.Module) -> Iterator[list[Tensor]]:
    """A list that takes the shares (B, T, n) of a model's routers, in the order in which they are asked.

    Those of mixtures that are branches of another mixture with a router are left out.
    """
    found: list[Tensor] = []

    def record(module: nn.Module, inputs: Any, output: Tensor) -> None:
        found.append(output.detach())

    hooks = []
    inside: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if isinstance(module, Mixture) and module.router is not None and not name.startswith(inside):
            inside = (*inside, f"{name}.")
            hooks.append(module.router.register_forward_hook(record))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _weighed(shares: Tensor, outputs: list[Tensor]) -> Tensor:
    mixed = shares[..., :1] * outputs[0]
    for index, output in enumerate(outputs[1:], 1):
        mixed = torch.addcmul(mixed, shares[..., index : index + 1], output)
    return mixed


def _mean_entropy(shares: Tensor, mask: Tensor | None) -> Tensor:
    """The mean over real tokens of -sum_g alpha_g log alpha_g."""
    entropy = -(shares * shares.clamp(min=torch.finfo(shares.dtype).tiny).log()).sum(-1)
    if mask is None:
        return entropy.mean()
    real = mask[:, -entropy.shape[1] :].to(entropy.dtype)
    return (entropy * real).sum() / real.sum().clamp(min=1)
