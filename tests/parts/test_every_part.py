"""What every exported part must do, whatever it is: described and built again, compiled whole, decoded step by step."""

import inspect

import pytest
import torch
from torch._dynamo.testing import CompileCounter

import formarium.parts
from formarium.config import BaseConfig, ConfigError, Configurable, config_from_dict, parse
from formarium.context import Context
from formarium.models import Decoder
from formarium.parts import Activation, ChannelMixer, Norm, Position, TokenMixer

EXPORTED = {name: getattr(formarium.parts, name) for name in dir(formarium.parts) if name[:1].isupper()}
PARTS = {n: p for n, p in EXPORTED.items() if inspect.isclass(p) and issubclass(p, Configurable)}
CONFIGS = {n: p.Config for n, p in PARTS.items()}
CONFIGS |= {n: p for n, p in EXPORTED.items() if inspect.isclass(p) and issubclass(p, BaseConfig)}
ABSTRACT = {"Activation", "ChannelMixer", "Norm", "Part", "Position", "TokenMixer"}

# Positions with settings that change what they do; every exported one stands here by its plain name too.
POSITIONS = sorted(
    {n for n, p in PARTS.items() if issubclass(p, Position) and n not in ABSTRACT}
    | {
        "RoPE(layout='interleaved')",
        "RoPE(fraction=0.5)",
        "RoPE(base=500000.0, scaling=LinearScaling(factor=4))",
        "RoPE(scaling=DynamicNTK(factor=4, original_length=8, length=40))",
        "RoPE(scaling=YaRN(factor=4, original_length=16))",
        "RoPE(scaling=Llama3(original_length=32))",
        "RoPE(scaling=LongRoPE(short_factors=(1.0,1.1,1.2,1.3,1.4,1.5), long_factors=(1.0,2.0,3.0,4.0,5.0,6.0),"
        " original_length=8, length=40))",
        "CARoPE(start='random')",
        "CARoPE(start='random', source='hidden', first_exponent=1)",
        "CARoPE(content=False)",
        "Combined(parts=(Learned, RoPE, ALiBi))",
        "Combined(parts=(ALiBi, CARoPE(start='random')))",
    }
)
# Parts that cannot stand in a causal language model: what they need, a decoder does not give.
NOT_IN_A_DECODER = {
    "Combined": "combines nothing by itself",
    "LearnedGrid": "needs a grid",
    "PairBias": "needs features of pairs of tokens",
}
MIXERS = [
    "Attention(qk_norm=RMSNorm)",
    "Attention(window=5)",
    "Attention(window=3, full_every=2)",
    "Attention(softcap=15.0)",
    "Attention(bias=True, scale=0.3)",
]


def decoder(**changes: object) -> Decoder:
    """A tiny decoder with grouped queries whose every parameter is random, so that nothing hides behind zeros."""
    base = Decoder.Config(vocabulary=31, width=48, depth=2, heads=4, kv_heads=2, max_length=40)
    model: Decoder = base.override(changes).build()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_configuration_survives_every_form(name: str) -> None:
    try:
        config = CONFIGS[name]()
    except TypeError:
        pytest.skip(f"{name} has no defaults")
    assert config_from_dict(config.to_dict()) == config
    assert parse(config.describe()) == config
    assert config.digest() == config_from_dict(config.to_dict()).digest()


@pytest.mark.parametrize("name", sorted(n for n in PARTS if n not in ABSTRACT))
def test_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    part = PARTS[name]
    assert part.__doc__, "a part has a docstring"
    module = inspect.getmodule(part)
    assert module is not None
    assert module.__doc__, "a file has a docstring"


@pytest.mark.parametrize("position", [p for p in POSITIONS if p not in NOT_IN_A_DECODER])
@pytest.mark.parametrize("mixer", ["Attention", *MIXERS])
def test_decoding_step_by_step_equals_one_pass(position: str, mixer: str) -> None:
    model = decoder(position=position, token_mixer=mixer)
    tokens = torch.randint(31, (2, 19))
    with torch.no_grad():
        whole = model(tokens)
        state = model.new_state(2, 19)
        pieces = [
            model.step(tokens[:, a:b], state)
            for a, b in ((0, 7), (7, 8), (8, 12), *((i, i + 1) for i in range(12, 19)))
        ]
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("position", [p for p in POSITIONS if p not in NOT_IN_A_DECODER])
def test_no_token_sees_a_later_one(position: str) -> None:
    model = decoder(position=position)
    tokens = torch.randint(31, (1, 16))
    changed = tokens.clone()
    changed[0, 9] = (tokens[0, 9] + 1) % 31
    with torch.no_grad():
        difference = (model(tokens) - model(changed)).abs().amax(dim=(0, 2))
    assert torch.equal(difference[:9], torch.zeros(9))
    assert difference[9] > 0


@pytest.mark.parametrize("position", [p for p in POSITIONS if p not in NOT_IN_A_DECODER])
def test_padding_on_the_left_changes_nothing(position: str) -> None:
    model = decoder(position=position)
    tokens = torch.randint(31, (1, 11))
    padded = torch.cat((torch.randint(31, (1, 4)), tokens), dim=1)
    mask = torch.tensor([[False] * 4 + [True] * 11])
    with torch.no_grad():
        torch.testing.assert_close(model(padded, mask=mask)[:, 4:], model(tokens), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("position", [p for p in POSITIONS if p not in NOT_IN_A_DECODER])
def test_packed_documents_do_not_see_each_other(position: str) -> None:
    model = decoder(position=position)
    first, second = torch.randint(31, (1, 6)), torch.randint(31, (1, 9))
    segments = torch.tensor([[0] * 6 + [1] * 9])
    with torch.no_grad():
        packed = model(torch.cat((first, second), dim=1), segments=segments)
        torch.testing.assert_close(packed[:, :6], model(first), atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(packed[:, 6:], model(second), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("position", sorted(NOT_IN_A_DECODER))
def test_what_does_not_fit_is_refused_when_built_or_does_nothing(position: str) -> None:
    if position == "Combined":  # of nothing
        assert decoder(position=position)(torch.randint(31, (1, 4))).isfinite().all()
    else:
        with pytest.raises(ConfigError):
            decoder(position=position)(torch.randint(31, (1, 4)))


COMPILED = [{"position": p} for p in POSITIONS if p not in NOT_IN_A_DECODER and "(" not in p]
COMPILED += [{"token_mixer": m} for m in MIXERS]
COMPILED += [
    {"channel_mixer": f"FeedForward(activation={a})"}
    for a, p in PARTS.items()
    if issubclass(p, Activation) and a not in ABSTRACT
]


@pytest.mark.parametrize("changes", COMPILED, ids=lambda c: next(iter(c.values())))
def test_traces_as_one_graph_without_breaks(changes: dict[str, str]) -> None:
    """Dynamo alone is asked, with the backend that only runs the graph: that is where breaks appear."""
    torch._dynamo.reset()
    model = decoder(**changes).train()
    tokens = torch.randint(31, (2, 12))
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(tokens), model(tokens), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("changes", COMPILED, ids=lambda c: next(iter(c.values())))
def test_a_decoding_step_traces_as_one_graph_for_all_lengths(changes: dict[str, str]) -> None:
    torch._dynamo.reset()
    model = decoder(**changes)
    tokens = torch.randint(model.config.vocabulary, (1, 9))
    counter = CompileCounter()
    step = torch.compile(model.step, fullgraph=True, backend=counter, dynamic=True)
    with torch.inference_mode():
        state = model.new_state(1, 9)
        model.step(tokens[:, :3], state)
        found = [step(tokens[:, i : i + 1], state) for i in range(3, 9)]
        torch.testing.assert_close(torch.cat(found, dim=1), model(tokens)[:, 3:], atol=2e-5, rtol=1e-4)
    assert counter.frame_count <= 2  # a length of one may be taken apart from the rest


@pytest.mark.parametrize("name", sorted(n for n, p in PARTS.items() if issubclass(p, Norm) and n not in ABSTRACT))
def test_norms_keep_shape_and_precision(name: str) -> None:
    norm = CONFIGS[name]().build(width=12)
    for dtype in (torch.float32, torch.float64):
        x = torch.randn(2, 5, 12, dtype=dtype, requires_grad=True)
        y = norm.to(dtype)(x)
        assert y.shape == x.shape
        assert y.dtype == dtype
        y.square().sum().backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    "name", sorted(n for n, p in PARTS.items() if issubclass(p, ChannelMixer) and n not in ABSTRACT)
)
def test_channel_mixers_leave_other_tokens_alone(name: str) -> None:
    mixer = CONFIGS[name]().build(width=12, layer=0, depth=1)
    x = torch.randn(1, 6, 12)
    changed = x.clone()
    changed[0, 2] += 1
    difference = (mixer(x) - mixer(changed)).abs().amax(-1)[0]
    assert difference[2] > 0 or name == "NoChannelMixer"
    assert torch.equal(difference[[0, 1, 3, 4, 5]], torch.zeros(5))


@pytest.mark.parametrize("name", sorted(n for n, p in PARTS.items() if issubclass(p, TokenMixer) and n not in ABSTRACT))
def test_bidirectional_mixers_do_not_mind_the_order_of_tokens(name: str) -> None:
    """Without positions, tokens in another order give the same outputs in that order (hashing and sampling aside)."""
    if name == "TokenFeedForward":
        pytest.skip("it has weights for each place")
    mixer = CONFIGS[name]().build(width=12, heads=3, causal=False, pair_width=5).eval()
    x, pairs, degrees = torch.randn(2, 8, 12), torch.randn(2, 8, 8, 5), torch.randint(8, (2, 8)).float()
    order = torch.randperm(8)
    positions = torch.arange(8)[None]
    context = Context(positions, pairs=pairs, degrees=degrees)
    moved = Context(positions, pairs=pairs[:, order][:, :, order], degrees=degrees[:, order])
    if name == "LSHAttention":
        pytest.skip("its buckets are cut from a sorted order, in which equal hashes keep the order of tokens")
    with torch.no_grad():
        torch.manual_seed(1)
        plain = mixer(x, context)
        torch.manual_seed(1)
        turned = mixer(x[:, order], moved)
    torch.testing.assert_close(turned, plain[:, order], atol=1e-5, rtol=1e-4)
