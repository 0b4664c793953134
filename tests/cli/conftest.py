"""Commands as a person types them, in this process or in one of their own."""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from formarium import progress
from formarium.cli.main import main

TEXT = "".join(f"{number}: the quick brown fox jumps over the lazy dog. " for number in range(300))
COMMAND = [sys.executable, "-m", "formarium.cli.main"]


class Done(NamedTuple):
    """What a command left: its exit status and what it printed."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls the program in this process."""
    monkeypatch.setenv("COLUMNS", "200")

    def called(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["formarium", *map(str, arguments)])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        finally:
            progress.set_quiet(False)
        return Done(status, *capsys.readouterr())

    return called


@pytest.fixture
def refused(run: Run) -> Callable[..., str]:
    """Calls the program with bad input: the one clear paragraph that it answers with."""

    def called(*arguments: object) -> str:
        done = run(*arguments)
        assert done.status == 2, done
        assert done.out == ""
        assert "Traceback" not in done.err
        paragraph = done.err.strip()
        assert paragraph
        assert "\n\n" not in paragraph
        return " ".join(paragraph.split())

    return called


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def short(corpus: Path) -> list[str]:
    """Settings under which a training takes a moment."""
    pairs = {
        "task.corpus": corpus,
        "task.context": 16,
        "task.validation": 0.1,
        "task.evaluation_tokens": 320,
        "model.width": 16,
        "model.depth": 1,
        "model.heads": 2,
        "model.init_std": 0.02,
        "steps": 8,
        "batch_size": 4,
    }
    return [argument for name, value in pairs.items() for argument in ("-s", f"{name}={value}")]


@pytest.fixture(scope="session")
def trained(short: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that the program trained in a process of its own."""
    out = tmp_path_factory.mktemp("trained") / "model"
    command = [*COMMAND, "train", "language", "--out", str(out), *short]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # too quick for progress, and nothing to notice
    first, last = done.stdout.splitlines()
    assert first.startswith("8 steps, 512 tokens, ")
    assert "tokens/s; loss 5." in first
    assert last == f"model: {out.resolve()}"
    return out


@pytest.fixture
def answers(run: Run) -> Callable[..., list[dict[str, str]]]:
    """Calls ``predict``: the rows that it prints."""

    def called(*arguments: object) -> list[dict[str, str]]:
        done = run("predict", *arguments)
        assert done.status == 0, done
        return list(csv.DictReader(io.StringIO(done.out)))

    return called
