"""Makes the folder of a bundle: patch, checks, tables, text, replay.

    made = make_bundle(root, "hamming", say)   .lar/bundle/hamming/
    made.blockers, made.parts

What is written twice is the same; checks that ran for this patch are not run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lance_autoresearch.bundle.blockers import (
    Blocker,
    list_blockers,
    select_end_to_end,
    select_machines,
)
from lance_autoresearch.bundle.gates import (
    Gate,
    GateResult,
    GateState,
    find_log,
    plan_gates,
    run_gates,
)
from lance_autoresearch.bundle.parts import MARK, NAMES, Part, answer_questions
from lance_autoresearch.bundle.replay import write_replay
from lance_autoresearch.bundle.texts import write_end_to_end, write_pull_request, write_tables
from lance_autoresearch.errors import UpstreamError, UsageError
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.integrate.splice import LAYOUTS, Splice, load_splice, write_patch
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.oracle.archives import Archives
from lance_autoresearch.oracle.lock import Lock
from lance_autoresearch.oracle.manifest import load_manifest
from lance_autoresearch.records import Verdict
from lance_autoresearch.records.kind import ABLATION
from lance_autoresearch.targets.champion import read_champion

Say = Callable[[str], None]
Read = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was made."""

    folder: Path
    parts: tuple[Part, ...]
    gates: tuple[GateResult, ...]
    blockers: tuple[Blocker, ...]

    @property
    def draft(self) -> bool:
        """Whether it must not be sent as it is."""
        return bool(self.blockers) or any(part.missing for part in self.parts)


@dataclass(frozen=True, slots=True)
class Patched:
    """A champion in Lance's source."""

    splice: Splice
    read: Read
    files: Mapping[tuple[str, str], str]
    kernel: bytes
    version: str

    @property
    def digest(self) -> str:
        """sha256 of what the patch makes of each file."""
        text = json.dumps(sorted((*place, text) for place, text in self.files.items()))
        return hashlib.sha256(text.encode()).hexdigest()


def patch_release(root: Path, target: str, say: Say = lambda _: None) -> Patched:
    """The champion in the pinned release.

    Raises:
        UsageError: there is no champion, or it has no splice manifest.
        UpstreamError: Lance or the champion moved under the manifest.
    """
    kernel = read_champion(root, target)
    if kernel is None:
        raise UsageError(f"{target} has no champion yet", next=f"./lar start {target}")
    splice = load_splice(root, target)
    folders = {crate: find_crate(root, crate) for crate in splice.crates}
    version = load_manifest(root).version
    say(f"patching {', '.join(splice.crates)} of Lance {version}")

    def read(crate: str, file: str) -> str:
        return (folders[crate] / file).read_text(encoding="utf-8")

    return Patched(splice, read, splice.compose(kernel, read), kernel, version)


def find_crate(root: Path, crate: str) -> Path:
    """The verified sources of a published crate."""
    archives = Archives(root, load_manifest(root))
    return archives.ensure_directory(crate, Lock.read(root).archives[crate])


def make_bundle(
    root: Path, target: str, say: Say, *, out: Path | None = None, checks: bool = True,
    person: str = "",
) -> Bundle:  # fmt: skip
    """Write the folder; a later call goes on where one was killed.

    Args:
        checks: run the checks that are not done; without, they are missing.
        person: who takes responsibility for the change.
    """
    patched = patch_release(root, target, say)
    folder = out or ensure_lar_dir(root, "bundle", target)
    for layout in LAYOUTS:
        text = write_patch(patched.splice, patched.read, patched.files, layout)
        write_atomically(folder / "patch" / f"{layout}.patch", text.encode())
    gates = _run_checks(root, patched, folder, say, checks)
    blockers = list_blockers(root, target, gates)
    parts = tuple(_write_parts(root, patched, folder, gates, blockers, person))
    made = Bundle(folder, parts, tuple(gates), tuple(blockers))
    _write_front(made, target)
    return made


# -- checks ------------------------------------------------------------------------------------


def estimate_minutes(splice: Splice) -> int:
    """What the checks take on two idle cores, by the manifest."""
    return int(splice.pull.get("minutes", 60))


def _run_checks(
    root: Path, patched: Patched, folder: Path, say: Say, checks: bool
) -> list[GateResult]:
    known = _read_state(folder, patched.digest)
    results: list[GateResult] = []
    for crate in patched.splice.crates:
        place = ensure_lar_dir(root, "bundle", "work", patched.splice.target) / crate
        _lay_crate(root, patched, crate, place)
        files = [file for (name, file) in patched.files if name == crate and file.endswith(".rs")]
        plan: Sequence[Gate] = plan_gates(crate, files)
        if not checks:
            results += [known.get(gate.name) or GateResult(
                gate.name, GateState.MISSING, "not run", f"./lar bundle {patched.splice.target}"
            ) for gate in plan]  # fmt: skip
            _write_state(folder, patched.digest, results)
            continue
        target_dir = ensure_lar_dir(root, "bundle", "target")
        for result in run_gates(plan, place, folder / "logs", target_dir, known, say):
            results.append(result)
            _write_state(folder, patched.digest, results)
    return results


def _lay_crate(root: Path, patched: Patched, crate: str, place: Path) -> None:
    """A copy of the published crate with the patch; files are written only where they differ."""
    source = find_crate(root, crate)
    for path in source.rglob("*"):
        if path.is_file():
            file = path.relative_to(source).as_posix()
            new = patched.files.get((crate, file))
            _write_if_other(place / file, path.read_bytes() if new is None else new.encode())
    for (name, file), new in patched.files.items():
        if name == crate:
            _write_if_other(place / file, new.encode())


def _write_if_other(path: Path, data: bytes) -> None:
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data)


def _read_state(folder: Path, digest: str) -> dict[str, GateResult]:
    try:
        data = json.loads((folder / "checks.json").read_text())
        if data["v"] != 1 or data["patch"] != digest:
            return {}
        found = [GateResult(**{**row, "state": GateState(row["state"])}) for row in data["rows"]]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    logs = folder / "logs"
    return {one.name: one for one in found if find_log(logs, one.name).is_file()}


def _write_state(folder: Path, digest: str, results: Sequence[GateResult]) -> None:
    body = {"v": 1, "patch": digest, "rows": [asdict(result) for result in results]}
    write_atomically(folder / "checks.json", (json.dumps(body, indent=1) + "\n").encode())


# -- parts -------------------------------------------------------------------------------------


def _write_parts(
    root: Path, patched: Patched, folder: Path, gates: Sequence[GateResult],
    blockers: Sequence[Blocker], person: str,
) -> list[Part]:  # fmt: skip
    target, pull = patched.splice.target, patched.splice.pull
    machines, queries = select_machines(root, target), select_end_to_end(root, target)
    added = [f"{crate}/{file}" for crate, file in patched.files]
    tests = tuple(path for path in added if "test" in path)
    benches = tuple(path for path in added if "bench" in path or "example" in path)
    tables = write_tables(folder, machines)
    whole = write_end_to_end(folder, queries)
    text = write_pull_request(folder, patched.splice, machines, queries, gates, blockers, person)
    raw = write_replay(root, folder, patched.splice, patched.version, patched.kernel)
    failing = [f"{gate.name}: {gate.state}, {gate.about}" for gate in gates
               if gate.state is not GateState.PASSED]  # fmt: skip
    return [
        Part(1, NAMES[1], ("patch/crates.patch", "patch/repository.patch"),
             () if _is_ablated(root, target, patched.kernel) else
             ("no ablation ended with this kernel: fewer lines may hold the gain (lar ablate)",)),
        Part(2, NAMES[2], tests, () if tests else ("the splice has no tests",)),
        Part(3, NAMES[3], benches, () if benches and pull.get("bench") else ("no bench",)),
        Part(4, NAMES[4], ("tables.md",), tuple(tables)),
        Part(5, NAMES[5], ("end-to-end.md",), tuple(whole)),
        Part(6, NAMES[6], ("checks.json", "logs/"), tuple(failing)),
        Part(7, NAMES[7], ("pull-request.md",), tuple(text)),
        Part(8, NAMES[8], ("replay.sh", "replay/", "raw/", "SHA256SUMS"), tuple(raw)),
    ]  # fmt: skip


def _is_ablated(root: Path, target: str, kernel: bytes) -> bool:
    """Whether `lar ablate` judged this very kernel as one that holds a gain."""
    with Ledger.open(root) as ledger:
        rows = ledger.list_trials(target=target, verdict=Verdict.KEEP)
    return any(row.record.kind == ABLATION and row.record.kernel == hash_bytes(kernel)
               for row in rows)  # fmt: skip


def _write_front(made: Bundle, target: str) -> None:
    """README.md of the bundle, and the file DRAFT while anything is unsettled."""
    lines = [f"# {target}: a pull request with its evidence", ""]
    if made.draft:
        lines += [f"**{MARK}: do not send.** Nothing in this folder is sent by a program.", ""]
        lines += [f"- {one.kind}: {one.what} (next: {one.next})" for one in made.blockers]
        lines.append("")
    lines += ["| part | where | not there |", "|---|---|---|"]
    for part in made.parts:
        lines.append(f"| {part.number} {part.name} | {', '.join(part.files) or '-'} | "
                     f"{'; '.join(part.missing) or '-'} |")
    lines += ["", "## What a sceptical maintainer asks", ""]
    lines += [f"- {q.text} {answer}" for q, answer in answer_questions(made.parts)]
    write_atomically(made.folder / "README.md", ("\n".join(lines) + "\n").encode())
    mark = made.folder / MARK
    if made.draft:
        write_atomically(mark, "\n".join(one.what for one in made.blockers).encode() + b"\n")
    else:
        mark.unlink(missing_ok=True)


def check_newer(root: Path, target: str, folder: Path) -> None:
    """Whether the patch goes into another release, unpacked crates in a folder.

    Raises:
        UsageError: a crate is not there.
        UpstreamError: Lance moved under an edit.
    """
    splice = load_splice(root, target)
    gone = [crate for crate in splice.crates if not (folder / crate / "src").is_dir()]
    if gone:
        raise UsageError(f"no crate {', '.join(gone)} there", where=folder.name)

    def read(crate: str, file: str) -> str:
        path = folder / crate / file
        if not path.is_file():
            raise UpstreamError("is gone: Lance moved", where=f"{crate}/{file}")
        return path.read_text(encoding="utf-8")

    kernel = read_champion(root, target)
    splice.compose(kernel or b"", read)
