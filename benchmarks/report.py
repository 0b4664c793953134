"""Tables of measurements, on the terminal and as a page of the documentation."""

import re
import shlex
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from formarium.lab.record import surroundings

_HOW = (
    "All rows of a table ran in one process, in turn within each round; times are medians over rounds, ratios medians "
    "of the ratios of each round.\n"
)


def ratio(base: Sequence[float], own: Sequence[float]) -> float:
    """How many times as long as the base: the median over rounds."""
    return statistics.median(b / a for a, b in zip(base, own, strict=True))


class Table:
    """A title, a header and rows of text."""

    def __init__(self, title: str, header: Sequence[str]) -> None:
        self.title, self.header = title, list(header)
        self.rows: list[list[str]] = []

    def row(self, *cells: str) -> None:
        self.rows.append(list(cells))

    def markdown(self) -> str:
        lines = [self.header, ["---", *["---:"] * (len(self.header) - 1)], *self.rows]
        return f"## {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def machine() -> str:
    """What the numbers were measured on."""
    found = surroundings()
    where, versions = found["machine"], found["versions"]
    card = f", {where['gpu']}" if where["gpu"] else ""
    threads = f"{torch.get_num_threads()} threads"
    tools = ", ".join(f"{name} {version}" for name, version in versions.items() if name in ("torch", "transformers"))
    return f"{where['processor']}, {where['cores']} cores, {threads}{card}; {tools}"


def write(title: str, tables: Sequence[Table], path: Path | None) -> None:
    """Prints the tables and writes them to a page, each with where and by which command it was made.

    Tables of the page that were not measured this time stay as they are.
    """
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    note = f"Measured on {datetime.now(UTC):%Y-%m-%d} on {machine()}, by `{command}`."
    made = {table.title: f"{table.markdown()}\n{note}\n" for table in tables}
    if path is not None and path.exists():
        _, *sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        made = {section.partition("\n")[0]: f"## {section.rstrip()}\n" for section in sections} | made
    page = "\n".join([f"# {title}\n", _HOW, *made.values()])
    print(page)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
