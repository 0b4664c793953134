"""Small molecules that come with RDKit: some thousands of the first of the NCI's list, and what is asked of them.

What is asked is worked out of a molecule's structure, so that it can be learned without error in principle.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.tasks.graphs.graph import Graph, make_graph

ATOMS = ("C", "N", "O", "F", "S", "Cl", "Br", "P", "I")  # others are one more category
_BONDS = {1.0: 0, 2.0: 1, 3.0: 2, 1.5: 3}
SMALLEST, LARGEST = 10, 30  # heavy atoms


def _log_p(molecule: Any) -> float:
    from rdkit.Chem import Crippen

    return float(cast(Any, Crippen).MolLogP(molecule))


def _constrained_solubility(molecule: Any) -> float:
    """Partition coefficient less difficulty of synthesis less what the largest ring has beyond six atoms."""
    from rdkit.Contrib.SA_Score import sascorer  # type: ignore[import-untyped, unused-ignore]

    rings = molecule.GetRingInfo().AtomRings()
    beyond = max([len(ring) for ring in rings], default=0) - 6
    return _log_p(molecule) - float(sascorer.calculateScore(molecule)) - max(0, beyond)


LABELS: dict[str, Callable[[Any], float]] = {"log_p": _log_p, "constrained_solubility": _constrained_solubility}


@lru_cache(maxsize=2)
def molecules(label: str) -> tuple[Graph, ...]:
    """The connected molecules of 10 to 30 heavy atoms: kinds of atoms as nodes, kinds of bonds as edges.

    label: ``log_p``, Crippen's logarithm of the partition coefficient; or ``constrained_solubility``, which is asked of
    the molecules of ZINC, not brought to unit variance term by term. Raises DataError for another, and without RDKit.
    """
    if label not in LABELS:
        raise DataError(f"nothing called {label!r} is worked out of molecules{suggestion(label, LABELS)}")
    try:
        import rdkit
        from rdkit import Chem, RDLogger
    except ImportError:
        raise DataError("molecules come with RDKit, which is not installed: pip install rdkit") from None
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined, unused-ignore]
    path = Path(rdkit.__file__).parent / "Data" / "NCI" / "first_5K.smi"
    if not path.is_file():
        raise DataError(f"this RDKit comes without its list of molecules, {path}")
    made = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split()[0]
        molecule = Chem.MolFromSmiles(text)
        if molecule is None or "." in text or not SMALLEST <= molecule.GetNumAtoms() <= LARGEST:
            continue
        bonds = list(molecule.GetBonds())
        made.append(
            make_graph(
                molecule.GetNumAtoms(),
                [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in bonds],
                node_types=[ATOMS.index(s) if s in ATOMS else len(ATOMS) for s in _symbols(molecule)],
                edge_types=[_BONDS.get(b.GetBondTypeAsDouble(), 0) for b in bonds],
                target=LABELS[label](molecule),
                name=text,
            )
        )
    return tuple(made)


def _symbols(molecule: Any) -> list[str]:
    return [atom.GetSymbol() for atom in molecule.GetAtoms()]
