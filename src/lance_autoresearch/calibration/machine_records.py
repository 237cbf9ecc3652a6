"""Quoted figures as files that travel: one for each CPU kind, day, host and target.

    save_record(root, MachineRecord(...))    records/machines/zen3/2026-11-30-1f2e3d4c-hamming.json
    load_records(root)                       every file, oldest first
    find_staleness(root, record)             "" or why the figure is not today's

A person with another processor runs `lar bench TARGET --record` and commits the file; the tables in
README and on the targets' pages are made of these files and of nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lance_autoresearch.build.provenance import measure_provenance
from lance_autoresearch.calibration.rulesets import find_equal_rulesets
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.ledger.results_json import decode_confirm, encode_confirm
from lance_autoresearch.records import ConfirmResult
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import read_champion

FOLDER = "records/machines"
VERSION = 1
COMPARABLE = ("ruleset", "target", "fixtures", "upstream", "flags", "policy")
"""Digests (`build.provenance`) of the measured code and of the rules."""


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """The figures that `lar bench --record` measured of one champion on one host in one call."""

    target: str
    date: str
    """ISO, local."""
    host: str
    """`machine.hash_host_identity()`."""
    machine: Mapping[str, str]
    """As the ledger's rows have it: cpu, cpu_kind, cores, box, ..."""
    toolchain: str
    champion: str
    """sha256 of the kernel's text."""
    provenance: Mapping[str, str]
    tiers: Mapping[str, ConfirmResult]
    """Figures against Lance's own code, by CPU tier; `native` is the processor's own."""
    equal: Mapping[str, str] = field(default_factory=dict)
    """Tiers that were not measured, as they are another one on this processor."""

    @property
    def cpu_kind(self) -> str:
        """Column of the tables."""
        return self.machine["cpu_kind"]

    @property
    def path(self) -> str:
        """Where its file lies in a checkout."""
        return f"{FOLDER}/{self.cpu_kind}/{self.date}-{self.host}-{self.target}.json"


def save_record(root: Path, record: MachineRecord) -> Path:
    """Write the file; one of the same kind, day, host and target is replaced."""
    path = root / record.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_encode(record), indent=1) + "\n", encoding="utf-8")
    return path


def load_records(root: Path) -> list[MachineRecord]:
    """Every recorded figure, oldest first.

    Raises:
        UsageError: a file is damaged, or lies under another name than its own.
    """
    files = sorted((root / FOLDER).glob("*/*.json"))
    return sorted((_load(root, path) for path in files), key=lambda r: (r.date, r.path))


def find_newest(root: Path) -> dict[tuple[str, str], MachineRecord]:
    """(target, CPU kind) -> its newest record."""
    return {(record.target, record.cpu_kind): record for record in load_records(root)}


def find_staleness(root: Path, record: MachineRecord) -> str:
    """`older champion`, `older rules`, both, or an empty string.

    Rules are older if a digest of `COMPARABLE` differs and `records/rulesets.toml` does not
    show that both decide alike.
    """
    champion = read_champion(root, record.target)
    marks = []
    if champion is None or hash_text(champion) != record.champion:
        marks.append("older champion")
    today = measure_provenance(root, catalogue.load_target(root, record.target), DEFAULT)
    alike = all(record.provenance.get(name) == today[name] for name in COMPARABLE)
    if not alike:
        alike = record.provenance.get("all") in find_equal_rulesets(
            root, record.target, today["all"]
        )
    if not alike:
        marks.append("older rules")
    return ", ".join(marks)


def _encode(record: MachineRecord) -> dict[str, Any]:
    return {
        "v": VERSION,
        "target": record.target,
        "date": record.date,
        "host": record.host,
        "machine": dict(record.machine),
        "toolchain": record.toolchain,
        "champion": record.champion,
        "provenance": dict(record.provenance),
        "equal": dict(record.equal),
        "tiers": {tier: encode_confirm(result) for tier, result in record.tiers.items()},
    }


def _load(root: Path, path: Path) -> MachineRecord:
    where = path.relative_to(root).as_posix()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        record = _decode(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"not a record of a machine: {error}", where=where,
                         next="./lar bench TARGET --record") from error  # fmt: skip
    if record.path != where:
        raise UsageError(f"this record belongs to {record.path}", where=where, next="git mv")
    return record


def _decode(data: Mapping[str, Any]) -> MachineRecord:
    if data["v"] != VERSION:
        raise ValueError(f"version {data['v']}, this tool reads {VERSION}")
    texts = {name: str(data[name]) for name in ("target", "date", "host", "toolchain", "champion")}
    tables = {
        name: {str(k): str(v) for k, v in data[name].items()}
        for name in ("machine", "provenance", "equal")
    }
    tiers = {str(tier): decode_confirm(fields) for tier, fields in data["tiers"].items()}
    if "cpu_kind" not in tables["machine"] or "native" not in tiers:
        raise ValueError("it needs a cpu_kind and the tier native")
    return MachineRecord(**texts, **tables, tiers=tiers)  # type: ignore[arg-type]
