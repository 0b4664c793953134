"""A room imports only from its own floor and from those below it, so that any floor can be read without those above."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import formarium

ROOT = Path(formarium.__file__).parent
FLOORS = (
    ("config", "errors", "files", "progress", "checks"),
    ("context", "block", "parts"),
    ("models", "theory", "training"),
    ("tasks", "forecasting"),
    ("lab", "official"),
    ("papers",),
    ("site", "cli"),
)
# Training knows a task by its interface alone.
INTERFACES = {("training", "formarium.tasks.task")}
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imported(path: Path) -> Iterator[tuple[str, str, int]]:
    """Modules of the package that a file imports from: room, name and line, without what only type checkers see."""
    tree = ast.parse(path.read_text())
    unseen = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{a.name}" if node.module == "formarium" else node.module for a in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "formarium" and rest.partition(".")[0] in FLOOR:
                yield rest.partition(".")[0], name, node.lineno


@pytest.mark.parametrize("room", FLOOR)
def test_a_room_imports_only_from_below(room: str) -> None:
    paths = sorted((ROOT / room).rglob("*.py")) if (ROOT / room).is_dir() else [ROOT / f"{room}.py"]
    above = [
        f"{path.relative_to(ROOT)}:{line} imports from {name}"
        for path in paths
        for other, name, line in imported(path)
        if FLOOR[other] > FLOOR[room] and (room, name) not in INTERFACES
    ]
    assert not above, "; ".join(above)


def test_every_room_has_a_floor() -> None:
    rooms = {p.stem for p in ROOT.iterdir() if (p.is_dir() and (p / "__init__.py").exists()) or p.suffix == ".py"}
    assert rooms - {"__init__"} == set(FLOOR)
