"""A graph whose geometry is known: a tree, which hyperbolic space fits, cycles, which circles fit, and a flat grid."""

from collections.abc import Iterator
from dataclasses import dataclass

from formarium.config import BaseConfig, ConfigError


@dataclass(frozen=True)
class Geometries(BaseConfig):
    """Three disjoint parts with relations of their own, of one to ``reach`` steps each.

    tree: every node has ``branching`` children down to ``depth`` levels below the root; ``tree_k`` leads k levels up.
    cycles: so many of ``cycle_length`` nodes; ``cycle_k`` leads k nodes on. grid: side of a square; ``right_k`` and
    ``down_k`` lead k nodes along it. Two steps of one relation are one of another, so that held-out links follow from
    the others (not always with certainty: a leaf without its parent may be any sibling's).
    A part of size 0 is left out. Raises ConfigError for sizes that leave no links.
    """

    branching: int = 3
    depth: int = 6
    cycles: int = 40
    cycle_length: int = 12
    grid: int = 20
    reach: int = 2

    def labelled(self) -> tuple[list[tuple[str, str, str]], dict[str, str]]:
        """All triples by label, and the part (``tree``, ``cycle`` or ``grid``) of each entity."""
        if min(self.branching, self.depth, self.cycles, self.cycle_length, self.grid) < 0 or self.reach < 1:
            raise ConfigError("the sizes of Geometries are not negative and reach is at least 1")
        if self.cycles and 0 < self.cycle_length <= 2 * self.reach:
            raise ConfigError("cycles are longer than twice the reach; else a step back is a step on")
        rows = [*self._tree(), *self._cycles(), *self._grid()]
        if not rows:
            raise ConfigError("Geometries of these sizes have no links")
        return rows, {label: label.partition("_")[0] for head, _, tail in rows for label in (head, tail)}

    def _tree(self) -> Iterator[tuple[str, str, str]]:
        """Nodes are numbered level by level, so that the parent of node n is (n - 1) // branching."""
        if not self.branching:
            return
        count = sum(self.branching**level for level in range(self.depth + 1))
        for node in range(1, count):
            above = node
            for steps in range(1, self.reach + 1):
                above = (above - 1) // self.branching
                yield f"tree_{node}", f"tree_{steps}", f"tree_{above}"
                if above == 0:
                    break

    def _cycles(self) -> Iterator[tuple[str, str, str]]:
        for cycle in range(self.cycles):
            for node in range(self.cycle_length):
                for steps in range(1, self.reach + 1):
                    on = (node + steps) % self.cycle_length
                    yield f"cycle_{cycle}_{node}", f"cycle_{steps}", f"cycle_{cycle}_{on}"

    def _grid(self) -> Iterator[tuple[str, str, str]]:
        for row in range(self.grid):
            for column in range(self.grid):
                for steps in range(1, self.reach + 1):
                    here = f"grid_{row}_{column}"
                    if column + steps < self.grid:
                        yield here, f"right_{steps}", f"grid_{row}_{column + steps}"
                    if row + steps < self.grid:
                        yield here, f"down_{steps}", f"grid_{row + steps}_{column}"
