"""The forecasters that the inverted one is measured against."""

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from formarium.config import ConfigError, parse
from formarium.models import AutoETS, DLinear, Forecaster, PatchForecaster, SeasonalNaive, TemporalForecaster, load

SMALL = "history=24, horizon=12, width=16, heads=4"
PATCHES = "patch=TimePatchEmbedding(length=6, stride=3)"
TRAINED = [
    f"TemporalForecaster({SMALL}, variates=3, covariates=2)",
    f"TemporalForecaster({SMALL}, variates=3, covariates=2, readout='placeholders')",
    f"TemporalForecaster({SMALL}, covariates=2, channel_independent=True)",
    f"TemporalForecaster({SMALL}, variates=3, covariates=2, token_mixer=ProbSparseAttention(factor=1))",
    f"TemporalForecaster({SMALL}, variates=3, covariates=2, token_mixer=LSHAttention)",
    f"TemporalForecaster({SMALL}, variates=3, covariates=2, token_mixer=FlowAttention, position=RoPE)",
    f"PatchForecaster({SMALL}, {PATCHES})",
    "DLinear(history=24, horizon=12, kernel=5)",
    "NLinear(history=24, horizon=12)",
    "RLinear(history=24, horizon=12)",
]
NORMALISED = [TRAINED[0], TRAINED[1], TRAINED[2], TRAINED[6], TRAINED[9]]


def built(text: str, **changes: object) -> Forecaster:
    model = parse(text).override(changes).build()
    assert isinstance(model, Forecaster)
    return model.double().eval()


def windows(batch: int = 2, variates: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.randn(batch, 36, variates + 2, dtype=torch.float64)
    return 10 * draw[:, :24, :variates], draw[:, :24, variates:], draw[:, 24:, variates:]


@pytest.mark.parametrize("text", TRAINED)
def test_forecasts_the_whole_horizon_and_learns(text: str) -> None:
    model, inputs = built(text).train(), windows()
    y = model(*inputs)
    assert y.shape == (2, 12, 3)
    y.square().sum().backward()
    grads = [p.grad for p in model.parameters()]
    assert all(g is not None and g.isfinite().all() for g in grads)


@pytest.mark.parametrize("text", TRAINED)
def test_quantiles_are_in_order(text: str) -> None:
    y = built(text, quantiles=(0.2, 0.8))(*windows())
    assert y.shape == (2, 12, 3, 2)
    assert (y.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("text", NORMALISED)
def test_units_and_offsets_pass_through(text: str) -> None:
    model, (x, marks, ahead) = built(text), windows()
    expected = 3 * model(x, marks, ahead) - 5
    torch.testing.assert_close(model(3 * x - 5, marks, ahead), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("text", [TRAINED[2], *TRAINED[6:]])
def test_each_series_by_itself(text: str) -> None:
    model, (x, marks, ahead) = built(text), windows(variates=5)
    whole = model(x, marks, ahead)
    torch.testing.assert_close(model(x[:, :, 2:3], marks, ahead), whole[:, :, 2:3])


@pytest.mark.parametrize("text", TRAINED)
def test_survives_being_saved_and_compiles_whole(text: str, tmp_path: Path) -> None:
    model, inputs = built(text).float(), [x.float() for x in windows()]
    model.save_pretrained(tmp_path)
    again = load(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(*inputs), model(*inputs))
        torch._dynamo.reset()
        compiled = torch.compile(model, fullgraph=True, backend="eager")(*inputs)
        torch.testing.assert_close(compiled, model(*inputs))


def test_placeholders_see_the_covariates_ahead() -> None:
    model, (x, marks, ahead) = built(TRAINED[1]), windows()
    assert (model(x, marks, ahead + 1) - model(x, marks, ahead)).abs().max() > 1e-3
    with pytest.raises(ConfigError, match="steps ahead"):
        model(x, marks)


def test_the_order_of_steps_matters_to_temporal_tokens() -> None:
    model, (x, marks, ahead) = built(TRAINED[0]), windows()
    order = torch.randperm(24)
    assert (model(x[:, order], marks[:, order], ahead) - model(x, marks, ahead)).abs().max() > 1e-3


def test_a_temporal_model_knows_its_variates() -> None:
    with pytest.raises(ConfigError, match="built for 3 variates, not 4"):
        built(TRAINED[0])(*windows(variates=4))
    with pytest.raises(ConfigError, match="needs them"):
        built(TRAINED[0])(windows()[0])
    with pytest.raises(ConfigError, match="at least one variate"):
        TemporalForecaster(TemporalForecaster.Config(variates=0))
    with pytest.raises(ConfigError, match="odd number"):
        TemporalForecaster(TemporalForecaster.Config(kernel=2))


def test_dlinear_adds_trend_and_remainder() -> None:
    model = built("DLinear(history=24, horizon=24, kernel=3)")
    with torch.no_grad():
        for linear in (m for m in model.modules() if isinstance(m, nn.Linear)):
            linear.weight.copy_(torch.eye(24))
            linear.bias.zero_()
    x = windows()[0]
    torch.testing.assert_close(model(x), x)  # trend + remainder is the series
    assert isinstance(model, DLinear)
    assert model.trend is not None
    with torch.no_grad():
        model.linear.weight.zero_()
    smooth = (x[:, :-2] + x[:, 1:-1] + x[:, 2:]) / 3
    torch.testing.assert_close(model(x)[:, 1:-1], smooth)
    torch.testing.assert_close(model(x)[:, 0], (2 * x[:, 0] + x[:, 1]) / 3)  # the ends are repeated


def test_nlinear_moves_with_the_series() -> None:
    model, (x, _, _) = built("NLinear(history=24, horizon=12)"), windows()
    torch.testing.assert_close(model(x - 7), model(x) - 7)


def test_nlinear_of_a_constant_is_that_constant_and_its_bias() -> None:
    model = built("NLinear(history=24, horizon=12)")
    y = model(torch.full((1, 24, 1), 8.0, dtype=torch.float64))
    torch.testing.assert_close(y[0, :, 0] - 8, next(b for n, b in model.named_parameters() if n.endswith("bias")))


def test_patches_cover_the_newest_steps() -> None:
    model = built(TRAINED[6])
    assert isinstance(model, PatchForecaster)
    assert model.stem.patches == (24 - 6) // 3 + 2
    x = torch.arange(24.0, dtype=torch.float64)[None]
    model.stem.embed = nn.Identity()
    patches = model.stem(x)
    assert patches.shape == (1, 8, 6)
    assert patches[0, -1].tolist() == [21.0, 22.0, 23.0, 23.0, 23.0, 23.0]
    with pytest.raises(ConfigError, match="do not fit"):
        built(f"PatchForecaster({SMALL})", **{"patch.length": 30})


@pytest.mark.parametrize("season", [1, 5, 24])
def test_the_naive_forecast_repeats_the_last_season(season: int) -> None:
    model, (x, _, _) = built(f"SeasonalNaive(history=24, horizon=12, season={season})"), windows()
    y = model(x)
    for step in range(12):
        assert torch.equal(y[:, step], x[:, 24 - season + step % season])


def test_the_naive_forecast_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not fit"):
        SeasonalNaive(SeasonalNaive.Config(history=5, season=6))
    with pytest.raises(ConfigError, match="no quantiles"):
        SeasonalNaive(SeasonalNaive.Config(quantiles=(0.5,)))
    SeasonalNaive().save_pretrained(tmp_path)
    assert isinstance(load(tmp_path), SeasonalNaive)


def test_ets_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast.models", None)
    with pytest.raises(ConfigError, match="pip install statsforecast"):
        AutoETS()


def test_ets_follows_trend_and_season() -> None:
    pytest.importorskip("statsforecast")
    steps = torch.arange(84.0)
    series = (10 + 0.1 * steps + 2 * torch.sin(steps / 12 * 2 * torch.pi))[None, :, None]
    series = series + 0.05 * torch.randn_like(series)
    model = AutoETS(AutoETS.Config(history=72, horizon=12, season=12, quantiles=(0.05, 0.5, 0.95)))
    y = model(series[:, :72])
    assert (model.point(y) - series[:, 72:]).abs().mean() < 0.3
    assert (y.diff(dim=-1) > 0).all()
