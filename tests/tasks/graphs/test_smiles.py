"""Molecules in SMILES: what is told of them, and files that hold none."""

from pathlib import Path

import numpy as np
import pytest

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.tasks import Graphs
from formarium.tasks.graphs.graph import widths
from formarium.tasks.graphs.smiles import has_smiles, smiles_tables
from formarium.tasks.graphs.sources import load, to_answer
from formarium.tasks.graphs.tables import columns_of, read_tables

pytest.importorskip("rdkit")

TABLE = """name,Canonical_SMILES,log P,target_heat,split
ethanol,CCO,-0.3,1.5,train
benzoate,[O-]C(=O)c1ccccc1,1.9,,train
butane,CCCC,2.9,2.5,val
salt,[Na+].[Cl-],-3,3.5,test
again,OCC,-0.3,1.5,
"""


def table(folder: Path, text: str = TABLE, name: str = "molecules.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_atoms_are_nodes_and_bonds_are_edges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = smiles_tables(table(tmp_path))
    assert "1 of 5 molecules of" in " ".join(capsys.readouterr().err.split())
    graphs = read_tables(tables)
    assert [graph.name for graph in graphs] == ["CCO", "[O-]C(=O)c1ccccc1", "CCCC", "[Na+].[Cl-]", "OCC"]
    assert [(graph.nodes, len(graph.edges)) for graph in graphs] == [(3, 4), (9, 18), (4, 6), (2, 0), (3, 4)]
    assert np.array_equal([g.target for g in graphs], [1.5, np.nan, 2.5, 3.5, 1.5], equal_nan=True)  # type: ignore[arg-type]
    words = columns_of(tables)
    assert words["node"].types == {
        "type_element": ["C", "Cl", "Na", "O"],
        "type_charge": ["+0", "+1", "-1"],
        "type_hydrogens": None,
        "type_place": ["aromatic", "chain"],
    }
    assert words["edge"].types == {"type_bond": ["aromatic", "double", "single"]}
    acid = graphs[1]
    assert acid.node_types is not None
    assert acid.node_types[0].tolist() == [3, 2, 0, 1]
    assert acid.node_types[4].tolist() == [0, 0, 1, 0]
    assert acid.edge_types is not None
    assert sorted(acid.edge_types[:, 0].tolist()) == [0] * 12 + [1] * 2 + [2] * 4
    assert widths(graphs).edge_types == (3,)


def test_any_column_may_be_asked_for_and_splits_are_kept(tmp_path: Path) -> None:
    path = str(table(tmp_path))
    found = load(path, "log P", 0.1)
    told = {split: [(graph.name, float(graph.target)) for graph in own] for split, own in found.items()}  # type: ignore[arg-type]
    assert told == {
        "train": [("CCO", -0.3), ("[O-]C(=O)c1ccccc1", 1.9)],
        "validation": [("CCCC", 2.9)],
        "test": [("[Na+].[Cl-]", -3.0)],
    }
    task: Graphs = Graphs.Config(data=path, target="log P").build()
    assert list(task._meaning["graph"].asked) == ["target_log P"]  # type: ignore[index]
    with pytest.raises(DataError, match="no column 'log p'; did you mean 'log P'"):
        load(path, "log p", 0.1)
    with pytest.raises(ConfigError, match="brings its own targets"):
        load("multisets", "log P", 0.1)


def test_lists_of_smiles_are_answered_about(tmp_path: Path) -> None:
    path = table(tmp_path, "CCO ethanol\n\nCCO again\nC\n", "new.smi")
    known = columns_of(smiles_tables(table(tmp_path)))
    graphs = to_answer(str(path), known)
    assert [(graph.name, graph.nodes) for graph in graphs] == [("CCO", 3), ("CCO (2)", 3), ("C", 1)]
    assert graphs[0].node_types is not None
    assert graphs[0].node_types[:, 0].tolist() == [0, 0, 3]
    table(tmp_path, "CCO\nCCBr\n", "new.smi")
    with pytest.raises(DataError, match=r"new\.smi, line 2: training knew no 'Br' in the column 'type_element'"):
        to_answer(str(path), known)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smiles,target\nCCO,1\nC(C,2\n", r"line 3: 'C\(C' is no molecule in SMILES"),
        ("smiles,target\nCCO,1\n,2\n", "line 3: '' is no molecule in SMILES"),
        ("smiles,target\n", "holds no rows"),
        ("smiles,target\nCCO\n", "line 2, has not as many entries"),
        ("smiles,target\nCCO,much\n", "line 2: 'much' in the column 'target' is no number"),
    ],
)
def test_what_is_no_molecule_is_answered_in_a_sentence(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load(str(table(tmp_path, text)), None, 0.1)


def test_other_tables_hold_no_smiles(tmp_path: Path) -> None:
    assert has_smiles(table(tmp_path, "a\tSMILES\nx\tCCO\n", "molecules.tsv"))
    assert not has_smiles(table(tmp_path, "source,target\n1,2\n", "edges.csv"))
    assert not has_smiles(table(tmp_path, "smiles,target\nC,1\n", "molecules.txt"))
    assert not has_smiles(tmp_path)
    (tmp_path / "broken.csv").write_bytes(b"\xff\xfe\x00")
    assert not has_smiles(tmp_path / "broken.csv")


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = table(tmp_path)
    assert len(smiles_tables(path)["graph"].rows) == 5
    path.write_text(TABLE + "more,CCCCC,1,1,\n")
    assert len(smiles_tables(path)["graph"].rows) == 6


def test_several_columns_may_be_asked_for(tmp_path: Path) -> None:
    text = "smiles,NR-AR,SR\nCCO,1,0\nCC,0,\nC,1,1\n"
    graphs = read_tables(smiles_tables(table(tmp_path, text), "NR-AR, SR"))
    assert np.array_equal([g.target for g in graphs], [[1, 0], [0, np.nan], [1, 1]], equal_nan=True)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no column 'SRR'; did you mean 'SR'"):
        smiles_tables(table(tmp_path, text), "NR-AR,SRR")
