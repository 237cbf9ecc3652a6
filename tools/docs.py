#!/usr/bin/env python3
"""Generated tables in the documents: written by the program they describe.

Between these two lines of any Markdown file the text is the output of the named command:

    <!-- generated: python tools/docs.py commands -->
    | command | what it does |
    ...
    <!-- end -->

    python tools/docs.py              bring every such block up to date
    python tools/docs.py --check      change nothing; exit 1 and name the stale blocks, and the
                                      words that documents do not use (see tools/words.py)
    python tools/docs.py commands     print one table (names: see TABLES)

A command is one of our tables, or `lar VERB ...` if the text is a verb's own output.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from command_tables import describe_verbs, list_commands, list_exit_codes
from markdown_table import format_table

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "lance_autoresearch"
BLOCK = re.compile(r"(<!-- generated: (?P<cmd>[^\n]+?) -->\n)(?P<text>.*?)(<!-- end -->)", re.S)
OURS = "python tools/docs.py "


def list_thresholds() -> str:
    """Every number of rules/policy.py with its reason, one table a class."""
    from lance_autoresearch.rules import policy

    path, parts = SOURCE / "rules/policy.py", []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            values = getattr(policy, node.name)()
            about = (ast.get_docstring(node) or "").partition("\n\n")[0]
            rows = [
                (f"`{name}`", str(getattr(values, name)), text)
                for name, text in read_field_docs(path, node.name)
            ]
            head = f"## {node.name}\n\n{' '.join(about.split())}"
            parts += [head, format_table(("setting", "value", "meaning"), rows)]
    return "\n\n".join(parts)


def read_field_docs(path: Path, cls: str) -> list[tuple[str, str]]:
    """(field, docstring line below it) of a dataclass, in order."""
    tree = ast.parse(path.read_text())
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls).body
    out: list[tuple[str, str]] = []
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            out.append((node.target.id, ""))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and out:
            name, _ = out[-1]
            out[-1] = (name, " ".join(str(node.value.value).split()))
    return out


def list_targets() -> str:
    """The targets that run."""
    from lance_autoresearch.targets.catalogue import load_targets

    rows = [(f"`{t.name}`", t.summary, f"`{t.call_site}`", t.cost) for t in load_targets(ROOT)]
    return format_table(("target", "what", "call site in Lance", "cost there"), rows)


def list_waiting_kernels() -> str:
    """The kernels that wait for a target."""
    from lance_autoresearch.targets.catalogue import list_waiting as rows_of

    rows = [(f"`{w.name}`", f"`{w.call_site}`", w.headroom, w.state) for w in rows_of(ROOT)]
    return format_table(("kernel", "call site in Lance", "headroom seen", "state"), rows)


def list_modules() -> str:
    """Every module of the package with the first line of its docstring."""
    rows = []
    for path in sorted(SOURCE.iterdir()):
        file = path / "__init__.py" if path.is_dir() else path
        if file.suffix != ".py" or not file.exists() or path.name.startswith("__"):
            continue
        doc = ast.get_docstring(ast.parse(file.read_text())) or ""
        first = doc.split("\n\n")[0]
        rows.append((f"`{path.name}{'/' if path.is_dir() else ''}`", " ".join(first.split())))
    return format_table(("module", "what it is"), rows)


def list_rooms() -> str:
    """The rooms from top to bottom as import-linter checks them, each with its question.

    The questions are those of the package's docstring; a room that it does not name has none.
    """
    import tomllib

    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c for c in config["contracts"] if c["id"] == "rooms")["layers"]
    doc = ast.get_docstring(ast.parse((SOURCE / "__init__.py").read_text())) or ""
    found = re.findall(r"^ {4}(\w[\w, ]*?) {2,}(\S.*)$", doc, re.M)
    questions = {room: asked for rooms, asked in found for room in rooms.split(", ")}
    rows = []
    for layer in layers:
        rooms = re.findall(r"\w+", layer)
        asked = " ".join(questions[room] for room in rooms if room in questions)
        rows.append((", ".join(f"`{room}`" for room in rooms), asked))
    return format_table(("room", "its question"), rows)


def show_figures(name: str) -> str:
    """Measured figures kept in docs/figures/<name>.toml: command, head, rows, an optional note."""
    import tomllib

    path = ROOT / "docs" / "figures" / f"{name}.toml"
    if not path.exists():
        return f"(not measured yet: `docs/figures/{name}.toml`)"
    data = tomllib.loads(path.read_text())
    rows = [tuple(str(cell) for cell in row) for row in data["rows"]]
    parts = [
        data.get("note", ""),
        format_table(tuple(data["head"]), rows),
        f"Made by `{data['command']}`.",
    ]
    return "\n\n".join(p for p in parts if p)


def list_threats() -> str:
    """The catalogue of hacks, what stops each, and when that was last shown."""
    sys.path.insert(0, str(ROOT / "tools"))
    import threats as catalogue

    head = ("row", "hack", "defence", "attempt", "gain with it off", "last run")
    return format_table(head, catalogue.rows())


def summarise_fuzzing() -> str:
    """Executions, edges and finds per subject, and the hours spent."""
    import json

    data = json.loads((ROOT / "docs" / "figures" / "fuzz.json").read_text(encoding="utf-8"))
    cases = ROOT / "tests" / "data" / "fuzz"
    rows = [
        (f"`{name}`", f"{one['executions']:,}", str(one["edges"]), f"{one['cpu_seconds'] / 60:.1f}",
         str(len(list((cases / name).glob("*")))))
        for name, one in sorted(data["subjects"].items())
    ]  # fmt: skip
    head = ("subject", "executions", "edges", "CPU minutes", "cases found and fixed")
    hours = sum(one["cpu_seconds"] for one in data["subjects"].values()) / 3600
    spent = f"{hours:.1f} hours of CPU in all, the last on {data['date']}."
    return f"{format_table(head, rows)}\n\n{spent}"


def list_champions() -> str:
    """Each champion against Lance, one column per CPU kind, from records/machines/."""
    sys.path.insert(0, str(ROOT / "tools"))
    import machine_tables  # type: ignore[import-not-found, unused-ignore]

    return str(machine_tables.champions())


def describe_champion(target: str) -> str:
    """One champion against Lance, combo by combo, from records/machines/."""
    sys.path.insert(0, str(ROOT / "tools"))
    import emulated_records  # type: ignore[import-not-found, unused-ignore]
    import machine_tables  # type: ignore[import-not-found, unused-ignore]

    emulated = emulated_records.describe_target(ROOT, target)
    return f"{machine_tables.target_page(target)}\n\n{emulated}"


def describe_spaces(target: str) -> str:
    """The calls of a target that secret cases are drawn from."""
    sys.path.insert(0, str(ROOT / "tools"))
    import spaces_table as made

    spaces = made.load_spaces(ROOT, target)
    return f"{format_table(made.HEAD, made.list_rows(spaces))}\n\n{made.describe_spaces(spaces)}"


def describe_integration(target: str) -> str:
    """End-to-end verdicts of one champion, from records/integration/."""
    sys.path.insert(0, str(ROOT / "tools"))
    import integration_tables  # type: ignore[import-not-found, unused-ignore]

    return str(integration_tables.describe_target(target))


CHAMPIONS = tuple(sorted(path.parents[1].name for path in ROOT.glob("targets/*/kernel/kernels.rs")))
"""Targets that have a champion: `champion-fsst` and so on are tables."""

PAGES = tuple(sorted(path.parent.name for path in ROOT.glob("targets/[a-z]*/target.py")))
"""Targets that have a page."""


def summarise_simulation() -> str:
    """False candidates among simulated nulls, by machine and kind of noise."""
    sys.path.insert(0, str(ROOT / "tools"))
    import simulation_table as made

    parts = [f"{about}\n\n{format_table(head, rows)}" for about, head, rows in made.tables()]
    return "\n\n".join([*parts, f"Made by `{made.record()['command']}`."])


def summarise_calibration() -> str:
    """Trials whose truth is known, from the raw results in records/calibration/, newest first."""
    from lance_autoresearch.calibration.scores import (
        HEAD,
        format_cells,
        parse_about,
        parse_tsv,
        score_trials,
    )

    files = sorted((ROOT / "records" / "calibration").glob("*.tsv"), reverse=True)
    if not files:
        return "(not measured yet: `records/calibration/*.tsv`)"
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    every = score_trials(shot for text in texts.values() for shot in parse_tsv(text))
    last = {score.kind: score for score in every}  # of a kind: its one target, or all of them
    parts = [
        f"All machines:\n\n{format_table(HEAD, [format_cells(score) for score in last.values()])}"
    ]
    for file, text in texts.items():
        rows = [format_cells(score) for score in score_trials(parse_tsv(text))]
        about = f"`{file.relative_to(ROOT)}` ({parse_about(text)}):"
        parts.append(f"{about}\n\n{format_table(HEAD, rows)}")
    made = "Made by `lar calibrate all --export records/calibration/NAME.tsv`."
    return "\n\n".join([*parts, made])


def summarise_red_team() -> str:
    """Kernels that are wrong or slow on a part of the inputs, from records/red/."""
    sys.path.insert(0, str(ROOT / "tools"))
    from red_record import FOLDER, render_tables

    return str(render_tables(ROOT / FOLDER, format_table))


MEASURED = ("again", "bias", "conductor", "detection", "endurance", "layout", "mutation", "names",
            "noise", "phases", "sandbox")  # fmt: skip
"""Tables kept in docs/figures/, written by the command that each names."""

TABLES: dict[str, Callable[[], str]] = {
    "commands": list_commands,
    "reference": describe_verbs,
    "exit-codes": list_exit_codes,
    "policy": list_thresholds,
    "targets": list_targets,
    "waiting": list_waiting_kernels,
    "modules": list_modules,
    "rooms": list_rooms,
    "champions": list_champions,
    "simulation": summarise_simulation,
    "calibration": summarise_calibration,
    "threats": list_threats,
    "fuzz": summarise_fuzzing,
    "red": summarise_red_team,
    **{f"champion-{name}": partial(describe_champion, name) for name in CHAMPIONS},
    **{f"space-{name}": partial(describe_spaces, name) for name in PAGES},
    **{f"integration-{name}": partial(describe_integration, name) for name in CHAMPIONS},
    **{name: partial(show_figures, name) for name in MEASURED},
}


def run_generator(command: str) -> str:
    """The text a marker asks for. Raises ValueError for a command that is not ours."""
    if command.startswith(OURS) and command.removeprefix(OURS) in TABLES:
        return TABLES[command.removeprefix(OURS)]()
    if command.startswith(("lar ", "./lar ")):
        program = Path(sys.executable).parent / "lar"
        words = command.split()[1:]
        done = subprocess.run([program, *words], cwd=ROOT, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.rstrip()
        raise ValueError(f"`{command}` failed: {done.stderr.strip()}")
    raise ValueError(f"cannot generate from `{command}`; tables: {', '.join(TABLES)}")


def find_documents() -> list[Path]:
    """Markdown files that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def renew_blocks(text: str) -> str:
    """The document with every generated block renewed."""

    def renew(match: re.Match[str]) -> str:
        return f"{match[1]}{run_generator(match['cmd'])}\n{match[4]}"

    return BLOCK.sub(renew, text)


def renew_documents(*, check: bool) -> int:
    """Renew all documents, or name the stale ones. Returns the exit code."""
    stale = 0
    for path in find_documents():
        old = path.read_text(encoding="utf-8")
        new = renew_blocks(old)
        if new == old:
            continue
        stale += 1
        name = path.relative_to(ROOT)
        if check:
            print(f"{name}: generated text is stale; run: python tools/docs.py", file=sys.stderr)
        else:
            path.write_text(new, encoding="utf-8")
            print(f"{name}: renewed")
    return 1 if check and stale else 0


def check_words() -> int:
    """Name the words that documents do not use. Returns the exit code."""
    sys.path.insert(0, str(ROOT / "tools"))
    from words import check_documents

    found = check_documents()
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


def main() -> int:
    """Print one table, check, or renew. Returns the exit code."""
    words = sys.argv[1:]
    if words and words[0] in TABLES:
        sys.stdout.write(TABLES[words[0]]() + "\n")
        return 0
    if words not in ([], ["--check"]):
        print(f"error: no table '{words[0]}'\n  allowed: {', '.join(TABLES)}", file=sys.stderr)
        return 64
    code = renew_documents(check=bool(words))
    return check_words() or code if words else code


if __name__ == "__main__":
    sys.exit(main())
