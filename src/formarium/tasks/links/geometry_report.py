"""Shares of branches made readable: tables in the terminal, and one self-contained HTML page with a map."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from formarium.files import write_text
from formarium.tasks.links.geometry import Shares

_COLOURS = ("#0969da", "#8250df", "#1a7f37", "#bf3989", "#9a6700", "#59636e")
_PLURALS = {"entity": "entities", "relation": "relations", "token": "tokens"}
_POINTS = 50_000  # on a map


def summary(shares: Shares, top: int) -> dict[str, Any]:
    """The picture as plain data: mean shares by kind and layer, and by branch the tokens that give it most."""
    kinds = list(dict.fromkeys(shares.kinds))
    found: dict[str, Any] = {"branches": list(shares.branches), "kinds": {}}
    for kind in kinds:
        rows = shares.of(kind)
        mean = shares.mean[rows]
        found["kinds"][kind] = {
            "tokens": len(rows),
            "mean": mean.mean(0).tolist(),
            "by_layer": shares.by_layer[:, rows].mean(1).tolist(),
            "largest": (np.bincount(mean.argmax(1), minlength=len(shares.branches)) / len(rows)).tolist(),
            "most": {
                name: [
                    {"label": shares.labels[rows[i]], "shares": mean[i].tolist()}
                    for i in np.argsort(-mean[:, branch], kind="stable")[:top]
                ]
                for branch, name in enumerate(shares.branches)
            },
        }
    return found


def print_shares(shares: Shares, console: Console, top: int = 5) -> None:
    """For each kind of token the mean shares, by layer too, and the tokens that go most to each branch."""
    for kind, facts in summary(shares, top)["kinds"].items():
        plural = _PLURALS[kind]
        table = _table(f"{facts['tokens']:,} {plural}", shares)
        table.add_row("mean share", *_percent(facts["mean"]))
        for layer, mean in enumerate(facts["by_layer"], 1):
            table.add_row(f"in layer {layer}", *_percent(mean), style="dim")
        table.add_row(f"{plural} that go there most", *_percent(facts["largest"]))
        console.print(table)
        for branch, rows in facts["most"].items():
            most = _table(f"most {branch}", shares)
            for row in rows:
                most.add_row(escape(row["label"]), *_percent(row["shares"]))
            console.print(most)


def _table(title: str, shares: Shares) -> Table:
    table = Table(title=f"\n{escape(title)}", title_justify="left", box=None, pad_edge=False, header_style="dim")
    table.add_column("", overflow="fold", min_width=28)
    for name in shares.branches:
        table.add_column(name, justify="right")
    return table


def _percent(values: list[float]) -> list[str]:
    return [f"{value:.1%}" for value in values]


def write_html(shares: Shares, path: Path, title: str, top: int = 20) -> None:
    """One page that needs nothing else: a map of tokens between the branches for each kind, and the tables."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("formarium.tasks.links", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    facts = summary(shares, top)
    page = environment.get_template("geometry.html").render(
        title=title,
        branches=shares.branches,
        plurals=_PLURALS,
        sections=[{"kind": k, "facts": f, "figure": _map(shares, k)} for k, f in facts["kinds"].items()],
        plotly=get_plotlyjs(),
    )
    write_text(path, page)


def corners(count: int) -> np.ndarray:
    """Where the branches stand on a map, (count, 2): a regular polygon, its first corner on top; two side by side."""
    if count == 2:
        return np.array([[-1.0, 0.0], [1.0, 0.0]])
    angles = np.pi / 2 + 2 * np.pi * np.arange(count) / count
    return np.stack((np.cos(angles), np.sin(angles)), axis=1)


def _map(shares: Shares, kind: str) -> str:
    """A token stands at the mean of the corners, weighed by its shares: at a corner when it goes there alone."""
    import plotly.graph_objects as go

    rows = shares.of(kind)
    if len(rows) > _POINTS:
        rows = rows[np.linspace(0, len(rows) - 1, _POINTS).astype(np.int64)]
    mean, places = shares.mean[rows], corners(len(shares.branches))
    points = mean @ places
    # What a browser shows as a hint is read as HTML.
    texts = [
        "<br>".join([_plain(shares.labels[i]), *(f"{n} {v:.1%}" for n, v in zip(shares.branches, m, strict=True))])
        for i, m in zip(rows, mean, strict=True)
    ]
    figure = go.Figure()
    around = np.concatenate((places, places[:1]))
    figure.add_trace(
        go.Scatter(x=around[:, 0], y=around[:, 1], mode="lines", line={"color": "#d1d9e0"}, hoverinfo="skip")
    )
    for branch, name in enumerate(shares.branches):
        own = np.flatnonzero(mean.argmax(1) == branch)
        figure.add_trace(
            go.Scattergl(
                x=points[own, 0].round(4),
                y=points[own, 1].round(4),
                text=[texts[i] for i in own],
                mode="markers",
                marker={"size": 6, "opacity": 0.6, "color": _COLOURS[branch % len(_COLOURS)]},
                hoverinfo="text",
                name=name,
            )
        )
        x, y = places[branch]
        figure.add_annotation(x=1.12 * x, y=1.12 * y, text=name, showarrow=False)
    hidden = {"visible": False, "range": [-1.4, 1.4]}
    figure.update_layout(
        template="plotly_white",
        height=520,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis=hidden,
        yaxis={**hidden, "scaleanchor": "x"},
        showlegend=False,
    )
    drawn: str = figure.to_html(full_html=False, include_plotlyjs=False)
    return drawn


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
