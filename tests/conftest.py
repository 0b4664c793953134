"""What all tests share: one thread, a cache of their own, and the same random numbers each time."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("tests", deadline=None, max_examples=25, derandomize=True, print_blob=True)
settings.load_profile("tests")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from, or left in, the user's cache; programs that tests start inherit it."""
    before = os.environ.get("FORMARIUM_CACHE")
    os.environ["FORMARIUM_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["FORMARIUM_CACHE"]
    else:
        os.environ["FORMARIUM_CACHE"] = before


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data sets: ``FORMARIUM_DATA``, or the one beside the checkout; skips without one."""
    named = os.environ.get("FORMARIUM_DATA")
    folder = Path(named) if named else SHARED_DATA
    if not folder.is_dir():
        pytest.skip("needs the folder of real data sets, which FORMARIUM_DATA can name")
    return folder


@pytest.fixture
def _brec(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pairs of BREC from the folder of real data sets; skips where it has none."""
    from formarium.tasks.graphs import brec

    if not list((data / "brec").glob("brec_pairs.tsv*")):
        pytest.skip("needs the pairs of BREC below FORMARIUM_DATA")
    monkeypatch.setenv("FORMARIUM_DATA", str(data))
    brec.pairs.cache_clear()
