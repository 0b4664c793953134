"""Writes the pages that are drawn from cards and records: one a paper, their index, and the calibration.

python docs/make_pages.py            # writes docs/papers/*.md and docs/calibration.md
python docs/make_pages.py --check    # ends with status 1 if what is there differs
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from formarium.lab.claim import Card, Claim
from formarium.lab.record import ArmRecord, Record, largest, records
from formarium.lab.report import effect_text
from formarium.lab.statistics import t_interval
from formarium.papers import cards

HERE = Path(__file__).parent
RECORDS = HERE.parent / "records"
MARKS = {"supported": "✅ supported", "refuted": "❌ refuted", "inconclusive": "➖ inconclusive"}


def pages() -> dict[Path, str]:
    """Every page by its path."""
    by_claim = largest(records(RECORDS))
    made = {HERE / "papers" / "index.md": index(by_claim)}
    for card in cards():
        made[HERE / "papers" / f"{card.slug}.md"] = paper(card, by_claim)
    calibration = RECORDS / "calibration.json"
    if calibration.exists():
        made[HERE / "calibration.md"] = calibrated(json.loads(calibration.read_text(encoding="utf-8")))
    return made


def index(by_claim: dict[tuple[str, str], Record]) -> str:
    lines = [
        "# The papers",
        "",
        "Verdicts are those of the largest scale at which a claim was put to the proof, mostly `laptop`: small models, "
        "minutes. They say what held there.",
        "",
        "| paper | date | domains | state | ✅ | ❌ | ➖ |",
        "|---|---|---|---|---:|---:|---:|",
    ]
    for card in cards():
        verdicts = [by_claim[key].verdict for c in card.claims if (key := (card.slug, c.key)) in by_claim]
        counts = [str(verdicts.count(v)) if verdicts else "" for v in MARKS]  # type: ignore[arg-type]
        name = f"[{card.title}]({card.slug}.md)"
        lines.append(f"| {name} | {card.date} | {', '.join(card.domains)} | {card.state} | {' | '.join(counts)} |")
    return "\n".join(lines) + "\n"


def paper(card: Card, by_claim: dict[tuple[str, str], Record]) -> str:
    meta = [", ".join(card.authors), card.venue, f"[arXiv {card.arxiv}]({card.url})" if card.arxiv else "", card.date]
    lines = [f"# {card.title}", "", " · ".join(m for m in meta if m), "", card.summary, ""]
    if card.honesty:
        lines += ['!!! note "Honestly"', f"    {card.honesty}", ""]
    facts = [
        ("state", card.state),
        ("domains", ", ".join(card.domains)),
        ("changes", ", ".join(card.slots)),
        ("official code", f"{card.code} (licence: {card.licence or 'not stated'})" if card.code else "none published"),
        ("published weights", card.weights),
        ("parts", ", ".join(f"`{part}`" for part in card.parts)),
        ("model", f"`{card.model}`" if card.model else ""),
    ]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts if value), ""]
    if card.built:
        lines += ["```", f"formarium prove {card.slug} --scale demo", "```", ""]
    lines += ["## Claims", "", "| claim | verdict |", "|---|---|"]
    for claim in card.claims:
        record = by_claim.get((card.slug, claim.key))
        state = (
            f"{MARKS[record.verdict]} ({record.scale})" if record else ("not run" if claim.available() else "not built")
        )
        lines.append(f"| [{claim.key}](#{claim.key}) | {state} |")
    lines.append("")
    shown: dict[str, str] = {}
    for claim in card.claims:
        lines += claim_section(claim, by_claim.get((card.slug, claim.key)), shown)
    lines += ["## Cite", "", "```bibtex", card.bibtex(), "```"]
    return "\n".join(lines) + "\n"


def claim_section(claim: Claim, record: Record | None, shown: dict[str, str]) -> list[str]:
    """shown: arms tables already on the page, by their content, and the claim that has them."""
    lines = [f"### {claim.key}", "", claim.text, "", f"*{claim.source}*", ""]
    if claim.notes:
        lines += [claim.notes, ""]
    if record is None:
        return lines
    lines += [f"**{MARKS[record.verdict]}** at the scale `{record.scale}`, {record.seeds} seeds. {record.sentence}", ""]
    if record.checks:
        seen: dict[str, list[dict[str, Any]]] = {}
        for check in record.checks:
            seen.setdefault(str(check["name"]), []).append(check)
        value = f"value of the first of {record.seeds} seeds" if record.seeds > 1 else "value"
        lines += [f"| check | {value} | limit | holds |", "|---|---:|---:|---|"]
        for name, checks in seen.items():
            holds = sum(bool(c["holds"]) for c in checks)
            word = "no" if not holds else "yes" if len(checks) == 1 else f"{holds} of {len(checks)}"
            lines.append(f"| {name} | {_cell(checks[0]['value'])} | {_cell(checks[0]['limit'])} | {word} |")
        lines.append("")
    else:
        lines += ["| requirement | verdict | effect (95 % interval) |", "|---|---|---:|"]
        for finding in record.findings:
            beside = "" if finding.decides else " *(beside the verdict)*"
            lines.append(f"| {finding.label}{beside} | {finding.verdict} | {effect_text(finding)} |")
        lines.append("")
    if record.arms:
        table = arms_table(record)
        key = "\n".join(table)
        if key in shown:
            lines += [f"The runs are those of [{shown[key]}](#{shown[key]}).", ""]
        else:
            shown[key] = claim.key
            lines += [*table, ""]
    where = record.machine.get("gpu") or f"{record.machine.get('processor')}, {record.machine.get('cores')} cores"
    lines += [f"<small>{record.when[:10]}, {where}, {record.seconds / 60:.0f} min, commit {record.commit}</small>", ""]
    return lines


def arms_table(record: Record) -> list[str]:
    unit = record.unit
    lines = [
        f"{record.length} each:".capitalize(),
        "",
        f"| variant | {record.measure} | learning rate | parameters | {unit}/s | peak memory |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for arm in record.arms:
        note = f"<br><small>{arm.note}</small>" if arm.note else ""
        lines.append(
            f"| {arm.name}{note} | {_spread(arm, record.headline)} | {arm.learning_rate:.2g} | {arm.parameters:,} "
            f"| {arm.rate:,.0f} | {arm.memory / 2**20:,.0f} MiB |"
        )
    return lines


def _spread(arm: ArmRecord, metric: str) -> str:
    diverged = sum(d is not None for d in arm.diverged)
    if diverged:
        return f"{diverged} of {len(arm.diverged)} diverged"
    interval = t_interval([float(m[metric]) for m in arm.metrics])
    return f"{interval.mean:.4f}" + (f" ± {interval.high - interval.mean:.4f}" if math.isfinite(interval.high) else "")


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def calibrated(data: dict[str, Any]) -> str:
    lines = [
        "# Can the lab be believed?",
        "",
        "Before any verdict is published, the lab itself is measured where the truth is known:",
        "",
        "    formarium calibrate",
        "",
        f"trains {2 * data['seeds'] * data['comparisons']} models of seconds, no seed twice, and judges "
        f"{data['comparisons']} comparisons of {data['seeds']} seeds each as claims are judged.",
        "",
        "- *No effect (A/A)*: both arms are the same model. Any verdict but inconclusive is an error; 5 % may be.",
        "- *A planted effect*: the losses of the second arm are lowered by a multiple of the deviation between seeds "
        f"({data['deviation']:.4f} nats here). It must be found as often as a t-test of that many seeds finds it.",
        "",
        "| truth | found | should be | 95 % of shares lie in | |",
        "|---|---:|---:|---:|---|",
    ]
    for rate in data["rates"]:
        truth = f"an effect of {rate['effect']:g} deviations" if rate["effect"] else "no effect (A/A)"
        low, high = rate["low"], rate["high"]
        holds = (not rate["effect"] or rate["found"] >= low) and rate["found"] <= high
        within = f"{low:.1%} to {high:.1%}" if rate["effect"] else f"up to {high:.1%}"
        mark = "as it should be" if holds else "**not as it should be**"
        lines.append(f"| {truth} | {rate['found']:.1%} | {rate['expected']:.1%} | {within} | {mark} |")
    around = data["surroundings"]
    lines += [
        "",
        "Three seeds find an effect of one deviation rarely and one of four mostly: that is what they can do, and why "
        "small effects end inconclusive unless more seeds run. Paired seeds do better than this table wherever seeds "
        "share their noise (the same batches in the same order), which two arms with different seeds do not.",
        "",
        f"<small>{around['when'][:10]}, {around['machine']['processor']}, {around['machine']['cores']} cores, "
        f"commit {around['commit']}; `records/calibration.json` holds what exactly ran.</small>",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = bool(parser.parse_args(arguments).check)
    stale = []
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{'differs' if check else 'written'}: {path.relative_to(HERE.parent)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
