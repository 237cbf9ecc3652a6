"""What came out under emulation, one file a machine: records/emulated/MACHINE.toml.

    save_entry(root, "aarch64", entry)       replaces the target's entry in the file
    describe_target(root, "fsst")            the lines of a target's page, for tools/docs.py
    list_rows(root)                          head and rows of a table over all targets

A result belongs to one champion and one set of cases: where today's differ it is marked as stale.
No file holds a time, since emulated time means nothing.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.build.provenance import measure_provenance
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import read_champion
from lance_autoresearch.targets.spec import Target

FOLDER = Path("records") / "emulated"
CLAIMS: Mapping[str, str] = {
    "aarch64": "bits equal on AArch64 (emulated), not timed",
    "nehalem": "bits equal and no trap on x86-64-v2 (emulated Nehalem), not timed",
}
"""What a full result shows, by machine."""
PLACES: Mapping[str, str] = {
    "aarch64": "AArch64 (emulated)",
    "nehalem": "x86-64-v2 (emulated Nehalem)",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One target on one machine."""

    target: str
    date: str
    toolchain: str
    emulator: str
    cpus: tuple[str, ...]
    """Emulated processors; each ran with no CPU feature and with all of its own."""
    champion: str
    """sha256 of the kernel's text."""
    inputs: str
    """`digest_cases` of the day."""
    cases: int
    equal: int
    """Cases that are equal on every processor."""
    wrong: tuple[str, ...]
    cheats: int
    """Cheats with a wrong output that were tried."""
    cheats_found: int


def digest_cases(root: Path, target: Target) -> str:
    """sha256 over what the cases and Lance's answers depend on."""
    parts = measure_provenance(root, target, DEFAULT)
    chosen = {name: parts[name] for name in ("target", "fixtures", "upstream")}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def save_entry(root: Path, machine: str, entry: Entry) -> Path:
    """Write the target's entry into the machine's file. Returns its path in the checkout."""
    path = root / FOLDER / f"{machine}.toml"
    entries = {**load_entries(root, machine), entry.target: entry}
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"# Written by `make {machine}`; see CONTRIBUTING.md. Equal bits, never a time.\n"]
    lines += [_encode(entries[name]) for name in sorted(entries)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path.relative_to(root)


def _encode(entry: Entry) -> str:
    """TOML: every value is a string, a number or a list of strings, as in JSON."""
    fields = asdict(entry)
    name = fields.pop("target")
    lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    return "\n".join([f"[{json.dumps(name)}]", *lines, ""])


def load_entries(root: Path, machine: str) -> dict[str, Entry]:
    """Target -> its entry.

    Raises:
        UsageError: the file is damaged.
    """
    path = root / FOLDER / f"{machine}.toml"
    if not path.is_file():
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _decode(name, fields) for name, fields in data.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"not a record of emulated runs: {error}",
                         where=path.relative_to(root).as_posix(),
                         next=f"make {machine}") from error  # fmt: skip


def _decode(name: str, fields: Mapping[str, Any]) -> Entry:
    lists = {key: tuple(fields[key]) for key in ("cpus", "wrong")}
    return Entry(target=name, **{**fields, **lists})


def find_staleness(root: Path, entry: Entry) -> str:
    """`an older champion`, `older cases`, both, or an empty string."""
    marks = []
    champion = read_champion(root, entry.target) or compose_first_kernel(root, entry.target)
    if hash_text(champion) != entry.champion:
        marks.append("an older champion")
    if digest_cases(root, catalogue.load_target(root, entry.target)) != entry.inputs:
        marks.append("older cases")
    return " and ".join(marks)


def describe_target(root: Path, target: str) -> str:
    """One line for each machine, as a list in Markdown."""
    return "\n".join(
        f"- {describe_entry(root, machine, load_entries(root, machine).get(target))}"
        for machine in CLAIMS
    )


def describe_entry(root: Path, machine: str, entry: Entry | None) -> str:
    """A sentence that claims no more than was run."""
    if entry is None:
        return f"{PLACES[machine]}: not run yet (`make {machine}`)"
    about = (
        f"{entry.equal} of {entry.cases} cases, {entry.date}, {entry.toolchain}, "
        f"{entry.emulator} ({', '.join(entry.cpus)})"
    )
    if entry.equal < entry.cases:
        claim = f"**not equal** on {PLACES[machine]}: {', '.join(entry.wrong)}"
    else:
        claim = CLAIMS[machine]
    stale = find_staleness(root, entry)
    return f"{claim}; {about}" + (f"; **stale**, of {stale}: `make {machine}`" if stale else "")


def list_rows(root: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows of a table: a row a target, a column a machine."""
    columns = {machine: load_entries(root, machine) for machine in CLAIMS}
    rows = [
        (f"`{name}`", *(describe_entry(root, machine, found.get(name))
                        for machine, found in columns.items()))
        for name in catalogue.list_targets(root)
    ]  # fmt: skip
    return ("target", *(PLACES[machine] for machine in columns)), rows
