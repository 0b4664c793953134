"""Knowledge graphs from wherever they lie: named benchmarks, folders and files of triples, or made on the spot.

FB15k-237 (Toutanova and Chen 2015) and WN18RR (Dettmers et al. 2018) are looked for in the data folder and the cache,
then fetched; nations, kinships and umls come with the package pykeen.
"""

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from formarium.config import parse, suggestion
from formarium.errors import DataError
from formarium.tasks.data import DataFile, find, locate
from formarium.tasks.links.graph import (
    KnowledgeGraph,
    Labelled,
    Unseen,
    best_connected,
    number_triples,
    read_names,
    read_triples,
    split_triples,
)
from formarium.tasks.links.synthetic import Geometries
from formarium.tasks.task import SPLITS, Split

_FILES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("valid", "validation", "dev"),
    "test": ("test",),
}
_SOURCE = (
    "https://raw.githubusercontent.com/villmow/datasets_knowledge_embedding/9e392453d6804d1f51c13e5650ae58ed48b638d5"
)
_WITH_PYKEEN = ("nations", "kinships", "umls")
# Of the sorted lines of each split: the same set of triples, whatever their order, compression and source.
_DIGESTS = {
    "FB15k-237": {
        "train": "f85cd84465e48333ddccf3977211835bb3ff4d0b6cb962ed78954dcb09caf2a8",
        "validation": "b045570c110705d5b3e1063cc1c9df183ed2e59229e0bd29efea4cf830aa83f4",
        "test": "2900a658783e152f50c7894f68c04db9e6700dfec00c57b07a85dcffaddc72d4",
    },
    "WN18RR": {
        "train": "328be176010cc13057da5d3bcafabb256d3b1d22ce9ce96e268c65f29dda6c5b",
        "validation": "90a1ed6adf244953bfef0d24766b6a44a32e11d9b9c328687a0dcfced874cb41",
        "test": "db0457bbb9ad4131c4f5cfb3143b43b6ff5c84d602a82529b2010d83b0d5e20c",
    },
}
_LICENCES = {"FB15k-237": "CC BY (Freebase)", "WN18RR": "WordNet licence, with attribution"}


def load(
    data: str | Geometries,
    names: str | None = None,
    unseen: Unseen | None = "keep",
    held_out: float = 0.1,
    entities: int | None = None,
) -> KnowledgeGraph:
    """The graph that ``data`` names.

    data: FB15k-237, WN18RR, nations, kinships, umls, ``Geometries`` (or as a configuration of it), a folder with files
    train, valid and test (.tsv or .txt, gzipped or not), or one file of triples. names: a file of readable names, a
    label and a name a line. unseen: see ``number_triples``. held_out: share of the triples for each of validation and
    test, where the data come without splits. entities: of a large graph only the part between so many entities with
    most links in training, a task of its own. Raises DataError, in a sentence, for what cannot be read.
    """
    if isinstance(data, str) and data.partition("(")[0].strip() == "Geometries":
        made = parse(data)
        assert isinstance(made, Geometries)
        data = made
    own_names = None if names is None else read_names(_existing(names))
    if isinstance(data, Geometries):
        triples, parts = data.labelled()
        return number_triples(best_connected(split_triples(triples, held_out), entities), unseen, own_names, parts)
    if data in NAMED:
        graph = _named(data, unseen, entities, _stamp(data))
        return graph if own_names is None else replace(graph, names=own_names)
    path = Path(data).expanduser()
    if not path.exists():
        hint = suggestion(data, [*NAMED, "Geometries"]) if "/" not in data and "." not in data else ""
        raise DataError(f"there is no knowledge graph at {data}{hint}")
    labelled = _folder(path) if path.is_dir() else split_triples(read_triples(path), held_out)
    return number_triples(best_connected(labelled, entities), unseen, own_names)


@lru_cache(maxsize=4)
def _named(
    data: str, unseen: Unseen | None, entities: int | None, stamp: tuple[tuple[Path, int], ...]
) -> KnowledgeGraph:
    """A named graph, read once in a process as long as its files stay what they are."""
    labelled, names = NAMED[data](data)
    return number_triples(best_connected(labelled, entities), unseen, names)


def _stamp(data: str) -> tuple[tuple[Path, int], ...]:
    """The files of a benchmark and when they were written; nothing for what comes with a package."""
    if data not in _DIGESTS:
        return ()
    paths = [*_benchmark_files(data).values(), find(_names_file(data))]
    return tuple((path, path.stat().st_mtime_ns) for path in paths if path is not None)


def _existing(path: str) -> Path:
    found = Path(path).expanduser()
    if not found.is_file():
        raise DataError(f"there is no file of names at {path}")
    return found


def _folder(folder: Path) -> dict[Split, list[Labelled]]:
    labelled = {}
    for split, stems in _FILES.items():
        tried = [f"{stem}.{kind}{packed}" for stem in stems for kind in ("tsv", "txt") for packed in ("", ".gz")]
        found = next((folder / name for name in tried if (folder / name).is_file()), None)
        if found is None:
            raise DataError(f"{folder} has no {split} triples: put them in {stems[0]}.tsv")
        labelled[split] = read_triples(found)
    return labelled


def _benchmark_files(name: str) -> dict[Split, Path]:
    """Where the three splits lie, fetched where they are not at hand."""
    subfolder = {"FB15k-237": "FB15k-237", "WN18RR": "WN18RR/original"}[name]
    found = {}
    for split in SPLITS:
        stem = _FILES[split][0]
        file = DataFile(f"kg/{name}/{stem}.tsv", f"{_SOURCE}/{subfolder}/{stem}.txt", licence=_LICENCES[name])
        try:
            found[split] = locate(file)
        except DataError as error:
            offline = f"{', '.join(_WITH_PYKEEN)} come with the package pykeen, and Geometries is made on the spot"
            raise DataError(f"{error}; without a network, {offline}") from None
    return found


def _names_file(name: str) -> DataFile:
    return DataFile(f"kg/{name}/entity_names.tsv")


def _benchmark(name: str) -> tuple[dict[Split, list[Labelled]], dict[str, str]]:
    labelled = {}
    for split, path in _benchmark_files(name).items():
        labelled[split] = read_triples(path)
        lines = sorted("\t".join(row) for row in labelled[split])
        if hashlib.sha256("\n".join(lines).encode()).hexdigest() != _DIGESTS[name][split]:
            raise DataError(f"{path} does not hold the {split} triples of {name}: it is damaged or another set")
    names = find(_names_file(name))
    return labelled, {} if names is None else read_names(names)


def _with_pykeen(name: str) -> tuple[dict[Split, list[Labelled]], dict[str, str]]:
    found = importlib.util.find_spec("pykeen")
    if found is None or not found.submodule_search_locations:
        raise DataError(f"{name} comes with the package pykeen: pip install 'formarium[links]'")
    return _folder(Path(found.submodule_search_locations[0]) / "datasets" / name), {}


NAMED: dict[str, Callable[[str], tuple[dict[Split, list[Labelled]], dict[str, str]]]] = {
    **dict.fromkeys(_DIGESTS, _benchmark),
    **dict.fromkeys(_WITH_PYKEEN, _with_pykeen),
}
