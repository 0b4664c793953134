"""A task and a model so small that a training takes a moment."""

from collections.abc import Callable
from pathlib import Path

import pytest

from formarium.models import Decoder
from formarium.tasks import Language

TEXT = "".join(f"{number}: the quick brown fox jumps over the lazy dog. " for number in range(300))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def task(corpus: Path) -> Language:
    built: Language = Language.Config(corpus=str(corpus), context=8, validation=0.1, evaluation_tokens=160).build()
    return built


@pytest.fixture(scope="session")
def small(task: Language) -> Callable[..., Decoder.Config]:
    """A decoder for the task, with settings of the caller's."""

    def configured(**changes: object) -> Decoder.Config:
        base = Decoder.Config(vocabulary=257, width=16, depth=1, heads=2, max_length=16)
        return base.override(changes)

    return configured
