"""Files that are there whole or not at all, and where things are kept on this machine."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from formarium.errors import DataError, FormariumError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` (a file, or a folder that the caller makes); renamed to it if all goes well.

    Raises FormariumError, leaving what was there before, when the disk is full or the place cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir() and path.is_dir():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old", dir=path.parent))
            path.rename(old / path.name)
            temporary.rename(path)
            shutil.rmtree(old)
        elif temporary.exists():
            os.replace(temporary, path)
    except OSError as error:
        raise FormariumError(f"cannot write {path}: {error.strerror or error}; nothing was changed there") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(OSError):
                temporary.unlink()


def check_folder(path: Path) -> None:
    """Raises FormariumError where a folder cannot be made or written to: asked before long work, not after it."""
    path = Path(path).expanduser().absolute()
    above = next(p for p in (path, *path.parents) if p.exists())
    if not above.is_dir():
        raise FormariumError(f"cannot write into {path}: {above} is a file; name another folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise FormariumError(f"cannot write into {path}: no permission in {above}; name another folder")


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Writes readable JSON whole or not at all."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file; DataError, naming ``what``, if it is absent or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"there is no {what} at {path}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"the {what} at {path} cannot be read: {error}") from None


def read_object(path: Path, what: str) -> dict[str, Any]:
    """The names and values of a JSON file; DataError, naming ``what``, if it is absent, broken or another kind."""
    found = read_json(path, what)
    if not isinstance(found, dict):
        raise DataError(f"the {what} at {path} is not names and values, but of the kind {type(found).__name__}")
    return found


def cache_folder(*parts: str) -> Path:
    """Where things made once are kept: below ``FORMARIUM_CACHE``, else the user's cache."""
    root = os.environ.get("FORMARIUM_CACHE")
    base = Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "formarium"
    return base.joinpath(*parts)


def data_folder() -> Path | None:
    """The folder of data sets that the user names with ``FORMARIUM_DATA``; None where it is unset."""
    root = os.environ.get("FORMARIUM_DATA")
    return Path(root) if root else None
