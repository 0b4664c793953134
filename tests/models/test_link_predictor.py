import pytest
import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError, parse
from formarium.lab.matching import count_parameters, match_parameters
from formarium.models import LinkPredictor
from formarium.parts.token_mixers.mixture import recorded_shares

BRANCHES = "Attention, HyperbolicAttention, SphericalAttention"
VARIANTS = (
    f"Mixture(branches=({BRANCHES}))",
    "Mixture(branches=(Attention, Attention, Attention))",
    "Mixture(router=None)",
    "Attention",
    "HyperbolicAttention",
    "SphericalAttention",
)


def config(**settings: object) -> BaseConfig:
    small = {"entities": 23, "relations": 4, "width": 12, "heads": 3, "init_std": 0.3}
    return LinkPredictor.Config().override({**small, **settings})


def build(**settings: object) -> LinkPredictor:
    torch.manual_seed(0)
    model: LinkPredictor = config(**settings).build()
    return model.double().eval()


HEADS, RELATIONS = torch.tensor([0, 5, 22, 5]), torch.tensor([0, 7, 3, 0])


@pytest.mark.parametrize("cls", [False, True])
@pytest.mark.parametrize("mixer", VARIANTS)
def test_answers_depend_on_head_and_relation_alone(mixer: str, cls: bool) -> None:
    model = build(token_mixer=mixer, cls=cls)
    scores = model(HEADS, RELATIONS)
    assert scores.shape == (4, 23)
    torch.testing.assert_close(model(HEADS[1:2], RELATIONS[1:2]), scores[1:2])
    assert (scores[1] - scores[3]).abs().max() > 1e-6  # same head, another relation
    assert (scores[0] - scores[3]).abs().max() > 1e-6  # same relation, another head
    scores.logsumexp(-1).sum().backward()
    unused = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not unused
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_scores_are_products_with_entities_and_a_bias() -> None:
    model = build()
    with torch.no_grad():
        model.bias.uniform_()
    expected = model.query(HEADS, RELATIONS) @ model.entities.weight.T + model.bias
    torch.testing.assert_close(model(HEADS, RELATIONS), expected)


@pytest.mark.parametrize("mixer", VARIANTS)
def test_every_variant_is_brought_to_the_same_size(mixer: str) -> None:
    target = count_parameters(config(width=48, token_mixer=VARIANTS[0]))
    matched = match_parameters(config(width=48, token_mixer=mixer), target, "channel_mixer.hidden")
    assert abs(count_parameters(matched) - target) <= 0.01 * target


def test_routers_read_both_tokens_of_every_layer() -> None:
    model = build(depth=3)
    with recorded_shares(model) as shares:
        model(HEADS, RELATIONS)
    assert [tuple(x.shape) for x in shares] == [(4, 2, 3)] * 3
    # In the first layer a router knows nothing but the token itself.
    torch.testing.assert_close(shares[0][1, 1], shares[0][3, 1])
    assert (shares[1][1, 1] - shares[1][3, 1]).abs().max() > 1e-6


def test_entropy_reaches_the_penalties_of_every_layer() -> None:
    model = build(token_mixer="Mixture(router=TokenRouter(entropy=0.1))", depth=2)
    penalties: list[Tensor] = []
    model(HEADS, RELATIONS, penalties=penalties)
    assert len(penalties) == 2
    assert all(-0.1 * torch.tensor(3.0).log() <= p < 0 for p in penalties)


def test_compiles_whole() -> None:
    torch._dynamo.reset()
    model = build(depth=1).float()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(HEADS, RELATIONS), model(HEADS, RELATIONS))


def test_dropout_acts_in_training_only() -> None:
    model = build(dropout=0.5)
    assert torch.equal(model(HEADS, RELATIONS), model(HEADS, RELATIONS))
    model.train()
    assert not torch.equal(model(HEADS, RELATIONS), model(HEADS, RELATIONS))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be split"):
        build(width=10)
    with pytest.raises(ConfigError, match="token_mixer"):
        build(token_mixer="GELU")
    assert parse(config().describe()) == config()
