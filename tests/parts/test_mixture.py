import pytest
import torch
from torch import Tensor

from formarium.config import ConfigError, parse
from formarium.context import Context
from formarium.models import Decoder, load
from formarium.parts import Attention, HyperbolicAttention, Mixture, TokenRouter
from formarium.parts.token_mixers.mixture import recorded_shares

THREE_FLAT = "Mixture(branches=(Attention, Attention, Attention))"


def build(text: str = "Mixture", **around: object) -> Mixture:
    torch.manual_seed(0)
    mixture: Mixture = parse(text).build(**{"width": 12, "heads": 3, **around})
    for parameter in mixture.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return mixture.double()


def tokens() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 5, 12, dtype=torch.float64)


def context(**more: object) -> Context:
    return Context(positions=torch.arange(5)[None], **more)  # type: ignore[arg-type]


def test_shares_sum_to_one_and_weigh_the_branches() -> None:
    mixture, x = build(), tokens()
    shares = mixture.shares(x, context())
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 5, dtype=torch.float64))
    expected = sum(shares[..., i, None] * branch(x, context()) for i, branch in enumerate(mixture.branches))
    torch.testing.assert_close(mixture(x, context()), expected)


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_a_router_that_is_certain_leaves_one_branch(chosen: int) -> None:
    mixture, x = build(), tokens()
    assert mixture.router is not None
    with torch.no_grad():
        mixture.router.down.weight.zero_()
        mixture.router.down.bias.copy_(torch.where(torch.arange(3) == chosen, 0.0, -2000.0))
    assert torch.equal(mixture(x, context()), mixture.branches[chosen](x, context()))


def test_temperature_sharpens() -> None:
    logits = []
    for temperature in (1.0, 0.5):
        router = TokenRouter(12, 3, TokenRouter.Config(temperature=temperature)).double()
        torch.manual_seed(3)
        for parameter in router.parameters():
            torch.nn.init.normal_(parameter)
        logits.append(router(tokens()).log())
    difference = [x - x.mean(-1, keepdim=True) for x in logits]
    torch.testing.assert_close(difference[1], 2 * difference[0])


def test_without_a_router_all_branches_count_alike() -> None:
    mixture, x = build("Mixture(router=None)"), tokens()
    expected = sum(branch(x, context()) for branch in mixture.branches) / 3
    torch.testing.assert_close(mixture(x, context()), expected)
    assert not any("router" in name for name, _ in mixture.named_parameters())


def test_the_control_of_three_equal_branches_has_the_size_of_the_mixture() -> None:
    """Apart from one scale a head in each of the two curved branches."""
    sizes = [sum(p.numel() for p in build(text).parameters()) for text in ("Mixture", THREE_FLAT)]
    assert sizes[0] - sizes[1] == 2 * 3


def test_entropy_is_handed_to_who_asks_for_penalties() -> None:
    mixture, x = build("Mixture(router=TokenRouter(entropy=0.5))"), tokens()
    penalties: list[Tensor] = []
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    mixture(x, context(mask=mask, penalties=penalties))
    (found,) = penalties
    shares = mixture.shares(x, context())
    entropy = -(shares * shares.log()).sum(-1)[mask].mean()
    torch.testing.assert_close(found, -0.5 * entropy)
    assert mixture.router is not None
    found.backward()
    assert mixture.router.down.weight.grad is not None
    before = entropy.detach()
    with torch.no_grad():
        for p in mixture.router.parameters():
            if p.grad is not None:
                p -= p.grad
    after = mixture.shares(x, context())
    assert -(after * after.log()).sum(-1)[mask].mean() > before


def test_entropy_of_a_certain_router_has_finite_gradients() -> None:
    mixture, x = build("Mixture(router=TokenRouter(entropy=0.5))").float(), tokens().float()
    assert mixture.router is not None
    with torch.no_grad():
        mixture.router.down.bias.copy_(torch.tensor([0.0, -500.0, 500.0]))
    penalties: list[Tensor] = []
    mixture(x, context(penalties=penalties))
    penalties[0].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in mixture.parameters())


def test_shared_projection() -> None:
    mixture, x = build("Mixture(shared_projection=True)"), tokens()
    plain = build()
    saved = 2 * 3 * 12 * 12
    assert sum(p.numel() for p in plain.parameters()) - sum(p.numel() for p in mixture.parameters()) == saved
    with torch.no_grad():
        mixture.branches[0].qkv.weight.zero_()  # type: ignore[union-attr]
    assert (mixture(x, context()) == 0).all()
    with pytest.raises(ConfigError, match="share"):
        build("Mixture(branches=(Attention, Attention(bias=True)), shared_projection=True)")
    with pytest.raises(ConfigError, match="share"):
        build("Mixture(branches=(Attention, Mixture), shared_projection=True)")


@pytest.mark.parametrize("position", ["RoPE", "CARoPE(start=random)"])
@pytest.mark.parametrize(
    "text",
    [
        "Mixture",
        "Mixture(router=None)",
        "Mixture(shared_projection=True)",
        "Mixture(router=TokenRouter(reads=embeddings))",
    ],
)
def test_decodes_and_saves(text: str, position: str, tmp_path) -> None:
    config = Decoder.Config(vocabulary=31, width=48, depth=2, heads=4, kv_heads=2, max_length=40)
    model: Decoder = config.override({"token_mixer": text, "position": position}).build()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.eval()
    numbers = torch.randint(31, (2, 13))
    with torch.no_grad():
        whole = model(numbers)
        state = model.new_state(2, 13)
        pieces = [model.step(numbers[:, a:b], state) for a, b in ((0, 6), (6, 7), (7, 12), (12, 13))]
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=2e-5, rtol=1e-4)
        model.save_pretrained(tmp_path)
        torch.testing.assert_close(load(tmp_path).eval()(numbers), whole)


@pytest.mark.parametrize("text", ["Mixture(router=TokenRouter(entropy=0.1))", "Mixture(shared_projection=True)"])
def test_traces_as_one_graph(text: str) -> None:
    torch._dynamo.reset()
    mixture, x = build(text), tokens()

    def both(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        penalties: list[Tensor] = []
        return mixture(x, context(penalties=penalties)), penalties

    compiled = torch.compile(both, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), both(x))


def test_shares_are_recorded_in_order_and_only_inside() -> None:
    model = Decoder(Decoder.Config(vocabulary=11, width=12, heads=3, depth=2, token_mixer=Mixture.Config()))
    with recorded_shares(model) as found:
        model(torch.randint(11, (2, 5)))
    assert [x.shape for x in found] == [(2, 5, 3)] * 2
    model(torch.randint(11, (2, 5)))
    assert len(found) == 2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one branch"):
        build("Mixture(branches=())")
    with pytest.raises(ConfigError, match="GELU is not"):
        build("Mixture(branches=(Attention, GELU))")
    with pytest.raises(ConfigError, match="temperature"):
        build("Mixture(router=TokenRouter(temperature=0.0))")
    with pytest.raises(ConfigError, match="as the stem left them"):
        build("Mixture(router=TokenRouter(reads=embeddings))")(tokens(), context())


def test_branches_are_settings() -> None:
    config = Mixture.Config(branches=(Attention.Config(), HyperbolicAttention.Config(curvature=0.5)), router=None)
    assert parse(config.describe()) == config
    assert Mixture.Config.from_dict(config.to_dict()) == config
