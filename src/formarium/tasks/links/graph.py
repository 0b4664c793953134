"""Knowledge graphs as numbers: entities, relations and triples out of labelled triples, each oddity answered for.

A triple is a row (head, relation, tail) of an array (N, 3).
"""

import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from formarium.errors import DataError
from formarium.progress import notice
from formarium.tasks.task import SPLITS, Split

Labelled = tuple[str, str, str]  # head, relation, tail
Unseen = Literal["keep", "drop"]


@dataclass(frozen=True, eq=False)
class KnowledgeGraph:
    """Entities and relations by label, and the triples of each split (N, 3) as their numbers.

    Entities and relations of the training split come first, then the others, each sorted: ``seen`` says how many of
    each there are in training. names: readable names of entities by label. parts: for each entity the part of the graph
    that it belongs to, where that is known by construction.
    """

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    splits: Mapping[Split, np.ndarray]
    seen: tuple[int, int]
    names: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] | None = None


def number_triples(
    labelled: Mapping[Split, Sequence[Labelled]],
    unseen: Unseen | None = "keep",
    names: Mapping[str, str] | None = None,
    parts: Mapping[str, str] | None = None,
) -> KnowledgeGraph:
    """The graph of labelled triples, their order kept.

    A triple that stands in a split twice counts once. unseen: what happens to evaluation triples with an entity or a
    relation that training lacks: ``keep`` ranks them (training met these as wrong answers at most), ``drop`` leaves
    them, and such entities, out; None keeps them without a word, for who asks what another graph knows. Notices say how
    many there were of each, and how many evaluation triples training holds too. Raises DataError where no triples are
    left to train on.
    """
    splits = {split: _without_duplicates(labelled.get(split, ()), split) for split in SPLITS}
    train = splits["train"]
    if not train:
        raise DataError("the graph has no triples to train on")
    entities = sorted({label for head, _, tail in train for label in (head, tail)})
    relations = sorted({relation for _, relation, _ in train})
    seen = (len(entities), len(relations))
    seen_entities, seen_relations = set(entities), set(relations)
    for split in SPLITS[1:]:
        rows = splits[split]
        known = [h in seen_entities and t in seen_entities and r in seen_relations for h, r, t in rows]
        strange = len(rows) - sum(known)
        if strange and unseen is not None:
            fate = "dropped" if unseen == "drop" else "ranked all the same, met as wrong answers at most"
            notice(f"{strange} of {len(rows)} {split} triples name what training never saw: they are {fate}")
        if unseen == "drop":
            splits[split] = list(itertools.compress(rows, known))
    everything = [row for rows in splits.values() for row in rows]
    entities += sorted({label for head, _, tail in everything for label in (head, tail)} - seen_entities)
    relations += sorted({relation for _, relation, _ in everything} - seen_relations)
    entity_numbers = {label: number for number, label in enumerate(entities)}
    relation_numbers = {label: number for number, label in enumerate(relations)}
    numbered: dict[Split, np.ndarray] = {
        split: np.array(
            [(entity_numbers[h], relation_numbers[r], entity_numbers[t]) for h, r, t in rows], dtype=np.int64
        ).reshape(-1, 3)
        for split, rows in splits.items()
    }
    for split in SPLITS[1:]:
        leaked = len(set(train).intersection(splits[split]))
        if leaked:
            notice(f"{leaked} {split} triples stand in the training split too")
    return KnowledgeGraph(
        tuple(entities),
        tuple(relations),
        numbered,
        seen,
        {} if names is None else names,
        None if parts is None else tuple(parts[label] for label in entities),
    )


def renumbered(
    graph: KnowledgeGraph, entities: Sequence[str], relations: Sequence[str], unseen: Unseen = "keep"
) -> KnowledgeGraph:
    """The graph by the numbers of a model that knows these entities and relations.

    unseen: triples that name others are left out where ``drop``; else they are refused by a DataError.
    """
    if (graph.entities, graph.relations) == (tuple(entities), tuple(relations)):
        return graph
    numbers = [{label: number for number, label in enumerate(labels)} for labels in (entities, relations, entities)]
    own = graph.entities, graph.relations, graph.entities
    tables = [np.array([known.get(label, -1) for label in labels]) for known, labels in zip(numbers, own, strict=True)]
    splits = {}
    for split, rows in graph.splits.items():
        found = np.stack([table[rows[:, place]] for place, table in enumerate(tables)], axis=1)
        known = (found >= 0).all(1)
        if not known.all() and unseen != "drop":
            row, place = np.argwhere(found < 0)[0]
            raise DataError(
                f"{(~known).sum()} of {len(rows)} {split} triples name what the model does not know, as "
                f"{own[place][rows[row, place]]!r}; unseen=drop leaves them out"
            )
        splits[split] = found[known]
    return replace(graph, entities=tuple(entities), relations=tuple(relations), splits=splits, parts=None)


def split_triples(triples: Iterable[Labelled], share: float, seed: int = 0) -> dict[Split, list[Labelled]]:
    """Labelled triples in splits: a random ``share`` each for validation and test, the rest for training.

    Held out is only what leaves every entity and relation in training. The split depends on the seed and the set of
    triples alone, not on their order.
    """
    given = list(triples)
    rows = sorted(set(given))
    if len(rows) < len(given):
        notice(f"{len(given) - len(rows)} triples stand there more than once; each counts once")
    ends = Counter(label for head, _, tail in rows for label in (head, tail))
    relations = Counter(relation for _, relation, _ in rows)
    wanted = 2 * round(share * len(rows))
    held: list[int] = []
    for index in np.random.default_rng(seed).permutation(len(rows)).tolist():
        if len(held) == wanted:
            break
        head, relation, tail = rows[index]
        # A link from an entity to itself takes two of its ends.
        if min(ends[head], ends[tail]) > 1 + (head == tail) and relations[relation] > 1:
            ends.subtract((head, tail))
            relations[relation] -= 1
            held.append(index)
    half = len(held) // 2
    out = set(held)
    return {
        "train": [row for index, row in enumerate(rows) if index not in out],
        "validation": [rows[index] for index in sorted(held[:half])],
        "test": [rows[index] for index in sorted(held[half:])],
    }


def best_connected(labelled: Mapping[Split, Sequence[Labelled]], entities: int | None) -> dict[Split, list[Labelled]]:
    """The triples of each split between the so many entities that most training triples name; all where None."""
    splits = {split: list(rows) for split, rows in labelled.items()}
    if entities is None:
        return splits
    ends = Counter(label for head, _, tail in splits["train"] for label in (head, tail))
    kept = set(sorted(ends, key=lambda label: (-ends[label], label))[:entities])
    return {split: [row for row in rows if row[0] in kept and row[2] in kept] for split, rows in splits.items()}


# What columns are called, by what stands in them.
_HEADERS = (
    {"head", "subject", "source", "from", "h", "s", "head_entity", "entity1"},
    {"relation", "predicate", "rel", "edge", "r", "p", "relation_type"},
    {"tail", "object", "target", "to", "t", "o", "tail_entity", "entity2"},
)


def read_triples(path: Path) -> list[Labelled]:
    """Labelled triples of a text file, gzipped or not: head, relation and tail of a line separated by tabs.

    A first line that only names these columns, in any order, says so and is left out. Raises DataError, naming the
    line, for what is not three columns.
    """
    rows: list[Labelled] = []
    order: list[int] | None = None
    for number, row in read_columns(path):
        if len(row) != 3:
            raise DataError(
                f"line {number} of {path} is not a triple: head, relation and tail stand there separated by tabs, "
                f"not {len(row)} column{'s' if len(row) != 1 else ''}"
            )
        if not all(row):
            raise DataError(f"line {number} of {path} names no {('head', 'relation', 'tail')[row.index('')]}")
        if not rows and order is None and (order := _order(row)) is not None:
            notice(f"the first line of {path} names its columns and is left out")
            continue
        head, relation, tail = row if order is None else (row[place] for place in order)
        rows.append((head, relation, tail))
    if not rows:
        raise DataError(f"there are no triples in {path}")
    return rows


def _order(row: Sequence[str]) -> list[int] | None:
    """In which columns head, relation and tail stand by a line of their names; None for another line."""
    names = [column.lower() for column in row]
    found = [[place for place, name in enumerate(names) if name in called] for called in _HEADERS]
    return [places[0] for places in found] if all(found) else None


def read_names(path: Path) -> dict[str, str]:
    """Readable names by label: two columns separated by tabs; DataError, naming the line, for anything else."""
    rows = read_columns(path)
    for number, row in rows:
        if len(row) != 2 or not all(row):
            raise DataError(f"line {number} of {path} is not a label and a name separated by a tab")
    found: dict[str, str] = {}
    for number, (label, name) in rows:
        if found.setdefault(label, name) != name:
            raise DataError(f"line {number} of {path} names {label!r} {name!r}, which it named {found[label]!r} before")
    return found


def read_columns(path: Path) -> list[tuple[int, list[str]]]:
    """Lines that are not blank, with their numbers, as columns; DataError for a file that is no text."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{path} cannot be read as text: {error}") from None
    # Other characters that end lines of text may be part of a label.
    lines = enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1)
    return [(number, [column.strip() for column in line.split("\t")]) for number, line in lines if line.strip()]


def _without_duplicates(rows: Sequence[Labelled], split: Split) -> list[Labelled]:
    kept = list(dict.fromkeys(rows))
    if len(kept) < len(rows):
        notice(f"{len(rows) - len(kept)} triples stand in the {split} split more than once; each counts once")
    return kept


def with_reciprocals(triples: np.ndarray, relations: int) -> np.ndarray:
    """Triples (N, 3) and behind them the same from tail to head, by relation r + R: (2 N, 3)."""
    back = triples[:, ::-1].copy()
    back[:, 1] += relations
    return np.concatenate((triples, back))
