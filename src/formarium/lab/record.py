"""Records: what one run of a claim left behind, as plain JSON with a versioned schema.

Reports and pages are drawn from records only. A number that is not finite (a diverged run) is kept as text.
"""

import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import formarium
from formarium.errors import DataError
from formarium.files import read_object, write_json
from formarium.lab.claim import SCALES
from formarium.lab.statistics import Verdict
from formarium.lab.verdicts import published

SCHEMA = 1
_POINTS = 100  # of a kept curve
_PLACES = ("--out", "--records")
_PACKAGES = ("torch", "lightning", "numpy", "transformers", "tokenizers", "scipy", "torch_geometric", "geoopt")


@dataclass(frozen=True)
class Finding:
    """One requirement, judged: the effect in words and numbers, above the margin in favour of the claim.

    values: the effect of each seed. decides: whether the verdict of the claim depends on it. within: the effect is in
    favour where it is no further from 0 than the margin, on either side.
    """

    label: str
    verdict: Verdict
    effect: float
    low: float
    high: float
    margin: float
    values: list[float]
    decides: bool
    metric: str
    relative: bool = False
    variant: str = ""
    against: str | None = None
    within: bool = False


@dataclass(frozen=True)
class ArmRecord:
    """One variant: what it was, what it cost, what each seed came to.

    curves: for each seed the training loss at ``curve_steps``. tried: learning rate to headline metric, first seed.
    """

    name: str
    note: str
    model: dict[str, Any]
    task: dict[str, Any]
    training: dict[str, Any]
    parameters: int
    step_seconds: float
    rate: float
    memory: int
    flops: float
    learning_rate: float
    tried: dict[str, float]
    metrics: list[dict[str, Any]]
    diverged: list[int | None]
    curve_steps: list[int]
    curves: list[list[float]]


@dataclass(frozen=True)
class Record:
    """The outcome of a claim at one scale. split: what the metrics of its arms were measured on."""

    paper: str
    title: str
    claim: str
    text: str
    source: str
    kind: str
    notes: str
    scale: str
    verdict: Verdict
    sentence: str
    findings: list[Finding]
    seeds: int
    budget: dict[str, Any]
    arms: list[ArmRecord] = field(default_factory=list)
    numbers: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    unit: str = ""
    headline: str = ""
    split: str = "validation"
    seconds: float = 0.0
    when: str = ""
    command: str = ""
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    schema: int = SCHEMA

    @property
    def measure(self) -> str:
        """The headline metric as a heading, with its split where that is not the usual one."""
        return self.headline if self.split == "validation" else f"{self.headline} ({self.split})"

    @property
    def length(self) -> str:
        """How long its trainings were: the steps, or the most of them where each counts epochs of its own."""
        most = "at most " if any(arm.training.get("epochs") for arm in self.arms) else ""
        return f"{most}{self.budget.get('steps', 0)} steps"

    @property
    def file_name(self) -> str:
        return f"{self.claim}.{self.scale}.json"

    def save(self, folder: Path) -> Path:
        """Writes the record below ``folder``, in the paper's own folder."""
        path = folder / self.paper / self.file_name
        write_json(path, _storable(asdict(self)))
        return path


def load(path: Path) -> Record:
    """A record from its file; DataError for one that is damaged or of a schema that this version does not read."""
    data = read_object(path, "record")
    if data.get("schema") != SCHEMA:
        raise DataError(f"{path} is not a record of schema {SCHEMA}")
    data = _restored(data)
    try:
        data["findings"] = [Finding(**f) for f in data["findings"]]
        data["arms"] = [ArmRecord(**a) for a in data["arms"]]
        return Record(**data)
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is not a whole record: {error}") from None


def records(folder: Path | None = None, paper: str | None = None) -> Iterator[Record]:
    """All records below a folder (the published ones where None), by paper, claim and scale."""
    root = published() if folder is None else folder
    for path in sorted(root.glob(f"{paper or '*'}/*.json")):
        yield load(path)


def largest(found: Iterable[Record]) -> dict[tuple[str, str], Record]:
    """Of each claim, as (paper, claim), the record at the largest scale."""
    return {(r.paper, r.claim): r for r in sorted(found, key=lambda r: SCALES.index(r.scale))}


def surroundings() -> dict[str, Any]:
    """Where and with what a record is made: machine, versions, commit, time, command."""
    return {
        "machine": _machine(),
        "versions": {"formarium": formarium.__version__, "python": platform.python_version(), **_versions()},
        "commit": _commit(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command(sys.argv[1:]),
    }


def command(arguments: Sequence[str]) -> str:
    """What was typed, without where its results went: a published record is not about a machine's folders."""
    kept: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument in _PLACES:
            next(left, None)
        elif argument.partition("=")[0] not in _PLACES:
            kept.append(argument)
    return shlex.join(["formarium", *kept])


def thinned(losses: list[float]) -> tuple[list[int], list[float]]:
    """A loss curve as means over at most a hundred stretches of steps: (last step of each, mean of each)."""
    if not losses:
        return [], []
    stretch = max(1, math.ceil(len(losses) / _POINTS))
    ends = [min(i + stretch, len(losses)) for i in range(0, len(losses), stretch)]
    means = [sum(losses[e - stretch if e % stretch == 0 else e - e % stretch : e]) for e in ends]
    lengths = [stretch if e % stretch == 0 else e % stretch for e in ends]
    return ends, [round(m / n, 5) for m, n in zip(means, lengths, strict=True)]


def _machine() -> dict[str, Any]:
    import torch

    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    root = Path(formarium.__file__).parent
    try:
        call = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
        return subprocess.run(call, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _storable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, Mapping):
        return {k: _storable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(v) for v in value]
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"float"}:
            return float(value["float"])
        return {k: _restored(v) for k, v in value.items()}
    return [_restored(v) for v in value] if isinstance(value, list) else value
