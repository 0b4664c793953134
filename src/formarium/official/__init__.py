"""The door for official tensors: published modules, by paper and name, computed by our parts under their weights.

``load`` is how every paper is held to its official code. One file a paper; each lists its modules in ``MODULES``, and
where whole checkpoints were published ``convert`` turns one into a model of ours.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from formarium.config import suggestion
from formarium.errors import FormariumError


def load(paper: str, module: str, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Callable[..., Any]:
    """A callable that maps a module's official inputs, by name, to its outputs: one tensor, or a dict by name.

    paper: slug. module and config: the official module and its settings, under official names. state: tensors under
    their official names; those that the module does not need are ignored. Gradients flow to the inputs. Raises
    FormariumError for an unknown paper or module, and for a state that lacks a tensor or has one of another shape.
    """
    room = _room(paper)
    modules: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Tensor]], Callable[..., Any]]] = room.MODULES
    if module not in modules:
        raise FormariumError(f"{paper} has no official module {module!r}{suggestion(module, modules)}")
    try:
        return modules[module](config, state)
    except KeyError as error:
        raise FormariumError(f"{paper}/{module} needs {error}, which its config and state do not have") from error


def convert(paper: str, weights: Path, out: Path) -> None:
    """Turns a published checkpoint (a file or a folder) into a model folder of ours, whole or not at all.

    Raises FormariumError for a paper without published checkpoints and for weights that are not of it.
    """
    room = _room(paper)
    if not hasattr(room, "convert"):
        raise FormariumError(f"no converter for whole checkpoints of {paper!r}{_convertible()}")
    room.convert(Path(weights), Path(out))


def papers() -> list[str]:
    """The slugs of all papers that have an adapter."""
    names = (info.name for info in pkgutil.iter_modules(__path__) if info.name != "adapter")
    return sorted(name.replace("_", "-") for name in names)


def _room(paper: str) -> ModuleType:
    known = papers()
    if paper not in known:
        raise FormariumError(f"there is no official adapter for {paper!r}{suggestion(paper, known)}")
    return importlib.import_module(f"{__name__}.{paper.replace('-', '_')}")


def _convertible() -> str:
    names = [paper for paper in papers() if hasattr(_room(paper), "convert")]
    return f"; there are: {', '.join(names)}" if names else ""
