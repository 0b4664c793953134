"""An audit of RoPE made readable: tables and a map in the terminal, and one self-contained HTML page."""

import math
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from formarium.files import write_text
from formarium.theory.rope_audit import Audit, LayerAudit
from formarium.theory.rope_bounds import STANDINGS, Array, coherent_phase, standing

# One character and one style for each standing; above the wall, and the model itself.
_MARKS, _STYLES = " .+#", ("", "dim", "yellow", "green")
_WALL, _MODEL = "x", "@"
_ASKS = {"aliasing": "no full turn", "stability": "coherence", "depth": "in all layers"}


def print_audit(audit: Audit, console: Console) -> None:
    """The audit as tables, a map for each kind of layers, and what the target length would need."""
    console.print(f"[bold]{escape(audit.model)}[/bold]  {_headline(audit)}", highlight=False)
    for kind in audit.kinds:
        console.print()
        console.print(f"[bold]{escape(kind.kind)}[/bold]: {_facts(kind)}", highlight=False)
        console.print(_bounds_table(kind))
        console.print(_readings_table(kind))
        console.print(Padding(_map(audit, kind, min(console.width - 12, 64)), (1, 0)))
        for line in advice(audit, kind):
            console.print(line, highlight=False)
    for note in audit.notes:
        console.print(f"[dim]note: {escape(note)}[/dim]", highlight=False)


def _headline(audit: Audit) -> str:
    stretched = f", stretched from {audit.original_length:,}" if audit.original_length else ""
    weights = f", weights in {audit.weights}" if audit.weights else ""
    asked = f"coherence {audit.epsilon:g}, phases in {audit.dtype}"
    return f"{audit.length:,} tokens{stretched}; {audit.layers} layers{weights}; {asked}"


def _facts(kind: LayerAudit) -> str:
    window = f", seeing {kind.window:,} tokens" if kind.window else ""
    turning = f"{2 * kind.turning_pairs} of {max(kind.head_width, kind.rotated)} channels turn"
    return (
        f"{kind.layers} layers{window}; base {number(kind.base)}, {turning}, scaling {kind.scaling}; effective base "
        f"{number(kind.effective_base)} tokens a radian, length/base {kind.length_over_base:.4g}"
        + (f", window/base {kind.distance_over_base:.4g}" if kind.window else "")
    )


def _bounds_table(kind: LayerAudit) -> Table:
    title = f"\nbounds at a distance of {kind.distance:,} tokens"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in ("bound", "asks", "longest", "margin", "base needed", "published"):
        table.add_column(column, justify="left" if column in ("bound", "asks") else "right", overflow="fold")
    for bound in kind.bounds:
        needed = "beyond float64" if bound.base is None else number(bound.base)
        cells = number(bound.longest), _margin(bound.margin, bound.holds), needed, number(bound.published_base)
        table.add_row(bound.name, _ASKS[bound.name], *cells)
    wall, similar = kind.wall, kind.similarity
    asked = f"B_eff < {number(wall.limit)}"
    table.add_row(f"{wall.dtype} wall", asked, "", _margin(wall.margin, wall.holds), "", "")
    longest = f"{'over ' if similar.at_least else ''}{similar.longest:,}"
    table.add_row("cosine sum", "B(m) >= 0", longest, _margin(similar.margin, similar.holds), "", "")
    return table


def _margin(margin: float, holds: bool) -> str:
    return f"[{'green' if holds else 'red'}]x {margin:.3g}[/]"


def _readings_table(kind: LayerAudit) -> Table:
    start = max((reading.start for reading in kind.readings), default=0)
    title = f"\nneighbouring positions with equal numbers, from {start:,} on"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in ("reading of the wall", "in", "slowest channel", "all channels", ""):
        table.add_column(column, justify="right" if "channel" in column else "left", overflow="fold")
    for reading in kind.readings:
        shares = f"{reading.slowest:.1%}", f"{reading.all_channels:.1%}"
        table.add_row(reading.meaning, reading.dtype, *shares, "usual code" if reading.usual else "")
    return table


def advice(audit: Audit, kind: LayerAudit) -> list[str]:
    """What the target length needs of these layers, in sentences."""
    a = kind.advice
    what = f"{a.length:,} tokens" + (f" (a distance of {a.distance:,})" if a.distance < a.length else "")
    if a.stretch <= 1:
        wall = "" if kind.wall.margin >= 1 else f", the {audit.dtype} wall is not"
        room = f"the slowest channel could turn {1 / a.stretch:.3g} times faster"
        first = f"For {what} the lower bounds are met{wall}; {room}."
    else:
        first = f"For {what} the bounds ask that the slowest channel turn {a.stretch:.3g} times slower."
    low, high = (number(base) if base is not None else "more than float64 holds" for base in a.bases)
    if a.possible:
        second = f"Without scaling that is a base from {low} to {high}, where the {audit.dtype} wall stands."
    else:
        second = (
            f"No base is left below the {audit.dtype} wall: with {kind.layers} layers that ends at "
            f"{number(a.longest_in_format)} tokens."
        )
    lines = [first, second]
    if a.similarity_first is not None and a.similarity_settled is not None:
        lines.append(
            f"By the cosine sum the smallest base is {number(a.similarity_first)}; from {number(a.similarity_settled)} "
            "on all larger ones serve."
        )
    if kind.rotation_error is None:
        off = f"positions are beyond what {audit.dtype} can count"
    else:
        off = f"the worst cosine or sine in {audit.dtype} is off by {kind.rotation_error:.2g}"
    lines.append(
        f"At the end of the context {off}; the slowest cosine alone says nothing up to position {kind.blind_cosine:,}."
    )
    return lines


def axes(audit: Audit, kind: LayerAudit, columns: int, rows: int) -> tuple[Array, Array]:
    """Lengths from left to right and effective bases from bottom to top, such that model and target lie inside."""
    distances = kind.distance, kind.advice.distance
    needed = [d / float(coherent_phase(audit.epsilon, kind.layers)) for d in distances]
    bases = [kind.effective_base, kind.wall.limit, *needed]
    lengths = np.geomspace(max(min(distances) / 16, 1), max(distances) * 16, columns)
    return lengths, np.geomspace(max(min(bases) / 8, 1), max(bases) * 4, rows)


def _map(audit: Audit, kind: LayerAudit, columns: int, rows: int = 14) -> Text:
    """Lengths against effective bases: which bounds hold where, the wall, and the model."""
    lengths, bases = axes(audit, kind, max(columns, 20), rows)
    found = standing(lengths[None, :], bases[:, None], audit.epsilon, kind.layers)
    at = _nearest(bases, kind.effective_base), _nearest(lengths, kind.distance)
    text = Text("effective base\n")
    for row in reversed(range(len(bases))):
        text.append(f"{number(float(bases[row])):>9} |")
        for column, reached in enumerate(found[row]):
            if (row, column) == at:
                text.append(_MODEL, "bold magenta")
            elif bases[row] >= kind.wall.limit:
                text.append(_WALL, "red")
            else:
                text.append(_MARKS[int(reached)], _STYLES[int(reached)])
        text.append("\n")
    low, high = number(float(lengths[0])), number(float(lengths[-1]))
    text.append(" " * 11 + low + f"{high:>{len(lengths) - len(low)}}" + "  tokens\n")
    legend = [f"{_MARKS[i]} {STANDINGS[i]}" for i in (3, 2, 1)]
    text.append("; ".join([f"{_MODEL} the model", *legend, f"blank {STANDINGS[0]}", f"{_WALL} above the wall"]), "dim")
    return text


def _nearest(grid: Array, value: float) -> int:
    return int(np.argmin(abs(np.log(grid / value))))


def number(value: float) -> str:
    """A number of tokens or a base for reading: 8,660, 3.26e+06."""
    if not math.isfinite(value) or value >= 1e6 or value < 0.01:
        return f"{value:.3g}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write_html(audit: Audit, path: Path) -> None:
    """One page that needs nothing else: the tables, and an interactive map for each kind of layers."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("formarium.theory", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    sections = [
        {"kind": kind, "facts": _facts(kind), "figure": _figure(audit, kind), "advice": advice(audit, kind)}
        for kind in audit.kinds
    ]
    page = environment.get_template("rope_audit.html").render(
        audit=audit, headline=_headline(audit), sections=sections, asks=_ASKS, plotly=get_plotlyjs()
    )
    write_text(path, page)


def _figure(audit: Audit, kind: LayerAudit) -> str:
    """The map as a drawing: the bounds as lines, what is left between them and the wall filled."""
    import plotly.graph_objects as go

    lengths, bases = axes(audit, kind, 200, 2)
    top, limit = float(bases[-1]), kind.wall.limit
    x = lengths.tolist()
    phases = {bound.name: bound.longest / kind.effective_base for bound in kind.bounds}
    figure = go.Figure()
    floor = np.minimum(lengths / phases["depth"], limit)
    region = {"x": x + x[::-1], "y": [*floor.tolist(), *[limit] * len(x)], "fill": "toself", "hoverinfo": "skip"}
    look = {"fillcolor": "rgba(26,127,55,0.15)", "line": {"width": 0}, "name": "feasible"}
    figure.add_trace(go.Scatter(**region, **look))
    colours = {"aliasing": "#59636e", "stability": "#9a6700", "depth": "#1a7f37"}
    for name, phase in phases.items():
        line = {"color": colours[name], "dash": "solid" if name == "depth" else "dash"}
        figure.add_trace(go.Scatter(x=x, y=(lengths / phase).tolist(), name=f"{name} bound", line=line))
    wall = {"color": "#cf222e", "width": 2}
    ends = [x[0], x[-1]]
    figure.add_trace(go.Scatter(x=ends, y=[limit, limit], name=f"{kind.wall.dtype} precision wall", line=wall))
    marker = {"color": "#8250df", "size": 13, "symbol": "star"}
    figure.add_trace(
        go.Scatter(x=[kind.distance], y=[kind.effective_base], mode="markers", marker=marker, name="the model")
    )
    if kind.advice.distance != kind.distance:
        target = {"color": "#8250df", "size": 11, "symbol": "star-open"}
        figure.add_trace(
            go.Scatter(
                x=[kind.advice.distance], y=[kind.effective_base], mode="markers", marker=target, name="target length"
            )
        )
    log = {"type": "log", "exponentformat": "power", "showexponent": "all"}
    figure.update_layout(
        xaxis={**log, "title": {"text": "distance in tokens"}, "range": [math.log10(v) for v in ends]},
        yaxis={
            **log,
            "title": {"text": "effective base (tokens a radian)"},
            "range": [math.log10(float(bases[0])), math.log10(top)],
        },
        height=460,
        margin={"l": 60, "r": 10, "t": 10, "b": 50},
        template="plotly_white",
        legend={"orientation": "h", "y": -0.2},
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))
