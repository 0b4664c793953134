"""Molecules written as SMILES, in a table of one a row: atoms as nodes, bonds as edges, by RDKit.

Weininger 1988, doi 10.1021/ci00057a005. What is told of an atom is its element, charge, hydrogens and whether it lies
in a ring; of a bond its order. The shape in space is not told.
"""

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.progress import notice, tracked
from formarium.tasks.graphs.tables import Kind, Table, Tables, read_csv

_ENDINGS = {".csv": ",", ".tsv": "\t"}


def chemistry(what: str) -> Any:
    """``rdkit.Chem``, which keeps silent; DataError, saying ``what`` needs it, where it is not installed."""
    try:
        from rdkit import Chem, RDLogger
    except ImportError:
        raise DataError(f"{what} RDKit, which is not installed: pip install rdkit") from None
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined, unused-ignore]
    return Chem


def has_smiles(path: Path) -> bool:
    """Whether a file is a table with a column of SMILES, or a list of them (.smi)."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".smi":
        return True
    if path.suffix.lower() not in _ENDINGS:
        return False
    try:
        with path.open(encoding="utf-8-sig") as file:
            names = file.readline().lower().split(_ENDINGS[path.suffix.lower()])
    except (OSError, UnicodeDecodeError):
        return False
    return any(_names_smiles(name.strip(' \t\r\n"')) for name in names)


def smiles_tables(path: Path, target: str | None = None) -> Tables:
    """The tables of ``read_tables`` for the molecules of a file, each a graph that is called what is written of it.

    path: a table (.csv, .tsv) with a column whose name ends with ``smiles``, or lines of a SMILES and more (.smi).
    target: the column of numbers that is asked for, or several with commas between; where None, ``label`` and those
    whose names begin with ``target``. ``split`` is taken along, other columns are not. Raises DataError, naming the
    line, for what is no molecule, and for a column that is not there.
    """
    return _tables(path, path.stat().st_mtime_ns, target)


@lru_cache(maxsize=2)
def _tables(path: Path, written: int, target: str | None) -> Tables:
    chem = chemistry(f"the SMILES of {path} need")
    names, rows, lines = _rows(path)
    smiles = next(name for name in names if _names_smiles(name))
    asked = _asked(names, target, path)
    taken = {name: _called(name) for name in asked} | ({"split": "split"} if "split" in names else {})
    found: dict[Kind, list[tuple[int, dict[str, str]]]] = {"graph": [], "node": [], "edge": []}
    canonical: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for line, row in zip(lines, tracked(rows, "reading molecules"), strict=True):
        text = row[smiles]
        molecule = chem.MolFromSmiles(text)
        if molecule is None or not molecule.GetNumAtoms():
            raise DataError(f"{path}, line {line}: {text!r} is no molecule in SMILES")
        seen[text] += 1
        canonical[chem.MolToSmiles(molecule)] += 1
        own = {"graph": text if seen[text] == 1 else f"{text} ({seen[text]})"}
        found["graph"].append((line, own | {ours: row[theirs] for theirs, ours in taken.items()}))
        found["node"] += [(line, own | _of_atom(atom)) for atom in molecule.GetAtoms()]
        found["edge"] += [(line, own | _of_bond(bond)) for bond in molecule.GetBonds()]
    repeated = sum(count - 1 for count in canonical.values())
    if repeated and asked:
        notice(f"{repeated} of {len(rows)} molecules of {path} are there before; they may be learned from and tested")
    columns: dict[Kind, tuple[str, ...]] = {"graph": (*_GRAPH, *taken.values()), "node": _NODE, "edge": _EDGE}
    tables: dict[Kind, Table] = {
        kind: Table(kind, names, [row for _, row in found[kind]], path, [line for line, _ in found[kind]])
        for kind, names in columns.items()
    }
    return tables | {"link": Table("link")}


_GRAPH = ("graph",)
_NODE = ("graph", "node", "type_element", "type_charge", "type_hydrogens", "type_place")
_EDGE = ("graph", "source", "target", "type_bond")


def _of_atom(atom: Any) -> dict[str, str]:
    place = "aromatic" if atom.GetIsAromatic() else "ring" if atom.IsInRing() else "chain"
    return {
        "node": str(atom.GetIdx()),
        "type_element": atom.GetSymbol(),
        "type_charge": f"{atom.GetFormalCharge():+d}",
        "type_hydrogens": str(atom.GetTotalNumHs()),
        "type_place": place,
    }


def _of_bond(bond: Any) -> dict[str, str]:
    return {
        "source": str(bond.GetBeginAtomIdx()),
        "target": str(bond.GetEndAtomIdx()),
        "type_bond": str(bond.GetBondType()).lower(),
    }


def _rows(path: Path) -> tuple[list[str], list[dict[str, str]], list[int]]:
    """Names of columns, rows, and the line of each."""
    if path.suffix.lower() != ".smi":
        names, rows = read_csv(path, _ENDINGS[path.suffix.lower()])
        lines = list(range(2, 2 + len(rows)))
    else:
        try:
            text = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read as text: {error}") from None
        written = [(number, line.split()[0]) for number, line in enumerate(text, 1) if line.strip()]
        names, rows, lines = ["smiles"], [{"smiles": word} for _, word in written], [number for number, _ in written]
    if not rows:
        raise DataError(f"{path} holds no rows")
    return names, rows, lines


def _names_smiles(name: str) -> bool:
    return name.strip().lower().endswith("smiles")


def _asked(names: list[str], target: str | None, path: Path) -> list[str]:
    if target is None:
        return [name for name in names if name == "label" or name.startswith("target")]
    asked = [target] if target in names else [name.strip() for name in target.split(",")]
    absent = next((name for name in asked if name not in names), None)
    if absent is not None:
        raise DataError(f"{path} has no column {absent!r}{suggestion(absent, names)}")
    return asked


def _called(name: str) -> str:
    """The name by which a table of graphs says that a column is asked for."""
    return name if name == "label" or name.startswith("target") else f"target_{name}"
