"""Parts 4, 5 and 7: tables, whole queries, title and body. Each returns what it lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lance_autoresearch.bundle.blockers import CPU_KINDS, Blocker, BlockerKind
from lance_autoresearch.bundle.gates import GateResult
from lance_autoresearch.bundle.parts import TITLE
from lance_autoresearch.calibration.machine_records import MachineRecord
from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.integrate.splice import Splice

REPLAY_LOG = "replay.log"
"""Standard output of replay.sh, kept by the person who ran it."""
DISCLOSURE = """\
A coding agent found this change, a harness judged it (lance-autoresearch), and the text was drafted
with AI assistance."""
UNSIGNED = "No person takes responsibility yet: --person NAME."


def write_tables(folder: Path, machines: Mapping[str, MachineRecord]) -> list[str]:
    """Part 4: each CPU kind and tier, regressions first."""
    lines = ["# Figures per kind of processor", "",
             "Published release against the change, paired; smallest gain first. Intervals hold "
             "for all rows of a table together.", ""]  # fmt: skip
    for kind, record in sorted(machines.items()):
        for tier, result in record.tiers.items():
            lines += [f"## {kind} ({record.machine['cpu']}), tier {tier}", "",
                      f"{record.date}, Rust {record.toolchain}, {result.pairs} pairs of processes, "
                      "sides in random balanced order", "",
                      "| case | published | changed | gain | interval |", "|---|---|---|---|---|"]
            lines += [
                f"| {row.combo.label} | {row.champion_ns:,.0f} ns | {row.candidate_ns:,.0f} ns | "
                f"{row.gain:+.1f} % | {row.low:+.1f} to {row.high:+.1f} % |"
                for row in sorted(result.combos, key=lambda row: row.gain)
            ]  # fmt: skip
            lines.append("")
        for tier, same in record.equal.items():
            lines += [f"Tier {tier} is {same} on {kind}.", ""]
    missing = []
    if len(machines) < CPU_KINDS:
        missing.append(f"processors: {', '.join(machines) or 'none'} measured, {CPU_KINDS} needed")
    log = folder / REPLAY_LOG
    if log.is_file():
        said = log.read_text(encoding="utf-8").strip()
        lines += ["## A/A and control rows, by replay.sh", "", "```", said, "```"]
    else:
        missing.append(f"A/A row and untouched control row: ./replay.sh > {REPLAY_LOG} makes them")
    write_atomically(folder / "tables.md", ("\n".join(lines) + "\n").encode())
    return missing


def write_end_to_end(folder: Path, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Part 5: verdict per query class, as recorded."""
    lines = ["# Whole queries of Lance", ""]
    for record in records:
        report = record["report"]
        lines += [f"## {record['cpu_kind']}, {record['date']}, Lance {record['lance']}", "",
                  f"{report['compared']:,} answers compared; peak memory {report['peak_memory']}",
                  "", "| class | effect | gain | interval |", "|---|---|---|---|"]
        lines += [
            f"| {one['class']} | {one['effect']} | {one['gain']:+.2f} % | {one['low']} to "
            f"{one['high']} |" for one in report["classes"]
        ]  # fmt: skip
        lines.append("")
    if not records:
        lines.append("Not measured.")
    write_atomically(folder / "end-to-end.md", ("\n".join(lines) + "\n").encode())
    missing = [] if records else ["no verdict in whole queries"]
    return [*missing, "no nprobes sweep and no recall: no data set for them is recorded"]


def write_pull_request(
    folder: Path, splice: Splice, machines: Mapping[str, MachineRecord],
    queries: Sequence[Mapping[str, Any]], gates: Sequence[GateResult],
    blockers: Sequence[Blocker], person: str,
) -> list[str]:  # fmt: skip
    """Part 7. Raises UpstreamError if the manifest's title would fail the linter."""
    pull = splice.pull
    if not TITLE.fullmatch(pull["title"]):
        raise UpstreamError(f"title '{pull['title']}' is no Conventional Commit",
                            where=f"targets/{splice.target}/integration/splice.toml",
                            allowed=["perf(scope): lower case, no full stop, at most 90 letters"])
    figures = [
        f"- {kind}, tier {tier}: {one.gain:+.1f} % over all cases (99 % interval {one.low:+.1f} to "
        f"{one.high:+.1f} %)"
        for kind, record in sorted(machines.items()) for tier, result in record.tiers.items()
        for one in result.components if one.name == "all"
    ]  # fmt: skip
    slower = [one.what for one in blockers if one.kind is BlockerKind.SLOWER]
    lines = [
        pull["title"], "", pull["summary"].strip(), "", "## Where", "",
        f"`{pull['function']}`; no format, no protobuf and no public API changes.", "",
        "## Dispatch", "", pull["dispatch"].strip(), "", "## Figures", "",
        *(["Slower:", *(f"- {what}" for what in slower), ""] if slower else []),
        *(figures or ["- none recorded"]), "",
        "Whole queries: " + ("see end-to-end.md." if queries else "not measured."), "",
        "## Checks", "",
        *(f"- {gate.name}: {gate.state}" + (f" ({gate.marked})" if gate.marked else "")
          for gate in gates), "",
        "## Run it", "", f"    {pull['bench']}", "    ./replay.sh", "",
        "## AI use", "", DISCLOSURE,
        f"{person} has read every line and takes responsibility for it." if person else UNSIGNED,
    ]  # fmt: skip
    write_atomically(folder / "pull-request.md", ("\n".join(lines) + "\n").encode())
    missing = [] if person else [UNSIGNED]
    return [*missing, *(one.what for one in blockers if one.kind is BlockerKind.OVERLAP)]
