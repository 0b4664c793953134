import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError, parse
from formarium.context import Context
from formarium.errors import DataError
from formarium.models import InvertedForecaster, load
from formarium.parts.token_mixers.attend import attention_weights

MIXERS = [
    "Attention(bias=True)",
    "ProbSparseAttention(bias=True)",
    "LSHAttention(bias=True)",
    "FlowAttention(bias=True)",
    "BlockwiseAttention(bias=True, block=4)",
]
EQUIVARIANT = [m for m in MIXERS if not m.startswith("LSH")]


def forecaster(mixer: str = "Attention(bias=True, dropout=0.1)", **changes: object) -> InvertedForecaster:
    """A small model in double precision, its norms and biases at random."""
    config = InvertedForecaster.Config(history=24, horizon=12, width=16, heads=4)
    config = config.override({"token_mixer": mixer, "channel_mixer.hidden": 32, **changes})
    model = InvertedForecaster(config).double().eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def windows(batch: int = 3, variates: int = 6, covariates: int = 4) -> tuple[Tensor, Tensor]:
    history = 5 * torch.randn(variates, dtype=torch.float64) + torch.randn(batch, 24, variates, dtype=torch.float64)
    return history, torch.rand(batch, 24, covariates, dtype=torch.float64) - 0.5


@pytest.mark.parametrize("mixer", EQUIVARIANT)
@pytest.mark.parametrize("marked", [False, True])
def test_variates_may_come_in_any_order(mixer: str, marked: bool) -> None:
    model, (x, marks) = forecaster(mixer), windows()
    given_marks = marks if marked else None
    order = torch.randperm(6)
    torch.testing.assert_close(model(x[:, :, order], given_marks), model(x, given_marks)[:, :, order])


@pytest.mark.parametrize("mixer", MIXERS)
def test_any_number_of_variates(mixer: str) -> None:
    model = forecaster(mixer)
    for variates in (1, 2, 17, 40):
        x, marks = windows(2, variates)
        assert model(x, marks).shape == (2, 12, variates)


@pytest.mark.parametrize(("depth", "width", "hidden"), [(1, 16, 32), (3, 32, 8)])
def test_counts_the_parameters_of_the_paper(depth: int, width: int, hidden: int) -> None:
    config = InvertedForecaster.Config(history=24, horizon=12, width=width, depth=depth, heads=4)
    model = InvertedForecaster(config.override({"channel_mixer.hidden": hidden}))
    block = 4 * (width**2 + width) + 2 * width * hidden + hidden + width + 4 * width
    assert model.num_parameters() == 24 * width + width + depth * block + 2 * width + width * 12 + 12


@pytest.mark.parametrize(
    ("horizon", "width", "depth", "hidden", "count"),
    [
        (96, 256, 2, 256, 841_568),
        (720, 512, 2, 512, 3_576_016),
        (96, 128, 2, 128, 224_224),
        (96, 512, 3, 512, 4_833_888),
    ],
)
def test_counts_the_parameters_of_the_published_sizes(
    horizon: int, width: int, depth: int, hidden: int, count: int
) -> None:
    config = InvertedForecaster.Config(horizon=horizon, width=width, depth=depth)
    with torch.device("meta"):
        assert InvertedForecaster(config.override({"channel_mixer.hidden": hidden})).num_parameters() == count


@given(st.floats(0.1, 50), st.floats(-100, 100))
def test_units_and_offsets_pass_through(a: float, b: float) -> None:
    model, (x, marks) = forecaster(), windows()
    x = 30 * x  # the variance is far above the 1e-5 of the normalisation
    torch.testing.assert_close(model(a * x + b, marks), a * model(x, marks) + b, atol=1e-4, rtol=1e-5)


def test_without_normalisation_they_do_not() -> None:
    model, (x, _) = forecaster(normalise=False), windows()
    assert (model(2 * x) - 2 * model(x)).abs().max() > 0.1


def test_a_constant_series_stays_within_the_root_of_epsilon() -> None:
    model, (x, _) = forecaster(), windows(1)
    x[:, :, 2] = 7.0
    z = model._encode(model.stem(model._normalised(x)[0]), keep=6)
    reach = model.head(z)[:, 2].abs() * 1e-5**0.5
    assert ((model(x)[:, :, 2] - 7.0).abs() <= reach + 1e-12).all()


def test_attention_over_one_token_is_its_value() -> None:
    model = forecaster()
    mixer, z = model.blocks[0].token_mixer, torch.randn(3, 1, 16, dtype=torch.float64)
    value = mixer.qkv(z)[2]
    torch.testing.assert_close(mixer(z, Context(positions=torch.zeros(1, 1, dtype=torch.long))), mixer.out(value))


def test_attention_rows_sum_to_one() -> None:
    mixer = forecaster().blocks[0].token_mixer
    context = Context(positions=torch.arange(9)[None])
    queries, keys, _, _ = mixer._project(torch.randn(2, 9, 16, dtype=torch.float64), context, None)
    weights = attention_weights(queries, keys)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


def test_the_members_of_the_family_that_are_exact_agree() -> None:
    full, x = forecaster(MIXERS[0]), windows()
    for mixer in ("ProbSparseAttention(bias=True)", "BlockwiseAttention(bias=True, block=3)"):
        other = forecaster(mixer)
        other.load_state_dict(full.state_dict())
        torch.testing.assert_close(other(*x), full(*x))


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_split_batch_changes_nothing(mixer: str) -> None:
    model, (x, marks) = forecaster(mixer), windows(4)
    halves = torch.cat((model(x[:1], marks[:1]), model(x[1:], marks[1:])))
    torch.testing.assert_close(halves, model(x, marks))


def test_covariates_inform_but_are_not_forecast() -> None:
    model, (x, marks) = forecaster(), windows()
    assert model(x, marks).shape == (3, 12, 6)
    assert (model(x, marks) - model(x)).abs().max() > 1e-3
    deaf = forecaster(covariates=False)
    assert torch.equal(deaf(x, marks), deaf(x))


def test_stopping_unread_tokens_early_changes_nothing() -> None:
    model, (x, marks) = forecaster(), windows()
    tokens = model.stem(model._normalised(x)[0], marks)
    torch.testing.assert_close(model._encode(tokens, keep=6), model._encode(tokens)[:, :6])


def test_future_covariates_are_tokens_of_their_own_map() -> None:
    model, (x, marks) = forecaster(future_covariates=True), windows()
    ahead = torch.rand(3, 12, 2, dtype=torch.float64)
    y = model(x, marks, ahead)
    assert y.shape == (3, 12, 6)
    assert (model(x, marks, ahead + 1) - y).abs().max() > 1e-3
    with pytest.raises(ConfigError, match="future covariates"):
        model(x, marks)


def test_quantiles_are_in_order_and_have_units() -> None:
    model, (x, marks) = forecaster(quantiles=(0.1, 0.5, 0.9)), windows()
    y = model(x, marks)
    assert y.shape == (3, 12, 6, 3)
    assert (y.diff(dim=-1) >= 0).all()
    assert torch.equal(model.point(y), y[..., 1])
    torch.testing.assert_close(model(40 * x + 3, marks), 40 * model(x, marks) + 3, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("quantiles", [(0.5, 0.1), (0.1, 0.1), (0.0, 0.5), (0.5, 1.0)])
def test_quantiles_ascend_between_0_and_1(quantiles: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="ascending"):
        InvertedForecaster(InvertedForecaster.Config(quantiles=quantiles))


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(DataError, match="windows of 24 steps"):
        forecaster()(torch.randn(1, 20, 3, dtype=torch.float64))
    with pytest.raises(ConfigError, match="split among"):
        InvertedForecaster(InvertedForecaster.Config(width=30, heads=4))
    with pytest.raises(ConfigError, match="takes a TokenMixer"):
        InvertedForecaster(InvertedForecaster.Config().override({"token_mixer": "LayerNorm"}))
    with pytest.raises(ConfigError, match="max_length"):  # positions have no place among variates
        InvertedForecaster(InvertedForecaster.Config().override({"position": "Learned"}))
    with pytest.raises(ConfigError, match="at least one step"):
        InvertedForecaster(InvertedForecaster.Config(horizon=0))


@pytest.mark.parametrize("mixer", MIXERS)
def test_survives_being_saved(mixer: str, tmp_path: Path) -> None:
    model, (x, marks) = forecaster(mixer).float(), windows()
    model.save_pretrained(tmp_path)
    again = load(tmp_path).eval()
    assert torch.equal(again(x.float(), marks.float()), model(x.float(), marks.float()))


def test_is_described_as_text() -> None:
    config = parse("InvertedForecaster(token_mixer=FlowAttention(bias=True), quantiles=(0.1, 0.9), normalise=False)")
    assert parse(config.describe()) == config


@pytest.mark.parametrize("mixer", MIXERS)
def test_compiles_whole(mixer: str) -> None:
    model, (x, marks) = forecaster(mixer).float(), windows()
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(x.float(), marks.float()), model(x.float(), marks.float()))
    model.train()
    torch.compile(model, fullgraph=True, backend="eager")(x.float(), marks.float()).sum().backward()


def test_flow_attention_grows_slower_than_full_attention() -> None:
    """From 1000 to 4000 variates full attention has sixteen times the work, flow attention four times."""

    def seconds(mixer: str, variates: int) -> float:
        model = InvertedForecaster(
            InvertedForecaster.Config(width=16, heads=1, depth=1).override({"token_mixer": mixer})
        ).eval()
        x, times = torch.randn(1, 96, variates), []
        for _ in range(3):
            began = time.perf_counter()
            with torch.no_grad():
                model(x)
            times.append(time.perf_counter() - began)
        return min(times)

    growth = {m: seconds(m, 4000) / seconds(m, 1000) for m in ("BlockwiseAttention(block=4096)", "FlowAttention")}
    assert growth["FlowAttention"] < growth["BlockwiseAttention(block=4096)"]
