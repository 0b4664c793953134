"""Progress that a person sees: a bar on a terminal, a line now and then elsewhere, nothing for what is quick."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[..., None]
_LINE_EVERY = 15.0

console = Console(stderr=True, highlight=False)
_quiet = False


def set_quiet(quiet: bool) -> None:
    """Turns all progress and notices off, or on again."""
    global _quiet
    _quiet = quiet


def notice(text: str) -> None:
    """One line about something the user should know, on standard error."""
    if not _quiet:
        console.print(f"[dim]{text}[/dim]" if console.is_terminal else text, soft_wrap=True)


@contextmanager
def progress(description: str, total: float | None, start: int = 0) -> Iterator[Advance]:
    """Gives a function to call as ``advance(amount, note="loss 2.31")`` while work of ``total`` is done."""
    if _quiet:
        yield lambda amount=1, note="": None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console) as bar:
            task = bar.add_task(description, total=total, completed=start, note="")
            yield lambda amount=1, note="": bar.update(task, advance=amount, note=note)
    else:
        yield _lines(description, total, start)


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
