"""How a part, a model or a task is described, saved and built: frozen plain data that names what it builds.

A configurable class holds a nested frozen dataclass ``Config``. ``Thing.Config(order=2).build(width=64)`` makes the
thing; ``to_dict`` and ``from_dict`` carry it through JSON and YAML; ``parse`` reads ``"Thing(order=2)"`` from a command
line.
This module imports nothing heavy, so that configurations can be read and compared without torch.
"""

import ast
import contextlib
import dataclasses
import difflib
import functools
import hashlib
import importlib
import inspect
import json
import math
import numbers
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from formarium.errors import FormariumError

_ROOMS = ("formarium.parts", "formarium.models", "formarium.tasks", "formarium.training")


class ConfigError(FormariumError, ValueError):
    """A configuration that cannot be what was meant; the message is one sentence for the person who wrote it."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known name (case ignored), or the list of them, or nothing."""
    names = sorted(known)
    folded = {n.lower(): n for n in names}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    if not near and len(name) > 3:  # part of a longer name
        near = sorted((n for n in folded if name.lower() in n), key=len)
    if near:
        return f"; did you mean {folded[near[0]]!r}?"
    return f"; there are: {', '.join(names)}" if 0 < len(names) <= 40 and sum(map(len, names)) < 2000 else ""


def check_from_0(value: float, what: str) -> None:
    """ConfigError unless a setting is a finite number from 0 on."""
    if not 0 <= value < math.inf:
        raise ConfigError(f"{what} is a finite number from 0 on, not {value:g}")


@dataclass(frozen=True)
class BaseConfig:
    """Plain frozen data that knows the class it builds (``builds``, set when that class is defined)."""

    builds: ClassVar[type | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        taken = [name for name in inspect.get_annotations(cls) if name == "type" or hasattr(BaseConfig, name)]
        if taken:
            raise ConfigError(f"{cls.__qualname__}: no setting can be called {taken[0]!r}, which configurations use")
        if "__post_init__" in cls.__dict__:  # what a class checks itself comes behind what its hints say
            cls.__post_init__ = _after_hints(cls.__post_init__)  # type: ignore[method-assign]

    def __post_init__(self, *_: Any) -> None:
        """Brings each field to what its hint says, as ``replace`` does; ConfigError for what is no such value."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if hasattr(self, f.name)}
        for name, value in _fitted(type(self), values).items():
            object.__setattr__(self, name, value)  # the one moment at which a frozen one is written

    def build(self, **surroundings: Any) -> Any:
        """The configured object; of the surroundings its constructor gets those that it names.

        Raises ConfigError when the constructor needs something that the surroundings lack.
        """
        owner = type(self).builds
        if owner is None:
            return self
        parameters = inspect.signature(owner).parameters
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        given = {k: v for k, v in surroundings.items() if takes_all or k in parameters}
        missing = [
            name
            for name, p in parameters.items()
            if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
            if name not in given and name != "config"
        ]
        if missing:
            raise ConfigError(f"{owner.__name__} needs {', '.join(missing)}, which its surroundings here do not give")
        return owner(config=self, **given)

    @classmethod
    def name(cls) -> str:
        """The name under which ``resolve`` finds this configuration again."""
        owner = cls.builds or cls
        if owner.__module__.startswith("formarium."):
            return owner.__name__
        return f"{owner.__module__}:{owner.__qualname__}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready data: ``{"type": name, field: value, ...}``, nested configurations likewise."""
        fields = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"type": self.name(), **fields}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The configuration that ``to_dict`` described; ConfigError for unknown names, fields and misfit values."""
        config = config_from_dict(data, default=cls)
        if not isinstance(config, cls):
            raise ConfigError(f"{cls.name()} was expected, but the data describe a {type(config).name()}")
        return config

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields replaced; text, numbers and nested names are read as ``parse`` reads them."""
        for name in changes:
            _known_field(type(self), name)
        return dataclasses.replace(self, **changes)

    def override(self, changes: Mapping[str, Any]) -> Self:
        """A copy with dotted fields replaced: ``{"channel_mixer.hidden": 512, "position": "RoPE(base=500000)"}``."""
        result = self
        for path, value in changes.items():
            head, _, rest = path.partition(".")
            if rest:
                inner = getattr(result, _known_field(type(result), head))
                if not isinstance(inner, BaseConfig):
                    raise ConfigError(f"{path}: {head!r} of {type(result).name()} holds no configuration to change")
                value = inner.override({rest: value})
            result = result.replace(**{head: value})
        return result

    def digest(self) -> str:
        """Twelve hexadecimal digits that change when any field changes."""
        return digest(self.to_dict())

    def describe(self) -> str:
        """``Name(field=value)`` with the fields that differ from their defaults: what ``parse`` reads."""
        changed = [f"{name}={_text(value)}" for name, value in self.changed().items()]
        return f"{self.name()}({', '.join(changed)})" if changed else self.name()

    def changed(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        unset, found = dataclasses.MISSING, {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            default = f.default_factory() if f.default_factory is not unset else f.default
            if default is unset or value != _fitted(type(self), {f.name: default})[f.name]:
                found[f.name] = value
        return found


def _after_hints(check: Callable[..., None]) -> Callable[..., None]:
    """A class's own check, made of values that its hints allow; what it raises is a ConfigError."""

    @functools.wraps(check)
    def both(self: BaseConfig, *given: Any) -> None:
        BaseConfig.__post_init__(self)
        try:
            check(self, *given)
        except FormariumError:
            raise
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{self.name()}: {error}") from error

    return both


class Configurable:
    """Base of everything described by a configuration: gives each subclass its own ``Config`` type."""

    Config: ClassVar[type[BaseConfig]] = BaseConfig

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "Config" not in cls.__dict__:
            namespace = {"__module__": cls.__module__, "__qualname__": f"{cls.__qualname__}.Config"}
            cls.Config = dataclass(frozen=True)(type("Config", (cls.Config,), namespace))
        cls.Config.builds = cls


def digest(data: Any) -> str:
    """Twelve hexadecimal digits of JSON-ready data, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def look_up(name: str) -> Any:
    """What ``package.module:name`` names, a module of the present folder included; ConfigError if there is no such."""
    module_name, _, attribute = name.partition(":")
    here = os.getcwd()
    if here not in sys.path:  # behind all else that Python finds
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module_name)
    except (ImportError, ValueError, TypeError) as error:
        raise ConfigError(f"the module {module_name!r} cannot be imported ({error})") from None
    for step in attribute.split("."):
        if not hasattr(found, step):
            raise ConfigError(f"{module_name!r} has no {attribute!r}{suggestion(step, dir(found))}")
        found = getattr(found, step)
    return found


def resolve(name: str) -> type[BaseConfig]:
    """The configuration type of a part, model or task by its name, or of a user's class as ``package.module:Class``."""
    if ":" in name:
        found = look_up(name)
    else:
        rooms = [importlib.import_module(room) for room in _ROOMS]
        found = next((getattr(room, name) for room in rooms if name in dir(room) and name[:1].isupper()), None)
        if found is None:
            known = {n for room in rooms for n in dir(room) if n[:1].isupper()}
            raise ConfigError(f"nothing is called {name!r}{suggestion(name, known)}")
    if isinstance(found, type) and issubclass(found, BaseConfig):
        return found
    if isinstance(found, type) and issubclass(found, Configurable):
        return found.Config
    raise ConfigError(f"{name!r} is not a part, model or task that a configuration can build")


def config_from_dict(data: Mapping[str, Any], default: type[BaseConfig] | None = None) -> BaseConfig:
    """The configuration described by ``{"type": name, ...}``; without a type, one of ``default``."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"a configuration is a mapping of names to values, not {type(data).__name__}")
    if "type" in data:
        kind = resolve(str(data["type"]))
    elif default is not None:
        kind = default
    else:
        raise ConfigError("a configuration without 'type' does not say what it builds")
    return _made(kind, {k: v for k, v in data.items() if k != "type"})


def parse(text: str) -> BaseConfig:
    """The configuration written as ``Name`` or ``Name(field=value, other=Inner(...))``.

    Values are numbers, True, False, None, quoted texts, tuples, names and nested configurations; a text without quotes,
    commas, brackets and "=" needs no quotes.
    """
    value = _read(text)
    if isinstance(value, str):
        value = _made(resolve(value), {})
    if not isinstance(value, BaseConfig):
        raise ConfigError(f"{text!r} names nothing that can be built")
    return value


def _read(text: str) -> Any:
    """A number, True, False, None, a text, a tuple, a mapping, or a configuration with fields."""
    words = _words(text)
    try:
        value = _value(words, text)
    except RecursionError:
        raise _misshapen(text) from None
    if words:
        raise _misshapen(text)
    return value


_WORD = re.compile(
    r"""\s*(?:(?P<mapping>\{[^{}]*\})|(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<mark>[()\[\],=])|(?P<bare>[^'"()\[\],=]*[^'"()\[\],=\s]))"""
)


def _words(text: str) -> list[tuple[str | None, str]]:
    """Quoted texts, marks and bare words, each with its kind, in reverse: the next one to read is the last."""
    words, at = [], 0
    end = len(text.rstrip())
    while at < end:
        found = _WORD.match(text, at)
        if found is None:
            raise _misshapen(text)
        words.append((found.lastgroup, found.group(found.lastgroup or 0)))
        at = found.end()
    return words[::-1]


def _value(words: list[tuple[str | None, str]], text: str) -> Any:
    kind, word = words.pop() if words else (None, "")
    if kind in ("quoted", "mapping"):
        try:
            return ast.literal_eval(word)
        except (ValueError, SyntaxError):
            raise _misshapen(text) from None
    if kind == "mark" and word in "([":
        return _elements(words, ")" if word == "(" else "]", text)
    if kind != "bare":
        raise _misshapen(text)
    if not words or words[-1] != ("mark", "("):
        return _number_or_name(word)
    words.pop()
    fields: dict[str, Any] = {}
    while words and words[-1] != ("mark", ")"):
        name = words.pop()
        if name[0] != "bare" or not words or words.pop() != ("mark", "="):
            raise ConfigError(f"{text!r}: fields are given by name, as in {word}(field=value)")
        if name[1] in fields:
            raise ConfigError(f"{text!r} gives {name[1]!r} twice")
        fields[name[1]] = _value(words, text)
        _comma(words, ")", text)
    if not words:
        raise _misshapen(text)
    words.pop()
    return _made(resolve(word), fields)


def _elements(words: list[tuple[str | None, str]], closing: str, text: str) -> tuple[Any, ...]:
    elements = []
    while words and words[-1] != ("mark", closing):
        elements.append(_value(words, text))
        _comma(words, closing, text)
    if not words:
        raise _misshapen(text)
    words.pop()
    return tuple(elements)


def _comma(words: list[tuple[str | None, str]], closing: str, text: str) -> None:
    """Steps over the comma that stands between two values, where ``closing`` does not end them."""
    if words and words[-1] != ("mark", closing) and words.pop() != ("mark", ","):
        raise _misshapen(text)


def _number_or_name(word: str) -> Any:
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        value = ast.literal_eval(word)
        if value is None or isinstance(value, bool | int | float):
            return value
    return word


def _misshapen(text: str) -> ConfigError:
    return ConfigError(f"{text!r} is not of the form Name or Name(field=value, ...)")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseConfig):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(f"a configuration holds plain data, not {type(value).__name__}")


def _text(value: Any) -> str:
    if isinstance(value, BaseConfig):
        return value.describe()
    if isinstance(value, tuple):
        return f"({', '.join(_text(v) for v in value)}{',' if len(value) == 1 else ''})"
    return repr(value)


def _known_field(kind: type[BaseConfig], name: str) -> str:
    names = [f.name for f in dataclasses.fields(kind)]
    if name not in names:
        raise ConfigError(f"{kind.name()} has no setting {name!r}{suggestion(name, names)}")
    return name


def _made(kind: type[BaseConfig], values: Mapping[str, Any]) -> BaseConfig:
    for name in values:
        _known_field(kind, name)
    unset = dataclasses.MISSING
    needed = [f.name for f in dataclasses.fields(kind) if f.default is unset and f.default_factory is unset]
    absent = [name for name in needed if name not in values]
    if absent:
        raise ConfigError(f"{kind.name()} needs {', '.join(absent)}, as in {kind.name()}({absent[0]}=...)")
    return kind(**values)


def _fitted(kind: type[BaseConfig], values: Mapping[str, Any]) -> dict[str, Any]:
    hints = _hints(kind)
    return {name: _fit(hints[name], value, f"{name} of {kind.name()}") for name, value in values.items()}


_all_hints = functools.cache(typing.get_type_hints)


def _hints(kind: type[BaseConfig]) -> dict[str, Any]:
    """The hint of each field; Any for one that cannot be looked up, as of a type that only type checkers import."""
    with contextlib.suppress(NameError, AttributeError, TypeError):
        return _all_hints(kind)  # type: ignore[arg-type]  # a class can be hashed
    found: dict[str, Any] = {}
    for owner in reversed(kind.__mro__):
        for name, hint in inspect.get_annotations(owner).items():
            try:
                found[name] = typing.get_type_hints(
                    types.SimpleNamespace(__annotations__={name: hint}),
                    vars(sys.modules[owner.__module__]),
                    vars(owner).copy(),
                )[name]
            except (NameError, AttributeError, TypeError):
                found[name] = Any
    return found


def _fit(hint: Any, value: Any, what: str) -> Any:
    """``value`` as the type hint wants it (text parsed, lists to tuples, names to configurations), or ConfigError."""
    reason: ConfigError | None = None
    for option in _options(hint, value):
        try:
            return _fit_one(option, value, what)
        except _Misfit:  # within a tuple: the whole of it is told
            continue
        except ConfigError as error:
            reason = reason or error
        except (TypeError, ValueError, OverflowError, SyntaxError, MemoryError, RecursionError):
            continue
    if reason is not None:
        raise reason
    wanted = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
    raise _Misfit(f"{what} must be {'a configuration' if hint is BaseConfig else wanted}, not {value!r}")


class _Misfit(ConfigError):
    """A value of another kind than its hint says."""


def _options(hint: Any, value: Any) -> tuple[Any, ...]:
    """What a hint allows, in the order in which a value is tried as each."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return (hint,)

    def rank(option: Any) -> int:
        # The texts "none" and "Name(...)" would otherwise be taken as they are.
        if option is type(None):
            return 0
        named = isinstance(option, type) and issubclass(option, BaseConfig) and option is not BaseConfig
        return 1 if named and isinstance(value, str) and value.partition("(")[0].strip() == option.name() else 2

    return tuple(sorted(typing.get_args(hint), key=rank))


def _fit_one(hint: Any, value: Any, what: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is typing.Final:
        return _fit(inner[0], value, what)
    if isinstance(hint, typing.NewType):
        return _fit(hint.__supertype__, value, what)
    if hint is type(None):
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null")):
            return None
        raise TypeError
    if isinstance(hint, type) and issubclass(hint, BaseConfig):
        return _fit_config(hint, value)
    if origin is typing.Literal:
        return _fit_literal(inner, value, what)
    if origin is tuple:
        if isinstance(value, str):
            value = _read(value)
        if not isinstance(value, tuple | list):
            raise TypeError
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_fit(inner[0], v, f"each element of {what}") for v in value)
        if len(inner) != len(value):
            raise TypeError
        return tuple(_fit(kind, v, f"each element of {what}") for kind, v in zip(inner, value, strict=True))
    if hint is bool:
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if isinstance(value, bool):
            return value
        raise TypeError
    if hint in (int, float):
        if isinstance(value, bool):
            raise TypeError
        if isinstance(value, str):
            value = float(value) if hint is float else ast.literal_eval(value)
        if hint is float and isinstance(value, numbers.Real):
            return float(value)
        if hint is int and isinstance(value, numbers.Real) and value == math.floor(value):
            return math.floor(value)
        raise TypeError
    if hint is str and isinstance(value, str):
        return str.__str__(value)  # plain, where it is of a subclass
    kind = origin or hint
    if kind is dict and isinstance(value, Mapping):
        kinds = inner or (Any, Any)
        items = value.items()
        return {_fit(kinds[0], k, f"a name in {what}"): _fit(kinds[1], v, f"{k!r} of {what}") for k, v in items}
    if kind in (list, Sequence):
        if not isinstance(value, tuple | list):
            raise TypeError
        return type(value)(_fit(inner[0], v, f"each element of {what}") for v in value) if inner else value
    try:
        fits = isinstance(value, kind)
    except TypeError:  # a hint that nothing can be held to, as a type variable
        return value
    if not fits:
        raise TypeError
    return value


def _fit_config(hint: type[BaseConfig], value: Any) -> BaseConfig:
    try:
        if isinstance(value, type) and issubclass(value, BaseConfig | Configurable):
            value = _made(value if issubclass(value, BaseConfig) else value.Config, {})
        elif isinstance(value, str):
            value = parse(value)
        elif isinstance(value, Mapping):
            value = config_from_dict(value, default=None if hint is BaseConfig else hint)
    except _Misfit as error:  # of a setting of its own, which says more than that it does not fit
        raise ConfigError(str(error)) from None
    if not isinstance(value, hint):
        raise TypeError
    return value


def _fit_literal(options: Sequence[Any], value: Any, what: str) -> Any:
    """The option that a value equals, or a text names."""
    for option in options:
        if isinstance(value, bool) == isinstance(option, bool) and value == option:
            return option
    if not isinstance(value, str):
        raise TypeError
    named = {str(option): option for option in options}
    if value not in named:
        raise ConfigError(f"{value!r} is not one of {', '.join(named)} ({what})")
    return named[value]
