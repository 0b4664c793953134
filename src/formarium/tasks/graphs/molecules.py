"""Small molecules that come with RDKit: some thousands of the first of the NCI's list, and what is asked of them.

What is asked is worked out of a molecule's structure. Of molecules that are the same graph the first counts alone, so
that none is trained on and tested. Charges, hydrogens and the shape in space are not told, nor is one metal from
another, so that not all of it can be learned.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.progress import tracked
from formarium.tasks.graphs.graph import Graph, make_graph
from formarium.tasks.graphs.smiles import chemistry

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
    """The connected molecules of 10 to 30 heavy atoms, no two alike: kinds of atoms as nodes, of bonds as edges.

    label: ``log_p``, Crippen's logarithm of the partition coefficient; or ``constrained_solubility``, which is asked of
    the molecules of ZINC, not brought to unit variance term by term. Raises DataError for another, and without RDKit.
    """
    if label not in LABELS:
        raise DataError(f"nothing called {label!r} is worked out of molecules{suggestion(label, LABELS)}")
    chem = chemistry("molecules come with")
    path = Path(chem.__file__).parents[1] / "Data" / "NCI" / "first_5K.smi"
    if not path.is_file():
        raise DataError(f"this RDKit comes without its list of molecules, {path}")
    made: dict[str, Graph] = {}
    for line in tracked(path.read_text(encoding="utf-8").splitlines(), "reading molecules"):
        text = line.split()[0]
        molecule = chem.MolFromSmiles(text)
        if molecule is None or "." in text or not SMALLEST <= molecule.GetNumAtoms() <= LARGEST:
            continue
        symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
        atoms = [ATOMS.index(s) if s in ATOMS else len(ATOMS) for s in symbols]
        ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
        kinds = [_BONDS.get(b.GetBondTypeAsDouble(), 0) for b in molecule.GetBonds()]
        outline = _outline(atoms, ends, kinds)
        if outline not in made:
            target = LABELS[label](molecule)
            made[outline] = make_graph(len(atoms), ends, node_types=atoms, edge_types=kinds, target=target, name=text)
    return tuple(made.values())


def _outline(atoms: list[int], ends: list[tuple[int, int]], kinds: list[int]) -> str:
    """The same text for the same graph, however its nodes are numbered: what RDKit writes of it in canonical order."""
    from rdkit import Chem

    bonds = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC)
    drawn = Chem.RWMol()
    for kind in atoms:
        atom = Chem.Atom(ATOMS[kind] if kind < len(ATOMS) else "*")
        atom.SetNoImplicit(True)
        drawn.AddAtom(atom)
    for (one, other), kind in zip(ends, kinds, strict=True):
        drawn.AddBond(one, other, bonds[kind])
    return str(Chem.MolToSmiles(drawn))
