"""Progress on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from formarium import progress


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal shows."""
    shown = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=shown, force_terminal=True, width=100))
    return shown


def test_work_within_other_work_is_shown_beside_it(screen: io.StringIO) -> None:
    with progress.progress("outer", 2) as outer:
        for _ in progress.tracked(range(3), "inner"):
            assert progress._live is not None
            assert [task.description for task in progress._live.tasks] == ["outer", "inner"]
        outer(1, "half")
        assert progress._live is not None
        assert [(task.description, task.completed) for task in progress._live.tasks] == [("outer", 1)]
        outer(1, "whole")
    assert progress._live is None
    assert "outer" in screen.getvalue()
    assert "whole" in screen.getvalue()


def test_what_fails_within_leaves_the_bar_of_the_other(screen: io.StringIO) -> None:
    with progress.progress("outer", 2):
        with pytest.raises(ValueError, match="no"), progress.progress("inner", 1):
            raise ValueError("no")
        assert progress._live is not None
        assert len(progress._live.tasks) == 1
    assert progress._live is None


def test_hidden_progress_lets_notices_through(screen: io.StringIO) -> None:
    with progress.hidden():
        assert list(progress.tracked([1, 2], "inner")) == [1, 2]
        progress.notice("by the way")
    with progress.hidden(False):
        assert not screen.getvalue().count("inner")
        list(progress.tracked(iter([1]), "inner", 1))
    assert screen.getvalue().count("by the way") == 1
    assert "inner" in screen.getvalue()
