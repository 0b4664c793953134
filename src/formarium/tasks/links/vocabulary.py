"""What entities and relations are called: kept beside a saved model, and looked up as people write them.

``entities.tsv`` has a label a line, with a readable name behind a tab where there is one; ``relations.txt`` a label a
line. The line's number, from 0, is the number of the entity or relation in the model.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.files import write_text
from formarium.tasks.links.graph import KnowledgeGraph, read_columns

ENTITIES = "entities.tsv"
RELATIONS = "relations.txt"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Entities and relations by number, and readable names of entities by label."""

    entities: Sequence[str]
    relations: Sequence[str]
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: KnowledgeGraph) -> "Vocabulary":
        """That of a graph."""
        return cls(graph.entities, graph.relations, graph.names)

    def save(self, folder: Path) -> None:
        """Leaves in a folder what ``load`` reads."""
        lines = (f"{label}\t{self.names[label]}" if label in self.names else label for label in self.entities)
        write_text(folder / ENTITIES, "".join(f"{line}\n" for line in lines))
        write_text(folder / RELATIONS, "".join(f"{label}\n" for label in self.relations))

    @classmethod
    def load(cls, folder: Path) -> "Vocabulary":
        """That of a saved model; DataError where the folder has none."""
        for name in (ENTITIES, RELATIONS):
            if not (folder / name).is_file():
                raise DataError(f"{folder} holds no model of a knowledge graph: it has no {name}")
        rows = [row for _, row in read_columns(folder / ENTITIES)]
        relations = [row[0] for _, row in read_columns(folder / RELATIONS)]
        return cls([row[0] for row in rows], relations, {row[0]: row[1] for row in rows if len(row) > 1})

    def name(self, entity: int) -> str:
        """What to call an entity: its readable name, or its label."""
        label = self.entities[entity]
        return self.names.get(label, label)

    def entity(self, text: str) -> int:
        """The number of an entity by label or name (case ignored where nothing fits otherwise).

        Raises DataError, with the nearest name, for one that is not there, and for a name that several share.
        """
        return _found(text, self._entity_numbers, "entity", self.entities)

    def relation(self, text: str) -> int:
        """The number of a relation by label; DataError, with the nearest one, for one that is not there."""
        return _found(text, self._relation_numbers, "relation", self.relations)

    @cached_property
    def _entity_numbers(self) -> dict[str, list[int]]:
        named = ((self.names.get(label), number) for number, label in enumerate(self.entities))
        found = _grouped((name, number) for name, number in named if name is not None)
        # A label is nobody else's, whatever others are called.
        return found | {label: [number] for number, label in enumerate(self.entities)}

    @cached_property
    def _relation_numbers(self) -> dict[str, list[int]]:
        return {label: [number] for number, label in enumerate(self.relations)}


def _grouped(pairs: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name, number in pairs:
        found.setdefault(name, []).append(number)
    return found


def _folded(text: str) -> str:
    """Text without case, and with each letter and its marks written in one way."""
    return unicodedata.normalize("NFC", text).casefold()


def _found(text: str, known: Mapping[str, list[int]], what: str, labels: Sequence[str]) -> int:
    if not isinstance(text, str):
        raise DataError(f"entities and relations are named by texts, not as {text!r}")
    numbers = known.get(text)
    if numbers is None:
        folded = _folded(text)
        same = {number for name, found in known.items() if _folded(name) == folded for number in found}
        if not same:
            raise DataError(f"there is no {what} {text!r} in this graph{suggestion(text, known)}")
        numbers = sorted(same)
    if len(numbers) > 1:
        shown = ", ".join(labels[number] for number in numbers[:5])
        raise DataError(f"{text!r} names {len(numbers)} of the {what} labels: {shown}; write the label")
    return numbers[0]
