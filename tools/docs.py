#!/usr/bin/env python3
"""Generated tables in the documents: written by the program they describe.

Between these two lines of any Markdown file the text is the output of the named command:

    <!-- generated: python tools/docs.py commands -->
    | command | what it does |
    ...
    <!-- end -->

    python tools/docs.py              bring every such block up to date
    python tools/docs.py --check      change nothing; exit 1 and name the stale blocks
    python tools/docs.py commands     print one table (names: see TABLES)

A command is one of our tables, or `lar VERB ...` where the text is a verb's own output.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "lance_autoresearch"
BLOCK = re.compile(r"(<!-- generated: (?P<cmd>[^\n]+?) -->\n)(?P<text>.*?)(<!-- end -->)", re.S)
OURS = "python tools/docs.py "


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; a pipe in a cell is escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        lines.append("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |")
    return "\n".join(lines)


def commands() -> str:
    """Every verb with its one line."""
    from lance_autoresearch.cli.app import present

    return table(("command", "what it does"), [(f"`lar {v.name}`", v.help) for v in present()])


def reference() -> str:
    """Every verb with every option, from the functions' own docstrings."""
    from lance_autoresearch.cli.app import build, present

    app, parts = build(), []
    for verb in present():
        sub = app
        for word in verb.name.split():
            sub = sub[word]
        parts.append(f"### `lar {verb.name}`\n\n{_prose(sub.default_command)}")
        rows = [
            _option(a) for a in sub.assemble_argument_collection(parse_docstring=True) if a.show
        ]
        if rows:
            parts.append(table(("option", "meaning", "default"), rows))
    return "\n\n".join(parts)


def _prose(function: object) -> str:
    """A verb's docstring down to its first section."""
    import inspect

    doc = inspect.getdoc(function) or ""
    return re.split(r"\n(?:Args|Parameters|Returns|Raises)\b.*\n", doc)[0].strip()


def _option(argument: object) -> tuple[str, str, str]:
    """(names, help, default) of one option or positional argument."""
    names = [n for n in argument.names if not n.startswith("--no-")]  # type: ignore[attr-defined]
    if argument.index is not None:  # type: ignore[attr-defined]
        names.insert(0, names[0].strip("-").upper())
    default = argument.field_info.default  # type: ignore[attr-defined]
    required = argument.required  # type: ignore[attr-defined]
    shown = "required" if required else "" if default in (None, False, "") else str(default)
    shown = "" if "empty" in shown or "UNSET" in shown else shown
    text = " ".join(str(argument.parameter.help or "").split())  # type: ignore[attr-defined]
    return ", ".join(f"`{n}`" for n in names), text, f"`{shown}`" if shown else ""


def exit_codes() -> str:
    """What each exit status means."""
    return table(
        ("code", "meaning"),
        [
            ("0", "keep; for other verbs: done, nothing wrong"),
            ("1", "revert: slower, not proven faster, or one combination got too slow"),
            ("2", "incorrect: the output differs from Lance's"),
            ("3", "rejected before or while it ran: admission, compiler, audit, box"),
            ("4", "inconclusive: the machine failed, not the kernel; run it again"),
            ("64", "wrong option, name or combination"),
            ("70", "a defect of this tool, with a traceback"),
            ("130", "interrupted; nothing half-done is left"),
        ],
    )


def policy() -> str:
    """Every threshold of the decision, with its reason."""
    from lance_autoresearch.rules.policy import DEFAULT

    rows = []
    for name, text in field_docs(SOURCE / "rules/policy.py", "Policy"):
        rows.append((f"`{name}`", str(getattr(DEFAULT, name)), text))
    return table(("setting", "value", "meaning"), rows)


def field_docs(path: Path, cls: str) -> list[tuple[str, str]]:
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


def targets() -> str:
    """The targets that run."""
    from lance_autoresearch.targets.catalogue import load_all

    rows = [(f"`{t.name}`", t.summary, f"`{t.call_site}`", t.cost) for t in load_all(ROOT)]
    return table(("target", "what", "call site in Lance", "cost there"), rows)


def waiting() -> str:
    """The kernels that wait for a target."""
    from lance_autoresearch.targets.catalogue import waiting as rows_of

    rows = [(f"`{w.name}`", f"`{w.call_site}`", w.headroom, w.state) for w in rows_of(ROOT)]
    return table(("kernel", "call site in Lance", "headroom seen", "state"), rows)


def modules() -> str:
    """Every module of the package with the first line of its docstring."""
    rows = []
    for path in sorted(SOURCE.iterdir()):
        file = path / "__init__.py" if path.is_dir() else path
        if file.suffix != ".py" or not file.exists() or path.name.startswith("__"):
            continue
        doc = ast.get_docstring(ast.parse(file.read_text())) or ""
        first = doc.split("\n\n")[0]
        rows.append((f"`{path.name}{'/' if path.is_dir() else ''}`", " ".join(first.split())))
    return table(("module", "what it is"), rows)


def layers() -> str:
    """The rows of the house, as import-linter checks them."""
    import tomllib

    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    rows = next(c for c in config["contracts"] if c["id"] == "rooms")["layers"]
    lines = [row.replace("(", "").replace(")", "") for row in rows]
    return "```text\n" + "\n".join(lines) + "\n```"


def figures(name: str) -> str:
    """Measured figures kept in docs/figures/<name>.toml: command, head, rows, an optional note."""
    import tomllib

    path = ROOT / "docs" / "figures" / f"{name}.toml"
    if not path.exists():
        return f"(not measured yet: `docs/figures/{name}.toml`)"
    data = tomllib.loads(path.read_text())
    rows = [tuple(str(cell) for cell in row) for row in data["rows"]]
    parts = [
        data.get("note", ""),
        table(tuple(data["head"]), rows),
        f"Made by `{data['command']}`.",
    ]
    return "\n\n".join(p for p in parts if p)


def conductor() -> str:
    """What measuring costs by itself."""
    return figures("conductor")


def endurance() -> str:
    """A long campaign with kills: what it did, memory and disk."""
    return figures("endurance")


def phases() -> str:
    """What each phase of a trial costs."""
    return figures("phases")


def bias() -> str:
    """What is still wrong with the numbers."""
    return figures("bias")


def box() -> str:
    """What audit and box cost."""
    return figures("box")


def threats() -> str:
    """The catalogue of hacks, what stops each, and when that was last shown."""
    sys.path.insert(0, str(ROOT / "tools"))
    import threats as catalogue

    head = ("row", "hack", "defence", "attempt", "gain with it off", "last run")
    return table(head, catalogue.rows())


def fuzz() -> str:
    """Executions, edges and finds per subject, and the hours spent."""
    import json

    data = json.loads((ROOT / "docs" / "figures" / "fuzz.json").read_text(encoding="utf-8"))
    cases = ROOT / "tests" / "data" / "fuzz"
    rows = [
        (f"`{name}`", f"{one['executions']:,}", str(one["edges"]), f"{one['cpu_seconds'] / 60:.1f}",
         str(len(list((cases / name).glob("*")))))
        for name, one in sorted(data["subjects"].items())
    ]  # fmt: skip
    head = ("subject", "executions", "edges", "CPU minutes", "cases found and mended")
    hours = sum(one["cpu_seconds"] for one in data["subjects"].values()) / 3600
    return f"{table(head, rows)}\n\n{hours:.1f} hours of CPU in all, the last on {data['date']}."


def simulation() -> str:
    """False candidates among simulated nulls, by machine and kind of noise."""
    sys.path.insert(0, str(ROOT / "tools"))
    import simulation_table as made

    parts = [f"{about}\n\n{table(head, rows)}" for about, head, rows in made.tables()]
    return "\n\n".join([*parts, f"Made by `{made.record()['command']}`."])


def noise() -> str:
    """Whether pairs differ by their processes or by their slices."""
    return figures("noise")


def layout() -> str:
    """What a shuffled layout costs."""
    return figures("layout")


def calibration() -> str:
    """Trials whose truth is known, from the raw results in records/calibration/, newest first."""
    from lance_autoresearch.calibration.scores import HEAD, about_of, cells, from_tsv, scored

    files = sorted((ROOT / "records" / "calibration").glob("*.tsv"), reverse=True)
    if not files:
        return "(not measured yet: `records/calibration/*.tsv`)"
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    every = scored(shot for text in texts.values() for shot in from_tsv(text))
    last = {score.kind: score for score in every}  # of a kind: its one target, or all of them
    parts = [f"All machines:\n\n{table(HEAD, [cells(score) for score in last.values()])}"]
    for file, text in texts.items():
        rows = [cells(score) for score in scored(from_tsv(text))]
        parts.append(f"`{file.relative_to(ROOT)}` ({about_of(text)}):\n\n{table(HEAD, rows)}")
    made = "Made by `lar calibrate all --export records/calibration/NAME.tsv`."
    return "\n\n".join([*parts, made])


def detection() -> str:
    """What share of true gains this gate and the one before it keep."""
    return figures("detection")


def names() -> str:
    """What a library's name does to a plain harness, and to ours."""
    return figures("names")


def again() -> str:
    """Kept gains measured again: by how much the quoted ones overstate."""
    return figures("again")


def mutation() -> str:
    """How many wrong versions of the rules the tests notice."""
    return figures("mutation")


TABLES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "reference": reference,
    "exit-codes": exit_codes,
    "policy": policy,
    "targets": targets,
    "waiting": waiting,
    "modules": modules,
    "layers": layers,
    "conductor": conductor,
    "endurance": endurance,
    "phases": phases,
    "bias": bias,
    "box": box,
    "simulation": simulation,
    "noise": noise,
    "layout": layout,
    "calibration": calibration,
    "detection": detection,
    "names": names,
    "again": again,
    "mutation": mutation,
    "threats": threats,
    "fuzz": fuzz,
}


def output_of(command: str) -> str:
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


def documents() -> list[Path]:
    """Markdown files that git tracks or would track."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def refreshed(text: str) -> str:
    """The document with every generated block renewed."""

    def renew(match: re.Match[str]) -> str:
        return f"{match[1]}{output_of(match['cmd'])}\n{match[4]}"

    return BLOCK.sub(renew, text)


def refresh(*, check: bool) -> int:
    """Renew all documents, or name the stale ones. Returns the exit code."""
    stale = 0
    for path in documents():
        old = path.read_text(encoding="utf-8")
        new = refreshed(old)
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


def main() -> int:
    """Print one table, check, or renew. Returns the exit code."""
    words = sys.argv[1:]
    if words and words[0] in TABLES:
        sys.stdout.write(TABLES[words[0]]() + "\n")
        return 0
    if words not in ([], ["--check"]):
        print(f"error: no table '{words[0]}'\n  allowed: {', '.join(TABLES)}", file=sys.stderr)
        return 64
    return refresh(check=bool(words))


if __name__ == "__main__":
    sys.exit(main())
