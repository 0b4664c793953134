"""The program ``formarium``: its commands, and what any of them does on an error."""

import io
import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from formarium import __version__
from formarium.cli import (
    bench,
    calibrate,
    cite,
    compare,
    convert,
    curvature,
    evaluate,
    expressivity,
    forecast,
    generate,
    papers,
    predict,
    predict_links,
    prove,
    rope_audit,
    show,
    site,
    train,
)
from formarium.errors import FormariumError


class _Program(TyperGroup):
    """The commands, and what any of them does where the user can mend what went wrong."""

    def invoke(self, ctx: Any) -> Any:
        # What is interrupted keeps its checkpoints; here only the message and the status are left to do.
        try:
            if int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0):
                _mute()  # of several processes the first one speaks
            returned = super().invoke(ctx)
            sys.stdout.flush()
            return returned
        except FormariumError as error:
            _end(f"error: {error}", _status(error))
        except KeyboardInterrupt:
            _end("interrupted; what is finished is kept, and the same command goes on from there", 130)
        except ModuleNotFoundError as error:
            _end(_missing(error), 2)
        except BrokenPipeError:
            # The reader of our output has gone, as in "formarium papers | head": not an error.
            _mute()
            sys.exit(0)
        except OSError as error:
            _end(f"error: {error}", 2)


app = typer.Typer(
    name="formarium",
    cls=_Program,
    help="Transformer papers kept alive: parts to import, models to run, claims put to the proof.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"formarium {__version__}")
        raise typer.Exit


@app.callback()
def _formarium(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notices.")] = False,
) -> None:
    if quiet:
        from formarium.progress import set_quiet

        set_quiet(True)


app.command()(papers.papers)
app.command()(show.show)
app.command()(prove.prove)
app.command()(compare.compare)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(generate.generate)
app.command()(convert.convert)
app.command()(bench.bench)
app.command()(calibrate.calibrate)
app.command()(cite.cite)
app.command()(rope_audit.rope_audit)
app.command()(forecast.forecast)
app.command()(predict.predict)
app.command()(predict_links.predict_links)
app.command()(curvature.curvature)
app.command()(expressivity.expressivity)
app.command()(site.site)


def main() -> None:
    """Runs a command: status 0 when all went well, 1 when there is nothing to show, 2 on bad input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows another, and no error
    app(prog_name="formarium")


def _status(error: FormariumError) -> int:
    return {"Interrupted": 130, "Diverged": 1}.get(type(error).__name__, 2)


def _missing(error: ModuleNotFoundError) -> str:
    """A package of an extra that is not installed; an import error of our own is raised as it is."""
    extras = {
        "tokenizers": "language",
        "transformers": "language",
        "datasets": "language",
        "pyarrow": "language",
        "pandas": "forecasting",
        "statsforecast": "ets",
        "PIL": "images",
        "sklearn": "images",
        "skimage": "images",
        "networkx": "graphs",
        "pykeen": "links",
        "tensorboard": "loggers",
        "wandb": "loggers",
    }
    package = (error.name or "").partition(".")[0]
    if package not in extras:
        raise error
    return f"error: this needs the package {package!r}: pip install 'formarium[{extras[package]}]'"


def _mute() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(message: str, status: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
