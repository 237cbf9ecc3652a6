"""`lar doctor`: the abilities of this machine, its weaknesses, and their fixes."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from lance_autoresearch.errors import MachineError

if TYPE_CHECKING:
    from lance_autoresearch.doctor import Finding

INDENT = " " * 20


def run_doctor(*, json: bool = False, build: bool = False) -> int:
    """Check toolchain, sandbox, clock, cores, Lance's source and agents; report all faults.

    Exit code 0 if trials can run here (some parts may be weaker), 4 if they cannot.

    Args:
        json: print one JSON object instead of the table.
        build: first build the measuring program if its source changed.
    """
    from lance_autoresearch import doctor as physician
    from lance_autoresearch.host.checkout import find_root

    root = find_root()
    if build:
        physician.build_conductor(root)
        return 0
    findings = physician.examine_machine(root)
    good = physician.is_usable(findings)
    if json:
        print(jsonlib.dumps({"usable": good, "findings": [asdict(f) for f in findings]}))
    else:
        print("\n".join(line for f in findings for line in format_finding(f)))
        print(f"\n{summarize_findings(findings)}")
    return 0 if good else MachineError.exit_code


def format_finding(finding: Finding) -> list[str]:
    """A finding as text: one line, and one each for the weakness and the fix."""
    out = [f"{finding.state:6}{finding.name:14}{finding.found}"]
    if finding.weaker:
        out.append(f"{INDENT}{'but: ' if finding.state != 'ok' else ''}{finding.weaker}")
    if finding.fix:
        out.append(f"{INDENT}fix: {finding.fix}")
    return out


def summarize_findings(findings: list[Finding]) -> str:
    """The last line: usable or not, and how many of each."""
    faults = sum(f.state == "fault" for f in findings)
    weak = sum(f.state == "weak" for f in findings)
    if faults:
        return f"not usable yet: {faults} to fix" + (f", {weak} weaker" if weak else "")
    return "usable" + (f"; {weak} weaker than it could be" if weak else "; nothing to fix")
