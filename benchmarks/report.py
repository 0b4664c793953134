"""Tables of measurements, on the terminal and as a page of the documentation."""

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from formarium.lab.record import surroundings


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
    """Prints the tables, and writes them as a page that says where and by which command they were made."""
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    note = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} on {machine()}. All rows of a table ran in one process, in turn "
        "within each round; times are medians over rounds, ratios medians of the ratios of each round. The same again: "
        f"`{command}`."
    )
    page = "\n".join([f"# {title}\n", note + "\n", *(table.markdown() for table in tables)])
    print(page)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
