"""Records made readable: a table in the terminal and one self-contained HTML page."""

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from formarium.config import config_from_dict
from formarium.errors import FormariumError
from formarium.files import write_text
from formarium.lab.record import ArmRecord, Finding, Record
from formarium.lab.statistics import t_interval

if TYPE_CHECKING:
    import jinja2

COLOURS = {"supported": "#1a7f37", "refuted": "#cf222e", "inconclusive": "#9a6700"}
_STYLES = {"supported": "bold green", "refuted": "bold red", "inconclusive": "bold yellow"}


def print_records(records: Sequence[Record], console: Console) -> None:
    """The verdicts, each with what decided it, as a table; below it the arms of each experiment once."""
    table = Table(title=f"Verdicts at the scale {records[0].scale!r}" if records else "No verdicts")
    for column in ("claim", "verdict", "requirement", "effect (95 % interval)", "seeds"):
        table.add_column(column, overflow="fold")
    for record in records:
        claim, verdict = f"{record.paper}\n{record.claim}", f"[{_STYLES[record.verdict]}]{record.verdict}[/]"
        for finding in record.findings:
            label = finding.label if finding.decides else f"[dim]beside: {finding.label}[/]"
            table.add_row(claim, verdict, label, effect_text(finding), str(record.seeds))
            claim = verdict = ""
        table.add_section()
    console.print(table)
    seen: set[str] = set()
    for record in records:
        key = json.dumps([arm.metrics for arm in record.arms], sort_keys=True)
        if record.arms and key not in seen:
            seen.add(key)
            console.print(_arm_table(record))


def effect_text(finding: Finding) -> str:
    """``+0.012 (+0.003 to +0.021)``, in percent where the effect is relative."""
    if finding.metric == "checks":
        return f"{finding.effect:.0%} hold"
    scale, unit = (100, " %") if finding.relative else (1, "")
    low, high = scale * finding.low, scale * finding.high
    return f"{scale * finding.effect:+.4g}{unit} ({low:+.4g} to {high:+.4g})"


def _arm_table(record: Record) -> Table:
    table = Table(title=f"{record.paper}: {len(record.arms)} variants, {record.length}, {record.seeds} seeds")
    table.add_column("variant", overflow="fold")
    for column in (record.measure, "rate", "parameters", f"{record.unit}/s", "step", "memory"):
        table.add_column(column, justify="right")
    for arm in record.arms:
        table.add_row(
            arm.name,
            _spread(arm, record.headline),
            f"{arm.learning_rate:.2g}",
            f"{arm.parameters:,}",
            f"{arm.rate:,.0f}",
            f"{1000 * arm.step_seconds:.0f} ms",
            f"{arm.memory / 2**20:,.0f} MiB",
        )
    return table


def _spread(arm: ArmRecord, metric: str) -> str:
    interval = t_interval([float(m[metric]) for m in arm.metrics if isinstance(m.get(metric), int | float)])
    if interval.n < 2 or not math.isfinite(interval.high):
        return f"{interval.mean:.4f}"
    return f"{interval.mean:.4f} ± {interval.high - interval.mean:.4f}"


def write_html(records: Sequence[Record], path: Path) -> None:
    """One page that needs nothing else: claims, verdicts in words, intervals, curves, costs, and what exactly ran."""
    if not records:
        raise FormariumError("there are no records to report on")
    from plotly.offline import get_plotlyjs

    sections = [section(record) for record in records]
    page = (
        environment()
        .get_template("report.html")
        .render(
            title=" and ".join(sorted({record.paper for record in records})),
            sections=sections,
            first=records[0],
            colours=COLOURS,
            plotly=get_plotlyjs() if any(s["curves"] or s["forest"] for s in sections) else "",
        )
    )
    write_text(path, page)


def environment(*packages: str) -> "jinja2.Environment":
    """The templates of a report, and those of further packages."""
    import jinja2

    loaders = [jinja2.PackageLoader(package, "templates") for package in (*packages, "formarium.lab")]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


def section(record: Record) -> dict[str, Any]:
    """What the template shows of a record: figures as HTML, tables as rows."""
    return {
        "record": record,
        "findings": [
            {"label": f.label, "verdict": f.verdict, "effect": effect_text(f), "decides": f.decides, "margin": f.margin}
            for f in record.findings
        ],
        "forest": _forest(record),
        "curves": _curves(record),
        "arms": [_arm_row(arm, record) for arm in record.arms],
        "details": _details(record),
    }


def _arm_row(arm: ArmRecord, record: Record) -> dict[str, Any]:
    metrics = [
        name for name, value in (arm.metrics[0] if arm.metrics else {}).items() if isinstance(value, int | float)
    ]
    return {
        "name": arm.name,
        "note": arm.note,
        "headline": _spread(arm, record.headline),
        "others": {name: _spread(arm, name) for name in metrics if name != record.headline},
        "rate": f"{arm.learning_rate:.3g}",
        "tried": ", ".join(f"{rate}: {float(value):.4f}" for rate, value in arm.tried.items()),
        "parameters": f"{arm.parameters:,}",
        "speed": f"{arm.rate:,.0f}",
        "step": f"{1000 * arm.step_seconds:.1f}",
        "memory": f"{arm.memory / 2**20:,.0f}",
        "flops": f"{arm.flops / 1e6:,.2f}" if arm.flops else "-",
        "diverged": sum(1 for d in arm.diverged if d is not None),
        "model": config_from_dict(arm.model).describe(),
    }


def _details(record: Record) -> str:
    first = record.arms[0] if record.arms else None
    what = {
        "command": record.command,
        "when": record.when,
        "seconds": round(record.seconds, 1),
        "budget": record.budget,
        "task": first.task if first else None,
        "training": first.training if first else None,
        "machine": record.machine,
        "versions": record.versions,
        "commit": record.commit,
    }
    return json.dumps({k: v for k, v in what.items() if v}, indent=2)


def _forest(record: Record) -> str:
    """Effects with their intervals against the margin, one line a requirement."""
    import plotly.graph_objects as go

    shown = [f for f in record.findings if f.metric != "checks" and math.isfinite(f.low) and math.isfinite(f.high)]
    if not shown:
        return ""
    figure = go.Figure()
    for f in reversed(shown):
        scale = 100 if f.relative else 1
        name = html.escape(f.label) + ("" if f.decides else " (beside)")
        error = {"type": "data", "symmetric": False, "array": [scale * (f.high - f.effect)]}
        error["arrayminus"] = [scale * (f.effect - f.low)]
        colour = COLOURS[f.verdict]
        marker = {"color": colour, "size": 11, "symbol": "circle" if f.decides else "circle-open"}
        figure.add_trace(go.Scatter(x=[scale * f.effect], y=[name], error_x=error, mode="markers", marker=marker))
        dots = {"color": colour, "size": 5, "opacity": 0.5}
        points = [scale * v for v in f.values]
        figure.add_trace(go.Scatter(x=points, y=[name] * len(points), mode="markers", marker=dots, hoverinfo="x"))
        bars = [scale * f.margin, -scale * f.margin] if f.within else [scale * f.margin]
        line = {"symbol": "line-ns-open", "size": 18}
        figure.add_trace(go.Scatter(x=bars, y=[name] * len(bars), mode="markers", marker=line))
    figure.update_layout(
        showlegend=False,
        height=110 + 60 * len(shown),
        margin={"l": 10, "r": 10, "t": 10, "b": 40},
        xaxis_title="difference from the published number, which is to lie between the bars; small dots are seeds"
        if all(f.within for f in shown)
        else "in favour of the claim to the right; the bar is the margin, small dots are seeds",
        yaxis={"automargin": True},
        template="plotly_white",
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def _curves(record: Record) -> str:
    """The training loss of each arm: mean over seeds, and the band between the lowest and the highest seed."""
    import plotly.graph_objects as go
    from plotly.colors import qualitative

    arms = [arm for arm in record.arms if arm.curve_steps]
    if not arms:
        return ""
    figure = go.Figure()
    for index, arm in enumerate(arms):
        colour = qualitative.Plotly[index % len(qualitative.Plotly)]
        whole = [curve for curve in arm.curves if len(curve) == len(arm.curve_steps)]
        if not whole:
            continue
        values, x = np.asarray(whole), arm.curve_steps
        band = {"x": x + x[::-1], "y": [*values.max(0).tolist(), *values.min(0).tolist()[::-1]]}
        group = {"legendgroup": arm.name, "hoverinfo": "skip", "showlegend": False}
        figure.add_trace(go.Scatter(**band, fill="toself", fillcolor=colour, opacity=0.15, line={"width": 0}, **group))
        mean = values.mean(0).tolist()
        figure.add_trace(go.Scatter(x=x, y=mean, name=arm.name, legendgroup=arm.name, line={"color": colour}))
    figure.update_layout(
        xaxis_title="step",
        yaxis_title="training loss",
        height=420,
        margin={"l": 50, "r": 10, "t": 10, "b": 40},
        template="plotly_white",
        legend={"orientation": "h", "y": -0.2},
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))
