"""Claims as data: a paper's sentence, the experiment that could confirm or refute it, and what must be true.

Nothing here imports torch, so that cards can be listed in a moment. Tasks, models and parts are written as text that
``formarium.config.parse`` reads; functions as ``module:function``.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from formarium.config import ConfigError

Scale = Literal["demo", "laptop", "gpu", "paper"]
SCALES: tuple[Scale, ...] = ("demo", "laptop", "gpu", "paper")
Better = Literal["lower", "higher"]
Kind = Literal["comparison", "scaling", "exact"]

_NO_BREAK = "\N{NO-BREAK SPACE}"
# LaTeX's commands for the combining accents of Unicode.
_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030c": "v ", "\u0327": "c "}


@dataclass(frozen=True)
class Variant:
    """One arm of a comparison: its name and how its model differs from the experiment's.

    changes: dotted settings of the model. task, training: likewise of the task and of the training. matched: false
    leaves its size as it is in a matched comparison. note: what the arm is there for, where that is not plain (a
    control, the paper's own handicapped baseline). model: another architecture than the experiment's, as text; of the
    settings of a scale it takes those that it has.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    matched: bool = True
    note: str = ""
    model: str = ""


@dataclass(frozen=True)
class Setting:
    """An experiment at one scale.

    model, task, training: dotted settings for every arm. seeds: how many paired seeds. learning_rates: factors on the
    training's own rate, tried by every arm on the first seed. minutes: wall-clock for the whole experiment on the
    machine at hand; the number of steps follows from the speed measured at the start. steps: a fixed number instead,
    and with minutes at most that many, so that every machine which is fast enough makes the same runs; neither is
    needed where the trainings count epochs. variants: the arms that run at this scale; all where empty.
    partial: arms whose data are not on this machine are left out, with what is required of them. Raises ConfigError for
    minutes that are not above 0.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    learning_rates: tuple[float, ...] = (0.5, 1.0, 2.0)
    minutes: float | None = None
    steps: int | None = None
    variants: tuple[str, ...] = ()
    partial: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # for the function of a Measurement or an Exact check

    def __post_init__(self) -> None:
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"an experiment takes more than {self.minutes:g} minutes")


@dataclass(frozen=True)
class Comparison:
    """Variants of one model, trained alike on one task.

    matched: bring every arm within 1 % of the first arm's parameters by the width that ``adjusts`` names; None leaves
    the sizes as they are. split: what the trained models are measured on; rates are chosen on validation whatever it
    says. probes: further numbers of each trained model, ``module:function`` taking (model, task) and
    returning a dict of numbers by name.
    """

    task: str
    model: str
    variants: tuple[Variant, ...]
    settings: Mapping[Scale, Setting]
    training: str = "Training"
    matched: bool = True
    adjusts: str = "channel_mixer.hidden"
    split: Literal["validation", "test"] = "validation"
    probes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """Numbers for each variant that a function finds without the harness: a timing, a fit, a computation.

    function: ``module:function`` called as (seed, **options) and returning {variant: {metric: number}}; seeds are
    paired. A metric over sizes, for a scaling claim, is a mapping of size to number. timed: whether the numbers are
    times, for which one seed after another has the machine to itself; else as many seeds at once as it has cores.
    """

    function: str
    settings: Mapping[Scale, Setting]
    timed: bool = True


@dataclass(frozen=True)
class Contrast:
    """What must be true of two arms: ``variant`` better than ``against`` in ``metric`` by more than ``margin``.

    The effect of a seed is its difference against - variant where lower is better, variant - against where higher is;
    ``relative`` divides it by the value of ``against``. A margin below zero states "no worse than by so much". Without
    ``against`` the metric of the variant itself is held to the margin: above it where higher is better, below where
    lower. ``decides`` false shows the contrast beside the verdict without letting it count: a control.
    """

    variant: str
    against: str | None = None
    metric: str = "loss"
    better: Better = "lower"
    margin: float = 0.0
    relative: bool = False
    decides: bool = True
    label: str = ""


@dataclass(frozen=True)
class Interaction:
    """What must be true of two changes: ``variant`` is worse than its ``base`` by less than ``against`` than its own.

    The effect of a seed is the second loss less the first, in ``metric``; ``relative`` divides each by its base.
    """

    variant: str
    base: str
    against: str
    against_base: str
    metric: str = "loss"
    better: Better = "lower"
    margin: float = 0.0
    relative: bool = False
    decides: bool = True
    label: str = ""


@dataclass(frozen=True)
class Reproduction:
    """What must be true of a published number: the mean of ``variant`` over seeds lies within ``tolerance`` of it.

    The effect of a seed is its relative difference from ``value``; its interval stands beside the verdict, which the
    mean decides. Nothing is required of a variant that did not run.
    """

    variant: str
    value: float
    metric: str = "loss"
    tolerance: float = 0.02
    decides: bool = True
    label: str = ""


@dataclass(frozen=True)
class Exponent:
    """What must be true of a cost against a size: the slope of log metric on log size of ``variant``.

    It lies below ``limit`` where better is lower, above where higher; ``over`` names the metric (size to number).
    """

    variant: str
    over: str
    limit: float
    better: Better = "lower"
    decides: bool = True
    label: str = ""


@dataclass(frozen=True)
class Speedup:
    """What must be true of learning curves: ``variant`` comes to the final loss of ``against`` ``factor`` times sooner.

    The effect of a seed is the steps of the run over those after which the training loss of ``variant``, smoothed over
    a twentieth of the run, stays at or below the final one of ``against``; 0 where it never does. in_time: in seconds
    of training instead of steps.
    """

    variant: str
    against: str
    factor: float = 1.0
    in_time: bool = False
    decides: bool = True
    label: str = ""


@dataclass(frozen=True)
class Exact:
    """A computed equality or bound.

    function: ``module:function`` called as (seed, **options), returning a list of ``formarium.checks.Check``.
    """

    function: str
    settings: Mapping[Scale, Setting]

    @classmethod
    def everywhere(cls, function: str, **options: Any) -> Self:
        """The same check at every scale: most equations need no larger machine."""
        return cls(function, {scale: Setting(options=options) for scale in SCALES})


Requirement = Contrast | Interaction | Reproduction | Exponent | Speedup


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper that can be checked.

    key: short name, unique in the paper. text: the claim in our words. source: where the paper says it. experiment:
    what puts it to the proof; None while that is not built. requires: what must be true of the experiment's numbers,
    all of it. notes: what a reader must know beside the verdict.
    """

    key: str
    text: str
    source: str
    kind: Kind
    experiment: Comparison | Measurement | Exact | None = None
    requires: tuple[Requirement, ...] = ()
    notes: str = ""

    def available(self) -> tuple[Scale, ...]:
        """The scales at which the claim can be put to the proof."""
        if self.experiment is None:
            return ()
        return tuple(scale for scale in SCALES if scale in self.experiment.settings)


@dataclass(frozen=True)
class Card:
    """What the library knows of a paper.

    date: ISO date of the first version. authors: given name first, with a no-break space inside a family name of
    several words; empty where unknown. domains: as in the index. slots: which parts of the block it changes. venue:
    where it appeared, with the year; journal tells a journal from a conference. code and licence: the
    official repository, and its licence ("none" where it states none). summary: one paragraph of our own words.
    honesty: what is unverified, withdrawn, or our reconstruction. parts, model: names to import; empty while the paper
    is not built.
    """

    slug: str
    title: str
    date: str
    authors: tuple[str, ...]
    domains: tuple[str, ...]
    slots: tuple[str, ...]
    summary: str
    claims: tuple[Claim, ...]
    arxiv: str | None = None
    venue: str = ""
    journal: bool = False
    volume: str = ""
    pages: str = ""
    code: str = ""
    licence: str = ""
    weights: str = ""
    honesty: str = ""
    parts: tuple[str, ...] = ()
    model: str = ""
    built: bool = False

    @property
    def year(self) -> str:
        """Year of publication: the venue's where there is one, else that of the first version."""
        years = re.findall(r"\b(?:19|20)\d\d\b", self.venue)
        return years[-1] if years else self.date[:4]

    @property
    def url(self) -> str:
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else ""

    @property
    def state(self) -> Literal["built", "planned"]:
        return "built" if self.built else "planned"

    def claim(self, key: str) -> Claim | None:
        """The claim of that key, or None."""
        return next((claim for claim in self.claims if claim.key == key), None)

    def bibtex(self) -> str:
        """A BibTeX entry under the key formarium uses, ``<slug><year>``, accents written in LaTeX."""
        kind = "misc" if not self.venue else "article" if self.journal else "inproceedings"
        # A journal's name stands without its year; a conference's is not complete without it.
        venue = self.venue.removesuffix(self.year).rstrip(" ,") if self.journal else self.venue
        fields = {
            "title": "{" + _latex(self.title) + "}",  # the inner braces keep its capitals
            "author": " and ".join(_latex(_family_in_braces(name)) for name in self.authors),
            "year": self.year,
            "journal" if self.journal else "booktitle": _latex(venue),
            "volume": self.volume,
            "pages": self.pages.replace("-", "--"),
        }
        if self.arxiv:
            fields |= {"eprint": self.arxiv, "archivePrefix": "arXiv", "url": self.url}
        body = ",\n".join(f"  {name:<13} = {{{value}}}" for name, value in fields.items() if value)
        return f"@{kind}{{{self.slug.replace('-', '')}{self.year},\n{body}\n}}"


def _family_in_braces(name: str) -> str:
    """A name as BibTeX splits it: the words that a no-break space joins are one word in braces."""
    return " ".join(f"{{{w.replace(_NO_BREAK, ' ')}}}" if _NO_BREAK in w else w for w in name.split(" "))


def _latex(text: str) -> str:
    """Text for a BibTeX field: LaTeX's special characters escaped, accented letters written with their accents."""
    return "".join(_latex_letter(letter) for letter in re.sub(r"([&%$#_])", r"\\\1", text))


def _latex_letter(letter: str) -> str:
    """One letter, its accent as a LaTeX command."""
    base, *accents = list(unicodedata.normalize("NFD", letter))
    if len(accents) == 1 and accents[0] in _ACCENTS:
        return f"{{\\{_ACCENTS[accents[0]]}{base}}}"
    return letter
