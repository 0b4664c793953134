"""A forecast made readable: a table in the terminal, numbers for scripts, and one self-contained HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Shown

from formarium.files import write_text
from formarium.tasks.forecasting.backtest import point
from formarium.tasks.forecasting.estimator import TITLES, Forecast, Forecaster, in_words
from formarium.tasks.forecasting.table import Table

_SERIES = 30  # in a plot that one series at a time is chosen from
_MAPPED = 60  # series of an attention map
_INK, _AHEAD, _THEN = "#1f2328", "#0969da", "#bf3989"
_BANDS = ("rgba(9, 105, 218, 0.28)", "rgba(9, 105, 218, 0.14)", "rgba(9, 105, 218, 0.08)")
_LINES = ("#0969da", "#bf3989", "#59636e", "#9a6700")


def summary(forecaster: Forecaster, forecast: Forecast, source: str) -> dict[str, Any]:
    """What was done and what it is worth, as plain data."""
    plan, table = forecaster.plan_, forecast.table
    return {
        "source": source,
        "series": len(table.names),
        "forecast": list(forecast.names),
        "rows": len(table.values),
        "frequency": forecaster.frequency_,
        "step": None if table.frequency is None else table.frequency.words,
        "horizon": len(forecast.point),
        "lookback": plan.history,
        "season": plan.season,
        "own_units": len(forecaster.targets_) == 1,
        "by": forecast.by,
        "statement": in_words(forecaster.scores_, forecast.by),
        "backtest": [
            {
                "name": score.name,
                "windows": score.windows,
                "mase": score.mase,
                "mae": score.mae,
                "rmse": score.rmse,
                "smape": score.smape,
                "against_naive": score.against_naive,
                "better_than_naive": score.better,
                "coverage": {f"{100 * c.promised:g}": c.measured for c in forecaster.coverage_[score.name]},
                "width": {f"{100 * c.promised:g}": c.width for c in forecaster.coverage_[score.name]},
            }
            for score in forecaster.scores_
        ],
    }


def print_forecast(facts: dict[str, Any], console: Console) -> None:
    """The backtest as a table, and what it says."""
    levels = list(facts["backtest"][0]["coverage"])
    shown = Shown(title=headline(facts), title_justify="left", box=None, pad_edge=False, header_style="bold")
    shown.add_column("rolling backtest")
    unit = "MAE" if facts["own_units"] else "MAE in sd"
    for name in ("MASE", unit, "sMAPE", "to naive", *(f"in {x} %" for x in levels)):
        shown.add_column(name, justify="right")
    for row in facts["backtest"]:
        numbers = [f"{row['mase']:.3f}", f"{row['mae']:.4g}"]
        held = [f"{row['coverage'][x]:.1%}" for x in levels]
        style = "bold" if row["name"] == facts["by"] else ""
        cells = [*numbers, f"{row['smape']:.1f} %", f"{row['against_naive'] - 1:+.1%}", *held]
        shown.add_row(TITLES[row["name"]], *cells, style=style)
    console.print(shown)
    console.print(facts["statement"], highlight=False)


def headline(facts: dict[str, Any]) -> str:
    """One line on what was forecast from what."""
    step = f"steps of {facts['step']}" if facts["step"] else "steps"
    count = len(facts["forecast"])
    series = f"{count} series" if count == facts["series"] else f"{count} of {facts['series']} series"
    return f"{series}, {facts['horizon']} {step} ahead, looking back {facts['lookback']}"


def write_html(forecaster: Forecaster, forecast: Forecast, path: Path, source: str, command: str = "") -> None:
    """One page that needs nothing else: forecasts with intervals, the backtest, and what series attend to."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("formarium.tasks.forecasting", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    facts = summary(forecaster, forecast, source)
    seen = forecaster.attention(forecast.table)
    page = environment.get_template("forecast.html").render(
        facts=facts,
        headline=headline(facts),
        titles=TITLES,
        levels=list(facts["backtest"][0]["coverage"]),
        plan=forecaster.plan_,
        ahead=_ahead(forecast),
        past=_past(forecaster),
        by_step=_by_step(forecaster),
        attention="" if seen is None else _attention(*seen),
        mapped=0 if seen is None else min(_MAPPED, len(seen[0])),
        shown=min(_SERIES, len(forecast.names)),
        command=command,
        plotly=get_plotlyjs(),
    )
    write_text(path, page)


def _ahead(forecast: Forecast) -> str:
    """The end of each series and what is forecast of it, one series at a time."""
    import plotly.graph_objects as go

    figure, table, steps = go.Figure(), forecast.table, len(forecast.point)
    columns = range(len(table.names)) if table.targets is None else table.targets
    traces = []
    for i, column in enumerate(list(columns)[:_SERIES]):
        block, series = (column, 0) if table.ends is not None else (0, column)
        first, stop = table.blocks[block]
        rows = slice(max(first, stop - max(200, 6 * steps)), stop)
        past, values = _axis(table, rows), np.asarray(table.values[rows, series], dtype=np.float64)
        times = np.arange(stop - first, stop - first + steps) if forecast.times[i] is None else forecast.times[i]
        times = _plain(times)
        own: list[Any] = [go.Scatter(x=past, y=values, name="observed", line={"color": _INK, "width": 1.3})]
        for (level, (low, high)), colour in zip(
            reversed(forecast.bounds.items()), reversed(_bands(forecast)), strict=True
        ):
            band = {"x": [*times, *times[::-1]], "y": [*high[:, i], *low[::-1, i]], "fill": "toself"}
            own.append(
                go.Scatter(**band, name=f"{100 * level:g} %", fillcolor=colour, line={"width": 0}, hoverinfo="skip")
            )
        point_line = {"x": times, "y": forecast.point[:, i], "line": {"color": _AHEAD, "width": 2}}
        own.append(go.Scatter(**point_line, name="forecast"))
        traces.append((forecast.names[i], own))
    return _chosen(figure, traces)


def _bands(forecast: Forecast) -> list[str]:
    return [_BANDS[min(i, len(_BANDS) - 1)] for i in range(len(forecast.bounds))]


def _past(forecaster: Forecaster) -> str:
    """What the chosen forecaster would have said over the rows that were held back; nothing for a saved one."""
    import plotly.graph_objects as go

    rolled = getattr(forecaster, "rolled_", None)
    if rolled is None:
        return ""
    table, horizon = forecaster.table_, forecaster.plan_.horizon
    model = forecaster.models_[forecaster.chosen_].model
    said, separate = point(model, rolled.forecasts[forecaster.chosen_]), table.ends is not None
    columns = range(len(table.names)) if separate or table.targets is None else table.targets
    traces = []
    for i, column in enumerate(list(columns)[:_SERIES]):
        block = column if separate else 0
        mine = np.flatnonzero(rolled.blocks == block)
        mine = mine[np.isfinite(said[mine, 0, 0 if separate else i])]
        kept: list[int] = []
        for k in mine[np.argsort(-rolled.origins[mine])]:  # from the last one back, without overlap
            if not kept or rolled.origins[kept[-1]] - rolled.origins[k] >= horizon:
                kept.append(int(k))
        if not kept:
            continue
        rows = slice(int(rolled.origins[kept[-1]]), int(rolled.origins[kept[0]]) + horizon)
        values = np.asarray(table.values[rows, 0 if separate else column], dtype=np.float64)
        own: list[Any] = [
            go.Scatter(x=_axis(table, rows), y=values, name="observed", line={"color": _INK, "width": 1.3})
        ]
        x: list[Any] = []
        y: list[Any] = []
        for k in reversed(kept):
            x += [*_axis(table, slice(int(rolled.origins[k]), int(rolled.origins[k]) + horizon)), None]
            y += [*said[k, :, 0 if separate else i].tolist(), None]
        own.append(go.Scatter(x=x, y=y, name="forecast then", line={"color": _THEN, "width": 1.6}))
        traces.append((table.names[column], own))
    return _chosen(go.Figure(), traces) if traces else ""


def _by_step(forecaster: Forecaster) -> str:
    """The error of each forecaster at each step ahead."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, score in enumerate(forecaster.scores_):
        steps, line = list(range(1, len(score.by_step) + 1)), {"color": _LINES[i % len(_LINES)]}
        figure.add_trace(
            go.Scatter(x=steps, y=list(score.by_step), name=TITLES[score.name], line=line, mode="lines+markers")
        )
    figure.update_layout(
        xaxis_title="steps ahead",
        yaxis_title="MASE",
        yaxis_rangemode="tozero",
        height=340,
        margin={"l": 50, "r": 10, "t": 10, "b": 40},
        template="plotly_white",
        legend={"orientation": "h", "y": -0.25},
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def _attention(names: Sequence[str], maps: np.ndarray) -> str:
    """Which series reads which, in the first block and in the last; of many series the most read ones."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    if len(names) > _MAPPED:
        chosen = np.sort(np.argsort(-maps.sum(axis=(0, 1)))[:_MAPPED])
        names, maps = [names[i] for i in chosen], maps[:, chosen][:, :, chosen]
    layers = {"first block": maps[0]} | ({"last block": maps[-1]} if len(maps) > 1 else {})
    figure = make_subplots(cols=len(layers), subplot_titles=list(layers), shared_yaxes=True, horizontal_spacing=0.04)
    for i, values in enumerate(layers.values(), 1):
        heat = go.Heatmap(z=values, x=list(names), y=list(names), coloraxis="coloraxis")
        heat.hovertemplate = "%{y} reads %{x}: %{z:.3f}<extra></extra>"
        figure.add_trace(heat, row=1, col=i)
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="is read")
    figure.update_yaxes(title="reads", col=1)
    height = min(900, 260 + 12 * len(names))
    figure.update_layout(
        coloraxis={"colorscale": "Blues", "cmin": 0},
        height=height,
        margin={"l": 50, "r": 10, "t": 40, "b": 40},
        template="plotly_white",
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def _chosen(figure: Any, traces: Sequence[tuple[str, list[Any]]]) -> str:
    """Traces of one series at a time, chosen from a list."""
    total = sum(len(own) for _, own in traces)
    buttons, at = [], 0
    for number, (name, own) in enumerate(traces):
        visible = [at <= i < at + len(own) for i in range(total)]
        buttons.append({"label": name, "method": "update", "args": [{"visible": visible}]})
        for trace in own:
            trace.visible = number == 0
            figure.add_trace(trace)
        at += len(own)
    menu = [{"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.16, "yanchor": "top", "showactive": True}]
    figure.update_layout(
        updatemenus=menu if len(traces) > 1 else [],
        title={"text": traces[0][0], "x": 0.02} if len(traces) == 1 else None,
        height=440,
        margin={"l": 50, "r": 10, "t": 60, "b": 40},
        template="plotly_white",
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.15},
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def _axis(table: Table, rows: slice) -> list[Any]:
    """The times of rows as a plot shows them: local clocks, or numbers of steps."""
    if table.times is None:
        return list(range(rows.start, rows.stop))
    times = table.times[rows]
    return _plain(table.clock(times) if table.frequency is not None else times)


def _plain(times: Any) -> list[Any]:
    values = np.asarray(times.tz_localize(None) if hasattr(times, "tz_localize") else times)
    return [str(t) for t in values.astype("datetime64[s]")] if values.dtype.kind == "M" else values.tolist()
