"""``torch.compile`` for processes in which many models are compiled, as when variants are compared."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

_MODELS = 64
F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, dynamic: bool | None = None) -> F:
    """A module or a function through torch.compile.

    All models of a class share one compiled place, which takes eight of them unless told otherwise, and then falls back
    to running uncompiled, with no more than a warning.
    """
    import torch._dynamo

    settings = torch._dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, _MODELS)
    return cast(F, torch.compile(function, dynamic=dynamic))
