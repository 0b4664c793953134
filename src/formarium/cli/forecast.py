"""``formarium forecast``: the next steps of the series in a file."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def forecast(
    file: Annotated[Path, typer.Argument(help="CSV, TSV or Parquet: wide, or long with unique_id, ds and y.")],
    horizon: Annotated[
        int | None, typer.Option(min=1, help="Steps ahead; needed unless --model knows.", show_default=False)
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="A series to be forecast, others only inform; may repeat. All if none.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column of times, if it is not found.")] = None,
    series: Annotated[str | None, typer.Option(help="Column that names the series of a long table.")] = None,
    value: Annotated[str | None, typer.Option(help="Column of values of a long table.")] = None,
    freq: Annotated[str | None, typer.Option(help="The step, as h, 15min, D, B, W, MS; else from the times.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Where the clocks stand, as Europe/Oslo.")] = None,
    level: Annotated[str | None, typer.Option(help="Percent that intervals shall cover.", show_default="80,95")] = None,
    lookback: Annotated[int | None, typer.Option(help="Steps that models see.", show_default=False)] = None,
    season: Annotated[int | None, typer.Option(help="Steps of the naive season.", show_default=False)] = None,
    covariates: Annotated[
        str | None, typer.Option(help="Columns known ahead, as price,promotion; with rows for the steps ahead.")
    ] = None,
    future: Annotated[Path | None, typer.Option(help="A file with the covariates of the steps ahead.")] = None,
    together: Annotated[
        bool | None,
        typer.Option(
            "--together/--separate", help="All series inform each other, or each by itself.", show_default=False
        ),
    ] = None,
    missing: Annotated[
        str, typer.Option(help="What stands for gaps: forward, interpolate, zero or refuse.")
    ] = "forward",
    duplicates: Annotated[str, typer.Option(help="Of repeated times: refuse, mean, first or last.")] = "refuse",
    intervals: Annotated[
        str | None,
        typer.Option(help="conformal, or quantiles that are learnt and then calibrated.", show_default="conformal"),
    ] = None,
    use: Annotated[
        str, typer.Option(help="Whose forecast: best, itransformer, dlinear, seasonal-naive, last-value, auto-ets.")
    ] = "best",
    nonnegative: Annotated[bool, typer.Option("--nonnegative", help="Nothing below 0.")] = False,
    refit: Annotated[bool, typer.Option(help="Train the chosen one once more, on everything.")] = True,
    model: Annotated[Path | None, typer.Option(help="A saved forecaster; nothing is trained.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="Any setting: steps=2000, model.width=256.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the start and the order of data.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for forecast.csv, report.html and model.", show_default="<file>-forecast"),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="More than one helps on wide tables and an idle machine.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Forecast the series of a file, say honestly what that is worth, and keep forecasts, report and model.

    An inverted Transformer and DLinear are trained, and rolled over the last steps beside the last season and the
    last value once more (and AutoETS, where statsforecast is installed). The best one forecasts. Examples:

    [bold]formarium forecast sales.csv --horizon 24[/bold]

    [bold]formarium forecast new-shops.csv --model sales-forecast/model[/bold]
    """
    import torch
    from rich.console import Console

    from formarium.config import ConfigError
    from formarium.files import check_folder, replacing
    from formarium.forecasting import Forecaster
    from formarium.tasks.forecasting.forecast_report import print_forecast, summary, write_html

    stem = file.name.removesuffix(".gz").rsplit(".", 1)[0]
    folder = out or Path(f"{stem}-forecast")
    check_folder(folder)
    torch.set_num_threads(threads)
    if model is None:
        if horizon is None:
            raise ConfigError("say how many steps ahead: --horizon 24")
        changes = _settings(set_ or ())
        forecaster = Forecaster(
            horizon,
            target=target,
            time=time,
            series=series,
            value=value,
            freq=freq,
            timezone=timezone,
            covariates=_split(covariates),
            level=_levels(level or "80,95"),
            lookback=lookback,
            season=season,
            together=together,
            missing=missing,
            duplicates=duplicates,
            intervals=intervals or "conformal",  # type: ignore[arg-type]
            use=use,
            nonnegative=nonnegative,
            refit=refit,
            model=changes["model"],
            training=changes["training"],
            seed=seed,
        ).fit(file, future=future)
        forecaster.save(folder / "model")
        found = forecaster.forecast()
    else:
        forecaster = Forecaster.load(model)
        _refuse_training_options(set_, target, level, intervals, lookback, season, covariates)
        given = {
            "time": time, "series": series, "value": value, "freq": freq, "timezone": timezone, "together": together,
        }  # fmt: skip
        forecaster.set_params(**{name: setting for name, setting in given.items() if setting is not None})
        forecaster.set_params(missing=missing, duplicates=duplicates)
        if nonnegative:
            forecaster.set_params(nonnegative=True)
        found = forecaster.forecast(horizon, file, future, None if use == "best" else use)
    frame = found.frame()
    with replacing(folder / "forecast.csv") as temporary:
        frame.to_csv(temporary, index=False, float_format="%.8g")
    command = shlex.join(["formarium", *sys.argv[1:]])
    write_html(forecaster, found, folder / "report.html", file.name, command)
    facts = summary(forecaster, found, file.name)
    if as_json:
        from formarium.cli.options import jsonable

        places = {"csv": folder / "forecast.csv", "report": folder / "report.html", "model": model or folder / "model"}
        print(json.dumps({**jsonable(facts), **{name: str(place) for name, place in places.items()}}, indent=2))
        return
    console = Console()
    print_forecast(facts, console)
    if model is not None:
        console.print("The backtest is that of the table it was trained on.")
    console.print(f"forecasts: {folder.resolve() / 'forecast.csv'}", highlight=False, soft_wrap=True)
    console.print(f"report: {folder.resolve() / 'report.html'}", highlight=False, soft_wrap=True)
    if model is None:
        console.print(f"model: {folder.resolve() / 'model'}", highlight=False, soft_wrap=True)


def _split(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _levels(text: str) -> list[float]:
    from formarium.config import ConfigError

    try:
        return [float(level) for level in text.split(",")]
    except ValueError:
        raise ConfigError(f"levels are percentages, as 80,95, not {text!r}") from None


def _settings(pairs: Any) -> dict[str, dict[str, str]]:
    """Settings of the model and of its training."""
    from formarium.cli.options import settings

    found: dict[str, dict[str, str]] = {"model": {}, "training": {}}
    for name, setting in settings(pairs).items():
        room, dot, rest = name.partition(".")
        if dot and room in found:
            found[room][rest] = setting
        else:
            found["training"][name] = setting
    return found


def _refuse_training_options(*given: object) -> None:
    from formarium.config import ConfigError

    if any(option is not None for option in given):
        raise ConfigError(
            "with --model nothing is trained: --target, --covariates, --level, --intervals, --lookback, --season and "
            "--set are those of the training; leave them out, or train another forecaster without --model"
        )
