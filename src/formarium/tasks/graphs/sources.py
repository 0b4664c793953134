"""Sets of graphs by name: made on the spot, from files, from torch_geometric, or from a function of the user's."""

import ast
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from formarium.config import ConfigError, look_up, suggestion
from formarium.errors import DataError
from formarium.files import cache_folder
from formarium.progress import notice
from formarium.tasks.graphs.adapters import as_graphs
from formarium.tasks.graphs.atlas import atlas
from formarium.tasks.graphs.files import has_graphs, read_graphs
from formarium.tasks.graphs.graph import Graph, widths, with_edge_columns
from formarium.tasks.graphs.molecules import molecules
from formarium.tasks.graphs.multisets import multisets
from formarium.tasks.graphs.ogb_files import is_ogb, read_ogb
from formarium.tasks.graphs.smiles import has_smiles, smiles_tables
from formarium.tasks.graphs.tables import Columns, Tables, columns_of, in_splits, open_tables, read_tables
from formarium.tasks.task import SPLITS

_MADE = ("atlas", "molecules", "multisets")


def load(
    source: str, target: str | None, held_out: float, meaning: Mapping[str, Columns] | None = None
) -> dict[str, list[Graph]]:
    """The graphs of a source in splits: its own, else drawn by chance, the same each time.

    source: ``atlas``, ``molecules`` (they come with RDKit) or ``multisets``; a folder of edges.csv, nodes.csv,
    graphs.csv and links.csv, a file of edges, a table of molecules as ``smiles_tables`` reads them, a file of graphs as
    ``read_graphs`` knows them (without what their nodes and edges are), or a folder as the Open Graph Benchmark has
    them; a data set of torch_geometric with its arguments, as ``pyg:TUDataset('MUTAG')``; or ``module:function``,
    returning graphs, one, or graphs by split.
    target: what is asked of the atlas (``spanning_trees`` where None), of the molecules (``log_p``), or the column of a
    table of molecules. held_out: share of each of validation and test. meaning: of tables, see ``read_tables``. A
    single graph is in all splits, which are then of its nodes or pairs. Raises DataError for a source that cannot be
    used, ConfigError for a target that is not its to choose.
    """
    taken = _found(source, target, meaning)
    splits = taken if isinstance(taken, Mapping) else {"all": taken}
    graphs = {split: as_graphs(some) for split, some in splits.items()}
    found = widths([graph for some in graphs.values() for graph in some])
    columns = len(found.edge_types), found.edge_features
    graphs = {split: with_edge_columns(some, *columns) for split, some in graphs.items()}
    if set(graphs) == set(SPLITS):
        return graphs
    if set(graphs) != {"all"}:
        raise DataError(f"{source!r} has the splits {', '.join(graphs)}; they are {', '.join(SPLITS)}, or none")
    all_of = graphs["all"]
    if len(all_of) == 1:
        return dict.fromkeys(SPLITS, all_of)
    if any(graph.node_splits is not None for graph in all_of):
        notice(f"{source!r} is {len(all_of)} graphs, held out as wholes; masks of their nodes are not looked at")
    order = np.random.default_rng(0).permutation(len(all_of))
    size = max(1, round(held_out * len(all_of)))
    if len(all_of) < 2 * size + 1:
        raise DataError(f"{source!r} has {len(all_of)} graphs, too few to hold some out for validation and test")
    ends = {"validation": order[:size], "test": order[size : 2 * size], "train": order[2 * size :]}
    return {split: [all_of[i] for i in np.sort(ends[split])] for split in SPLITS}


def meaning_of(source: str, target: str | None = None) -> dict[str, Columns] | None:
    """What the columns of tables mean where a source is such; else None. target: see ``load``."""
    path = Path(source).expanduser()
    if _is_special(source) or not path.exists() or is_ogb(path) or has_graphs(path):
        return None
    return columns_of(_tables(path, target))


def _tables(path: Path, target: str | None) -> Tables:
    return smiles_tables(path, target) if has_smiles(path) else open_tables(path)


def to_answer(source: str, meaning: Mapping[str, Columns] | None) -> list[Graph]:
    """The graphs of a source that a trained model is asked about, of all its splits; see ``load``.

    meaning: of the tables that the model learned from, if it did. Raises DataError for what cannot be used, and for
    categories in words where they were numbers in training.
    """
    refuse_words(source, meaning)
    taken = _found(source, None, meaning, answered=False)
    splits = taken.values() if isinstance(taken, Mapping) else [taken]
    graphs = [graph for some in splits for graph in as_graphs(some)]
    if not graphs:
        raise DataError(f"{source!r} holds no graphs")
    return graphs


def refuse_words(source: str, meaning: Mapping[str, Columns] | None) -> None:
    """DataError where a model that did not learn from tables would have to know what a word in one means."""
    words = meaning_of(source) if meaning is None else None
    named = next((name for table in (words or {}).values() for name, own in table.types.items() if own), None)
    if named is not None:
        raise DataError(
            f"the column {named!r} of {source!r} is in words, and the model did not learn from tables, so that which "
            "category each word is is not known: write their numbers"
        )


def _is_special(source: str) -> bool:
    return source in _MADE or source.startswith("pyg:")


def _found(source: str, target: str | None, meaning: Mapping[str, Columns] | None = None, answered: bool = True) -> Any:
    if source == "atlas":
        return atlas(target or "spanning_trees")
    if source == "molecules":
        return list(molecules(target or "log_p"))
    path = Path(source).expanduser()
    if target is not None and not has_smiles(path):
        raise ConfigError(
            f"target={target!r} chooses what is asked of the atlas or of molecules; {source!r} brings its own targets"
        )
    if source == "multisets":
        return multisets()
    if source.startswith("pyg:"):
        return _torch_geometric(source.removeprefix("pyg:"))
    if is_ogb(path):
        return read_ogb(path)
    if has_graphs(path):
        return read_graphs(path)
    if path.exists():
        tables = _tables(path, target)
        made = read_tables(tables, meaning=meaning, answered=answered)
        return made if not answered else in_splits(made, tables) or made
    if ":" in source and "/" not in source:
        return _function(source)
    hint = "" if "/" in source or path.suffix else suggestion(source, _MADE)
    raise DataError(f"no graphs at {source!r}: no such file or folder{hint}")


def _function(source: str) -> Any:
    try:
        function = look_up(source)
    except ConfigError as error:
        raise DataError(f"{source!r} names no function that returns graphs: {error}") from None
    try:
        found = function()
    except DataError:
        raise
    except Exception as error:  # whatever the user's own function raises
        raise DataError(f"{source!r}, called without arguments, raised {type(error).__name__}: {error}") from error
    if not isinstance(found, Iterable | Graph):
        raise DataError(f"{source!r} returned no graphs, but {type(found).__name__}")
    return found


def _torch_geometric(text: str) -> Any:
    """A data set of torch_geometric, in its own splits where its class takes a ``split``."""
    try:
        from torch_geometric import datasets  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise DataError("data sets of torch_geometric need it installed: pip install torch_geometric") from None
    try:
        call = ast.parse(text, mode="eval").body
        name = ast.unparse(call.func if isinstance(call, ast.Call) else call)
        places, keywords = (call.args, call.keywords) if isinstance(call, ast.Call) else ([], [])
        placed = [ast.literal_eval(value) for value in places]
        given = {str(k.arg): ast.literal_eval(k.value) for k in keywords}
    except (SyntaxError, ValueError):
        raise DataError(f"{text!r} is not of the form Dataset(name='...')") from None
    kind = getattr(datasets, name, None)
    if kind is None:
        raise DataError(f"torch_geometric has no data set {name!r}{suggestion(name, datasets.__all__)}")
    parameters = inspect.signature(kind.__init__).parameters
    # Sets that are made on the spot have no folder.
    placed = [str(cache_folder("graphs", name)), *placed] if "root" in parameters else placed

    def taken(data: Any) -> list[Graph]:
        # Where a superpixel lies in its picture is one of its features in that benchmark.
        return as_graphs(data, places=name == "GNNBenchmarkDataset")

    try:
        # In other classes a split is a way to split nodes, of which their masks tell.
        split = parameters.get("split")
        if split is not None and split.default == "train" and "split" not in given:
            names = dict(zip(SPLITS, ("train", "val", "test"), strict=True))
            return {split: taken(kind(*placed, split=theirs, **given)) for split, theirs in names.items()}
        return taken(kind(*placed, **given))
    except DataError:
        raise
    except Exception as error:  # downloads and processing raise many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"the data set {text} of torch_geometric cannot be had: {reason}") from None
