import json
from pathlib import Path

import numpy as np
import pytest

from formarium.errors import DataError
from formarium.tasks.forecasting.protocols import borders
from formarium.tasks.forecasting.windows import Windows
from formarium.tasks.task import Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def sizes(protocol: str, rows: int, history: int, horizon: int) -> list[int]:
    splits = borders(protocol, rows)
    table = np.zeros((rows, 1), dtype=np.float32)
    return [len(Windows(table[splits.rows(split, history)], history, horizon)) for split in SPLITS]


@pytest.mark.parametrize(
    ("protocol", "rows", "horizon", "expected"),
    [
        ("ett-hour", 17420, 96, [8449, 2785, 2785]),
        ("ett-hour", 17420, 192, [8353, 2689, 2689]),
        ("ett-quarter-hour", 69680, 96, [34369, 11425, 11425]),
        ("70-10-20", 7588, 96, [5120, 665, 1422]),  # exchange rates
        ("70-10-20", 52696, 96, [36696, 5175, 10444]),  # weather
        ("70-10-20", 26304, 96, [18221, 2537, 5165]),  # electricity
        ("70-10-20", 17544, 96, [12089, 1661, 3413]),  # traffic
        ("70-10-20", 52560, 96, [36601, 5161, 10417]),  # solar
        ("pems", 26208, 12, [15617, 5135, 5135]),
        ("pems", 16992, 12, [10088, 3291, 3292]),
        ("pems", 28224, 12, [16827, 5538, 5538]),
        ("pems", 17856, 12, [10606, 3464, 3465]),
    ],
)
def test_window_counts_of_the_benchmarks(protocol: str, rows: int, horizon: int, expected: list[int]) -> None:
    assert sizes(protocol, rows, 96, horizon) == expected


def test_validation_and_test_borrow_history_and_pems_does_not() -> None:
    splits = borders("ett-hour", 17420)
    assert splits.rows("train", 96) == slice(0, 8640)
    assert splits.rows("validation", 96) == slice(8640 - 96, 11520)
    assert splits.rows("test", 96) == slice(11520 - 96, 14400)
    assert borders("pems", 100).rows("test", 12) == slice(80, 100)


def test_shares_of_any_table() -> None:
    splits = borders("60-20-20", 11)
    assert (splits.train, splits.validation, splits.test) == (slice(0, 6), slice(6, 9), slice(9, 11))


@pytest.mark.parametrize(
    ("protocol", "message"), [("70-20-20", "there is no protocol"), ("etth", "there is no protocol")]
)
def test_refuses_unknown_protocols(protocol: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        borders(protocol, 100)


def test_refuses_tables_too_short_for_the_protocol() -> None:
    with pytest.raises(DataError, match="takes 14400 rows; the table has 1000"):
        borders("ett-hour", 1000)


def test_windows_of_real_benchmarks_are_the_published_ones(data: Path) -> None:
    """Held to tensors that the official loaders produced, where those lie beside the checkout."""
    folder = Path(__file__).parents[4] / "shared" / "golden" / "itransformer"
    if not folder.is_dir():
        pytest.skip("needs the folder of golden tensors")
    import torch
    from safetensors.torch import load_file

    from formarium import official

    cases = [c for c in json.loads((folder / "cases.json").read_text())["cases"] if c["module"] == "forecast_windows"]
    assert cases
    for case in cases:
        tensors = load_file(folder / case["file"])
        run = official.load("itransformer", "forecast_windows", case["config"], {})
        got = run(**{name: tensors[key] for name, key in case["inputs"].items()})
        for name, key in case["outputs"].items():
            torch.testing.assert_close(got[name], tensors[key], atol=case["atol"], rtol=case["rtol"])
