"""Configurations: what they build, every form that carries them, and what a person reads where they are wrong."""

import contextlib
import dataclasses
import json
import math
import string
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NewType, Protocol

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.config import (
    BaseConfig,
    ConfigError,
    Configurable,
    config_from_dict,
    digest,
    parse,
    resolve,
    suggestion,
)
from formarium.errors import FormariumError
from formarium.models import Decoder, RotatE
from formarium.parts import FlowAttention, RMSNorm
from formarium.training import Machine, Training

Width = NewType("Width", int)


class Readable(Protocol):
    def read(self) -> str: ...


class Engine(Configurable):
    """A user's own class, outside of the package."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        power: float = 1.0
        label: str = "plain"
        gears: tuple[int, ...] = (1, 2)
        pair: tuple[str, float] = ("a", 0.5)
        on: bool = False
        limit: int | None = None
        kind: Literal["otto", "diesel"] = "otto"
        inner: BaseConfig | None = None
        extra: dict[str, float] = field(default_factory=dict)

    def __init__(self, size: int, colour: str = "red", config: Config | None = None) -> None:
        self.size, self.colour, self.config = size, colour, config or self.Config()


class Turbo(Engine):
    """A subclass without settings of its own."""


class Sealed(Configurable):
    @dataclass(frozen=True)
    class Config(BaseConfig):
        must: int
        may: int = 2


class Greedy(Configurable):
    def __init__(self, config: Any = None, **everything: Any) -> None:
        self.everything = everything


ENGINE = f"{__name__}:Engine"
texts = st.text(max_size=12)
engines = st.builds(
    Engine.Config,
    power=st.floats(allow_nan=False),
    label=texts,
    gears=st.lists(st.integers(-(10**20), 10**20), max_size=4).map(tuple),
    pair=st.tuples(texts, st.floats(allow_nan=False, allow_infinity=False)),
    on=st.booleans(),
    limit=st.none() | st.integers(),
    kind=st.sampled_from(["otto", "diesel"]),
    extra=st.dictionaries(texts.filter(lambda text: not set("{}") & set(text)), st.integers(), max_size=2),
    inner=st.none() | st.builds(Engine.Config, label=texts) | st.builds(Turbo.Config, power=st.floats(-1, 1)),
)


# ---------------------------------------------------------------------------------------------------------- building


def test_surroundings_go_to_those_who_name_them() -> None:
    built = Engine.Config(power=3).build(size=2, colour="blue", depth=7)
    assert (built.size, built.colour, built.config.power) == (2, "blue", 3)
    assert Engine.Config().build(size=1).colour == "red"
    assert Greedy.Config().build(size=1, depth=7).everything == {"size": 1, "depth": 7}
    with pytest.raises(ConfigError, match="Engine needs size, which its surroundings here do not give"):
        Engine.Config().build(colour="blue")


def test_each_subclass_has_a_configuration_that_builds_it() -> None:
    assert Turbo.Config is not Engine.Config
    assert type(Turbo.Config(power=2.0).build(size=1)) is Turbo
    assert type(Engine.Config().build(size=1)) is Engine
    assert Turbo.Config(power=2.0) != Engine.Config(power=2.0)
    assert {f.name for f in dataclasses.fields(Turbo.Config)} == {f.name for f in dataclasses.fields(Engine.Config)}


@pytest.mark.parametrize("name", ["name", "type", "digest"])
def test_a_setting_that_would_hide_a_method_is_refused_where_it_is_written(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no setting can be called '{name}'"):
        type("Config", (BaseConfig,), {"__annotations__": {name: int}, name: 3})


def test_data_that_build_nothing_are_their_own_object() -> None:
    assert Training(steps=3).build() == Training(steps=3)


def test_configurations_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Training().steps = 3  # type: ignore[misc]


# ------------------------------------------------------------------------------------------------------- round trips


@given(engines)
def test_every_form_gives_the_same_configuration_back(config: Engine.Config) -> None:
    assert config_from_dict(config.to_dict()) == config
    assert config_from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert parse(config.describe()) == config
    assert Engine.Config.from_dict(config.to_dict()) == config
    assert config.replace() == config


@given(engines, engines)
def test_digests_tell_configurations_apart(one: Engine.Config, other: Engine.Config) -> None:
    assert (one.digest() == other.digest()) == (one.to_dict() == other.to_dict())
    assert len(one.digest()) == 12
    assert set(one.digest()) <= set(string.hexdigits.lower())


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [1, {"c": 2, "d": 3}]}) == digest({"b": [1, {"d": 3, "c": 2}], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    # A digest names things on disk: it must be the same tomorrow and on other machines.
    assert digest({"a": 1}) == "f9d86028c6e0"


def test_describing_names_what_differs() -> None:
    assert Training().describe() == "Training"
    assert Training(steps=3, clip=None).describe() == "Training(steps=3, clip=None)"
    nested = Decoder.Config().override({"position.base": 5e5, "token_mixer": "Attention(window=4)"})
    assert nested.describe() == "Decoder(token_mixer=Attention(window=4), position=RoPE(base=500000.0))"
    assert Engine.Config(gears=(3,)).describe() == f"{ENGINE}(gears=(3,))"
    assert Engine.Config(gears=()).describe() == f"{ENGINE}(gears=())"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Training", Training()),
        (" Training ( steps = 5 , clip=None ) ", Training(steps=5, clip=None)),
        ("Training(steps=1e3, learning_rate=1, compile=True)", Training(steps=1000, learning_rate=1.0, compile=True)),
        ("Training(learning_rate=inf, weight_decay=-0.5)", Training(learning_rate=math.inf, weight_decay=-0.5)),
        ("Training(schedule=wsd)", Training(schedule="wsd")),
        ("Training(schedule='wsd',)", Training(schedule="wsd")),
        ("Machine(devices=auto)", Machine()),
        ("Machine(devices=2)", Machine(devices=2)),
        (f"{ENGINE}(gears=(1, 2, 3))", Engine.Config(gears=(1, 2, 3))),
        (f"{ENGINE}(gears=[4])", Engine.Config(gears=(4,))),
        (f"{ENGINE}(gears=())", Engine.Config(gears=())),
        (f"{ENGINE}(extra={{'a': 1}}, gears=())", Engine.Config(extra={"a": 1}, gears=())),
        (f"{ENGINE}(pair=(b, 1))", Engine.Config(pair=("b", 1.0))),
        (f"{ENGINE}(label='it\\'s, (so)', on=False)", Engine.Config(label="it's, (so)")),
        (f"{ENGINE}(inner={ENGINE})", Engine.Config(inner=Engine.Config())),
        (f"{ENGINE}(inner={__name__}:Turbo(power=2))", Engine.Config(inner=Turbo.Config(power=2.0))),
        (f"{ENGINE}(label=texts/a-b.txt)", Engine.Config(label="texts/a-b.txt")),
        (f"{ENGINE}(label=hf:owner/set)", Engine.Config(label="hf:owner/set")),
        (f"{ENGINE}(label=two words, on=True)", Engine.Config(label="two words", on=True)),
    ],
)
def test_what_a_person_types_is_read(text: str, meant: BaseConfig) -> None:
    assert parse(text) == meant


# --------------------------------------------------------------------------------------------------------- overriding


def test_overriding_reaches_into_nested_configurations() -> None:
    base = Decoder.Config()
    changed = base.override({"depth": "6", "channel_mixer.hidden": "512", "position": "ALiBi", "kv_heads": "none"})
    assert (changed.depth, changed.kv_heads) == (6, None)
    assert changed.channel_mixer.hidden == 512  # type: ignore[attr-defined]
    assert changed.position.name() == "ALiBi"
    assert base == Decoder.Config()
    assert changed.override({}) == changed


def test_tuples_are_overridden_as_they_are_typed() -> None:
    parts = parse("Combined").override({"parts": "(Learned, RoPE(base=5e5))"}).parts  # type: ignore[attr-defined]
    assert [part.describe() for part in parts] == ["Learned", "RoPE(base=500000.0)"]
    assert Engine.Config().override({"gears": "(3, 4)"}).gears == (3, 4)
    assert Engine.Config().override({"gears": "[]"}).gears == ()
    with pytest.raises(ConfigError, match=r"gears of .* must be tuple\[int, ...\], not '3'"):
        Engine.Config().override({"gears": "3"})
    with pytest.raises(ConfigError, match=r"'\(3' is not of the form"):
        Engine.Config().override({"gears": "(3"})


@given(st.integers(1, 10**6), st.floats(1e-6, 1e6), st.booleans())
def test_text_and_values_override_alike(steps: int, rate: float, compiled: bool) -> None:
    values = {"steps": steps, "learning_rate": rate, "compile": compiled}
    as_text = {name: str(value) for name, value in values.items()}
    assert Training().override(as_text) == Training().override(values) == Training(**values)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not of the form Name or Name(field=value, ...)"),
        ("Training(steps=3", "is not of the form"),
        ("Training(steps=3))", "is not of the form"),
        ("Training(steps=3)x", "is not of the form"),
        ("Training(steps=)", "is not of the form"),
        ("Training(steps=(3)", "is not of the form"),
        ("Training(steps=3 clip=2)", "is not of the form"),
        ("Training(schedule='wsd)", "is not of the form"),
        ("Training(3)", "'Training(3)': fields are given by name, as in Training(field=value)"),
        ("Training(steps=3, steps=4)", "gives 'steps' twice"),
        ("Trainig", "nothing is called 'Trainig'; did you mean 'Training'?"),
        ("training", "did you mean 'Training'?"),
        ("(1, 2)", "names nothing that can be built"),
        ("'Training'(steps=3)", "is not of the form"),
        ("Training(step=3)", "Training has no setting 'step'; did you mean 'steps'?"),
        ("Training(zzz=3)", "Training has no setting 'zzz'; there are: accumulation, batch_size"),
        ("Training(steps=2.5)", "steps of Training must be int, not 2.5"),
        ("Training(steps=many)", "steps of Training must be int, not 'many'"),
        ("Training(steps=1 2)", "steps of Training must be int, not '1 2'"),
        ("Training(steps=1e400)", "steps of Training must be int, not inf"),
        ("Training(steps=True)", "steps of Training must be int, not True"),
        ("Training(steps=[1])", "steps of Training must be int, not (1,)"),
        ("Training(compile=yes)", "compile of Training must be bool, not 'yes'"),
        ("Training(clip=(1,))", "clip of Training must be float | None, not (1,)"),
        ("Training(schedule=cosin)", "'cosin' is not one of cosine, linear, wsd, constant, halving"),
        ("Training(schedule=3)", "schedule of Training must be"),
        ("Decoder(position=1)", "position of Decoder must be a configuration, not 1"),
        ("Decoder(position=RoPe)", "nothing is called 'RoPe'; did you mean 'RoPE'?"),
        ("Decoder(position=RoPE(bas=1))", "RoPE has no setting 'bas'; did you mean 'base'?"),
        ("Decoder(stem=RoPE)", "stem of Decoder must be Config"),
        (f"{ENGINE}(pair=(a, b))", f"pair of {ENGINE} must be tuple[str, float], not ('a', 'b')"),
        (f"{ENGINE}(extra={{a}})", "is not of the form"),
        (f"{ENGINE}(extra=3)", f"extra of {ENGINE} must be dict[str, float], not 3"),
        (f"{ENGINE}(pair=(a,))", f"pair of {ENGINE} must be tuple[str, float], not ('a',)"),
        (f"{__name__}:Sealed", f"{__name__}:Sealed needs must, as in {__name__}:Sealed(must=...)"),
        (f"{__name__}:Sealed(may=3)", "needs must"),
        ("nowhere_at_all:Thing", "the module 'nowhere_at_all' cannot be imported"),
        (":Thing", "the module '' cannot be imported"),
        (f"{__name__}:Engin", f"'{__name__}' has no 'Engin'; did you mean 'Engine'?"),
        ("os:path", "'os:path' is not a part, model or task that a configuration can build"),
        (f"{__name__}:engines", "is not a part, model or task"),
    ],
)
def test_what_cannot_be_meant_is_answered_in_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet=string.printable, max_size=30) | st.text(alphabet="Training(steps=3,'\") ", max_size=25))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(text), BaseConfig)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depht": 3}, "Decoder has no setting 'depht'; did you mean 'depth'?"),
        ({"depth.x": 3}, "depth.x: 'depth' of Decoder holds no configuration to change"),
        ({"between.x": 3}, "between.x: 'between' of Decoder holds no configuration to change"),
        ({"position.bse": 3}, "RoPE has no setting 'bse'; did you mean 'base'?"),
        ({"position.base": "much"}, "base of RoPE must be float, not 'much'"),
        ({"position": "RoPE("}, "'RoPE(' is not of the form"),
        ({"": 3}, "Decoder has no setting ''"),
    ],
)
def test_overrides_that_cannot_be_meant(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Decoder.Config().override(changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "a configuration is a mapping of names to values, not list"),
        ({}, "a configuration without 'type' does not say what it builds"),
        ({"type": 3}, "nothing is called '3'"),
        ({"type": "Trainin"}, "did you mean 'Training'?"),
        ({"type": "Training", "stepz": 3}, "Training has no setting 'stepz'"),
        ({"type": "Decoder", "position": {"type": "RoPE", "base": []}}, "base of RoPE must be float"),
        ({"type": "Decoder", "position": {"base": 3}}, "does not say what it builds"),
        ({"type": "Decoder", "position": [1]}, "position of Decoder must be a configuration"),
    ],
)
def test_data_that_describe_nothing(data: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_dict(data)
    assert message in str(caught.value)


def test_data_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="Training was expected, but the data describe a Machine"):
        Training.from_dict(Machine().to_dict())
    assert Training.from_dict({"steps": 3}) == Training(steps=3)


def test_what_is_no_plain_data_is_not_written() -> None:
    @dataclass(frozen=True)
    class Loose(BaseConfig):
        anything: Any = None
        several: Sequence[int] = ()

    assert Loose(several=[1, 2]).several == [1, 2]
    with pytest.raises(ConfigError, match=r"several of .*Loose must be"):
        Loose(several=3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a configuration holds plain data, not set"):
        Loose(anything={1}).to_dict()


def test_settings_are_checked_when_a_configuration_is_made() -> None:
    with pytest.raises(ConfigError, match="'sgd' is not one of adamw, adam, muon"):
        Training(optimizer="sgd")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"steps of Training must be int, not 2\.5"):
        Training(steps=2.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="norm of Decoder must be a configuration, not 3"):
        Decoder.Config(norm=3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="nothing is called 'RMSNrm'; did you mean 'RMSNorm'"):
        Decoder.Config(norm="RMSNrm")  # type: ignore[arg-type]
    assert Training(learning_rate=1).digest() == Training(learning_rate=1.0).digest()
    assert Training(steps=np.int64(3)).to_dict()["steps"] == 3  # type: ignore[arg-type]


class Odd(Configurable):
    """A user's own class with hints of all kinds."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        absent: "OnlyForCheckers" = 3  # type: ignore[name-defined] # noqa: F821
        width: Width = Width(4)
        fixed: Final[int] = 2  # type: ignore[misc]
        readable: Readable | None = None
        sizes: list[int] = field(default_factory=list)
        names: Sequence[str] = ()
        shares: dict[str, float] = field(default_factory=dict)
        level: Literal["auto", 1, 2] | float = "auto"
        norm: BaseConfig = RMSNorm  # type: ignore[assignment]
        data: str | Turbo.Config = "here"


def test_hints_of_all_kinds_are_held_to_as_far_as_they_can_be() -> None:
    kind = Odd.Config
    assert kind(absent=object).absent is object
    assert kind().changed() == {}
    assert kind(sizes=["3", 4.0]).sizes == [3, 4]  # type: ignore[list-item]
    assert kind(shares={"a": "0.5"}).shares == {"a": 0.5}  # type: ignore[dict-item]
    assert [kind(level=level).level for level in (1, "2", "auto", "0.5", 1.0)] == [1, 2, "auto", 0.5, 1]  # type: ignore[arg-type]
    assert isinstance(kind(level=np.int64(2)).level, int)  # type: ignore[arg-type]
    assert kind(data="Turbo").data == "Turbo"
    assert kind(data=f"{__name__}:Turbo").data == kind(data=Turbo).data == Turbo.Config()  # type: ignore[arg-type]
    assert type(kind(data=np.str_("there")).data) is str
    for wrong in (
        {"width": "x"},
        {"fixed": 2.5},
        {"sizes": ["x"]},
        {"names": "abc"},
        {"shares": {"a": "x"}},
        {"level": True},
        {"level": "often"},
    ):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            kind(**wrong)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Positive(BaseConfig):
    """One that checks itself."""

    value: float = 1.0
    times: dataclasses.InitVar[int] = 1

    def __post_init__(self, times: int) -> None:
        if not self.value * times > 0:
            raise ValueError("the value is above 0")


def test_own_checks_come_behind_those_of_the_hints() -> None:
    assert Positive("2").value == 2  # type: ignore[arg-type]
    assert Positive().override({"value": "3"}).value == 3
    assert parse(f"{__name__}:Positive(value=2)") == Positive(2.0)
    with pytest.raises(ConfigError, match=r"value of .*Positive must be float, not 'two'"):
        Positive("two")  # type: ignore[arg-type]
    for make in (lambda: Positive().replace(value=-1), lambda: parse(f"{__name__}:Positive(value=-1)")):
        with pytest.raises(ConfigError, match="Positive: the value is above 0"):
            make()


def test_slots_are_checked_too() -> None:
    @dataclass(frozen=True, slots=True)
    class Slotted(BaseConfig):
        count: int = 1

    assert Slotted("3").count == 3  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="count of"):
        Slotted("x")  # type: ignore[arg-type]


def test_wrong_names_within_a_tuple_are_told() -> None:
    with pytest.raises(ConfigError, match="nothing is called 'Nope'"):
        parse("Mixture(branches=(Attention, Nope))")
    with pytest.raises(ConfigError, match="base of RoPE must be float"):
        parse("Combined(parts=(RoPE(base=x), NoPE))")


def test_numbers_among_options_may_be_written() -> None:
    assert RotatE.Config().override({"norm": "2"}) == RotatE.Config(norm=2)
    assert RotatE.Config(norm=2.0).digest() == RotatE.Config(norm=2).digest()  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"'3' is not one of 1, 2 \(norm of RotatE\)"):
        RotatE.Config().override({"norm": "3"})
    with pytest.raises(ConfigError, match="norm of RotatE must be"):
        RotatE.Config(norm=True)


def test_texts_that_nest_too_deep_are_misshapen() -> None:
    for text in ("(" * 3000, "Decoder(width=" + "-" * 100_000 + ")"):
        with pytest.raises(ConfigError):
            parse(text)


def test_a_class_and_a_name_stand_for_their_configurations() -> None:
    wanted = Decoder.Config(token_mixer=FlowAttention.Config())
    for written in (FlowAttention, FlowAttention.Config, "FlowAttention", {"type": "FlowAttention"}):
        assert Decoder.Config(token_mixer=written) == wanted  # type: ignore[arg-type]


def test_a_bad_value_is_an_error_for_the_person_at_the_keyboard() -> None:
    assert issubclass(ConfigError, FormariumError)
    assert issubclass(ConfigError, ValueError)


def test_suggestions() -> None:
    assert suggestion("polinorm", ["PolyNorm", "RMSNorm"]) == "; did you mean 'PolyNorm'?"
    assert suggestion("zzz", ["b", "a"]) == "; there are: a, b"
    assert suggestion("zzz", [f"n{i}" for i in range(41)]) == ""
    assert suggestion("zzz", []) == ""


# -------------------------------------------------------------------------------------------------------- own classes


def test_own_classes_go_by_module_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "garage.py").write_text(
        "from dataclasses import dataclass\n"
        "from formarium.parts import Activation\n"
        "from formarium.config import BaseConfig\n"
        "class Shelf:\n"
        "    class Sine(Activation):\n"
        "        @dataclass(frozen=True)\n"
        "        class Config(BaseConfig):\n"
        "            frequency: float = 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = parse("Decoder(channel_mixer=FeedForward(activation=garage:Shelf.Sine(frequency=3)))")
    assert config.channel_mixer.activation.frequency == 3.0  # type: ignore[attr-defined]
    assert parse(config.describe()) == config
    assert resolve("garage:Shelf.Sine.Config") is resolve("garage:Shelf.Sine")


def test_reading_configurations_needs_no_torch() -> None:
    program = "import sys, formarium, formarium.config; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", program], check=True)
