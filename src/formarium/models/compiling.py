"""``torch.compile`` for processes in which many models are compiled, as when variants are compared."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from formarium.models.model import Model

_MODELS = 64
F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, dynamic: bool | None = None) -> F:
    """A module or a function through torch.compile.

    A model that names regions is returned itself with those compiled in place, for inputs of any shape: layers that are
    alike share what is made of the first, so that compiling takes a minute where unrolling them all takes ten.

    All models of a class share one compiled place, which takes eight of them unless told otherwise, and then falls back
    to running uncompiled, with no more than a warning.
    """
    import torch._dynamo

    settings = torch._dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, _MODELS)
    regions = function.regions() if isinstance(function, Model) else []
    for region in regions:
        region.compile(dynamic=True)
    return function if regions else cast(F, torch.compile(function, dynamic=dynamic))
