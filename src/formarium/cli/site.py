"""``formarium site``: all papers and verdicts as static pages."""

from pathlib import Path
from typing import Annotated

import typer


def site(
    out: Annotated[Path, typer.Option(help="Folder for the pages.")] = Path("formarium-site"),
    records: Annotated[list[Path] | None, typer.Option(help="A folder of your own records; may be repeated.")] = None,
) -> None:
    """Write all papers and verdicts as static pages, with search and filters, that need no server.

    Example: [bold]formarium site --out public --records my-records[/bold]
    """
    from formarium.errors import DataError
    from formarium.site.pages import write_site

    for folder in records or ():
        if not folder.is_dir():
            raise DataError(f"there is no folder of records at {folder}")
    pages = write_site(out, records or ())
    print(f"{pages} pages: {(out / 'index.html').absolute()}")
