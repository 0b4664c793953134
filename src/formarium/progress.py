"""Progress that a person sees: a bar on a terminal, a line now and then elsewhere, nothing for what is quick."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[..., None]
T = TypeVar("T")
_LINE_EVERY = 15.0

console = Console(stderr=True, highlight=False)
_quiet = False
_hidden = False
_live: Progress | None = None  # what is drawn now


def set_quiet(quiet: bool) -> None:
    """Turns all progress and notices off, or on again."""
    global _quiet
    _quiet = quiet


def notice(text: str) -> None:
    """One line about something the user should know, on standard error."""
    if not _quiet:
        console.print(f"[dim]{text}[/dim]" if console.is_terminal else text, soft_wrap=True)


@contextmanager
def hidden(hide: bool = True) -> Iterator[None]:
    """No progress is shown meanwhile; notices are."""
    global _hidden
    before, _hidden = _hidden, _hidden or hide
    try:
        yield
    finally:
        _hidden = before


@contextmanager
def progress(description: str, total: float | None, start: int = 0) -> Iterator[Advance]:
    """Gives a function to call as ``advance(amount, note="loss 2.31")`` while work of ``total`` is done."""
    if _quiet or _hidden:
        yield lambda amount=1, note="": None
    elif console.is_terminal:
        inner = _live is not None
        with _bars() as bars:
            task = bars.add_task(description, total=total, completed=start, note="")
            try:
                yield lambda amount=1, note="": bars.update(task, advance=amount, note=note)
            finally:
                if inner:
                    bars.remove_task(task)
    else:
        yield _lines(description, total, start)


def tracked(items: Iterable[T], description: str, total: float | None = None) -> Iterator[T]:
    """The items, with progress; total: how many there are, where that is not known of them."""
    with progress(description, len(items) if total is None and isinstance(items, Sized) else total) as advance:
        for item in items:
            yield item
            advance()


@contextmanager
def _bars() -> Iterator[Progress]:
    """What is drawn now, for one bar more; else a new one, as a terminal has room for one."""
    global _live
    if _live is not None:
        yield _live
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console) as bars:
        _live = bars
        try:
            yield bars
        finally:
            _live = None


def _lines(description: str, total: float | None, start: float) -> Advance:
    done, began = start, time.monotonic()
    last = began

    def advance(amount: float = 1, note: str = "") -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last >= _LINE_EVERY:
            last = now
            share = f"{done / total:.0%}" if total else f"{done:g}"
            left = f", about {_clock((total - done) * (now - began) / (done - start))} left" if total else ""
            print(f"{description}: {share}{left} {note}".rstrip(), file=sys.stderr, flush=True)

    return advance


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
