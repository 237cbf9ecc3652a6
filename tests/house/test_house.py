"""The house itself: layers, sizes, fresh documents, and what may never be committed."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lance_autoresearch.cli.app import build_app, list_verbs
from lance_autoresearch.rules.policy import DEFAULT

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

WRITTEN_BY_TOOLS = {"uv.lock", "rust/Cargo.lock", "tools/fuzz_rust/Cargo.lock"}
"""Lock files carry the name of the registry their tool used; no person writes them."""
SHARED_LINES = 10
"""A tracked file that shares this many lines in a row with Lance is a copy of Lance."""
MAX_TRACKED = 2 << 20
"""Bytes of one tracked file: sources and records are text, and small."""


@functools.cache
def tracked() -> tuple[str, ...]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(n for n in done.stdout.splitlines() if (ROOT / n).is_file())


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8", errors="ignore")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


def test_layers_hold() -> None:
    done = run(BIN / "lint-imports", "--no-logo")
    assert done.returncode == 0, done.stdout


def test_nothing_is_too_long() -> None:
    done = run(sys.executable, "tools/size.py", "--check")
    assert done.returncode == 0, done.stderr


def test_generated_text_is_fresh() -> None:
    done = run(sys.executable, "tools/docs.py", "--check")
    assert done.returncode == 0, done.stderr


def test_stale_text_is_noticed() -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import docs
    finally:
        sys.path.pop(0)
    marker = "<!-- generated: python tools/docs.py exit-codes -->\n"
    renewed = docs.renew_blocks(f"{marker}old\n<!-- end -->\n")
    assert "inconclusive" in renewed and "old" not in renewed
    assert docs.renew_blocks(renewed) == renewed
    with pytest.raises(ValueError, match="cannot generate"):
        docs.renew_blocks("<!-- generated: rm -rf x -->\n<!-- end -->\n")


def test_a_word_that_documents_do_not_use_is_noticed() -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import words
    finally:
        sys.path.pop(0)
    text = "Mended by\n  hand.\n<!-- generated: x -->\nanew\n<!-- end -->\nSo many mendicants.\n"
    assert list(words.find_in_document(text)) == [(1, "mended"), (1, "by hand"), (6, "so many")]
    assert words.count_in_python("told = 1  # Nobody\nx = f'anew {told}'\n").total() == 4


def test_the_pages_for_a_first_reading_are_short() -> None:
    readme = text_of("README.md").splitlines()
    assert len(readme) <= 150 and readme[2].startswith("![")
    assert "make demo" in readme[:25]
    assert len(text_of("METHODOLOGY.md").split()) <= 4000
    assert len(re.findall(r"^\| ", text_of("docs/glossary.md"), re.M)) <= 30 + 2  # head and rule


PLACES = ("", "src/lance_autoresearch/", "rust/conductor/src/", "rust/worker/src/", "tests/")
"""Where a path of a document may begin, beside the document's own directory."""
PATH = re.compile(r"`((?:[\w.*-]+/)*[\w*-]+\.(?:py|rs|md|toml|json|tsv|sh|png))(?:::\w+)?`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
FOREIGN = re.compile(
    r"lance-|index\.html|Cargo\.toml|kernels\.rs|results\.tsv|NAME"
    r"|tables\.md|end-to-end\.md|checks\.json|replay\.sh"  # of a bundle
)
"""Begins or names what is not a file of this repository."""
OTHER_PAGES = ("records/", "targets/", "CHANGELOG.md", "docs/results/threats.md")
"""Records and history name files of their day; `tools/threats.py` checks the catalogue's."""


def missing_paths(name: str) -> list[str]:
    """Paths and links of a document that name no tracked file."""
    text, home = text_of(name), Path(name).parent
    files = {Path(n) for n in tracked()}
    known = {file.name for file in files}

    def stands(path: str) -> bool:
        if "/" not in path and "*" not in path:
            return path in known
        starts = [(home / path).as_posix(), *(place + path for place in PLACES)]
        return any(Path(n).match(os.path.normpath(s)) for n in files for s in starts)

    wanted = {p for p in PATH.findall(text) if not FOREIGN.search(p)}
    return sorted(p for p in wanted | set(LINK.findall(text)) if not stands(p))


def test_every_path_that_a_document_names_exists() -> None:
    pages = [n for n in tracked() if n.endswith(".md") and not n.startswith(OTHER_PAGES)]
    missing = {n: found for n in pages if (found := missing_paths(n))}
    assert not missing


def documents() -> str:
    return "\n".join(text_of(n) for n in tracked() if n.endswith(".md"))


@pytest.mark.parametrize("verb", list_verbs(), ids=lambda v: v.name)
def test_every_command_and_option_is_documented(verb) -> None:
    prose, app = documents(), build_app()
    for word in verb.name.split():
        app = app[word]
    assert f"lar {verb.name}" in prose
    for argument in (a for a in app.assemble_argument_collection() if a.show):
        for name in (n for n in argument.names if n != "*" and not n.startswith("--no-")):
            assert f"`{name}`" in prose, f"{verb.name} {name}"


def test_every_threshold_is_documented() -> None:
    prose = documents()
    missing = [f for f in DEFAULT.__dataclass_fields__ if f"`{f}`" not in prose]
    assert not missing


def test_every_environment_variable_is_documented() -> None:
    prose = documents()
    code = "\n".join(text_of(n) for n in tracked() if n.startswith("src/") and n.endswith(".py"))
    # Names the build passes to rustc are no settings: they never come from a user.
    read = set(re.findall(r"environ(?:\.get\(|\[)\s*\"(LAR_\w+)\"", code))
    read |= set(re.findall(r"^\w+ = \"(LAR_(?:ALLOW|AGENT)\w*)\"", code, re.M))
    assert read, "the search itself is broken"
    assert not [name for name in sorted(read) if name not in prose]


def hits(pattern: str, skip: set[str]) -> list[str]:
    found = []
    for name in tracked():
        if name not in skip and not name.endswith((".png", ".whl")):
            for number, line in enumerate(text_of(name).splitlines(), 1):
                if re.search(pattern, line):
                    found.append(f"{name}:{number}: {line.strip()[:100]}")
    return found


def test_no_absolute_path_of_a_machine_is_committed() -> None:
    homes = "|".join(("/ro" + "ot/", "/ho" + r"me/\w", "/Use" + r"rs/\w", "/wo" + "rk/"))
    assert not hits(rf"(?<![\w.}}/])(?:{homes})", set())


def test_no_registry_host_is_committed() -> None:
    hosts = "|".join(("cra" + r"tes\.io", "py" + r"pi\.org", "python" + "hosted",
                      "de" + r"b\.debian", "npm" + r"js\.", "static.rust" + "-lang"))  # fmt: skip
    assert not hits(hosts, WRITTEN_BY_TOOLS)


def test_tracked_files_are_small() -> None:
    large = [f"{n}: {(ROOT / n).stat().st_size} bytes" for n in tracked()
             if (ROOT / n).stat().st_size > MAX_TRACKED]  # fmt: skip
    assert not large


def windows(text: str) -> set[bytes]:
    """Digests of every run of SHARED_LINES lines that say something."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    reported = [line for line in lines if len(line) > 2 and not line.startswith("//")]
    return {
        hashlib.blake2b("\n".join(reported[i : i + SHARED_LINES]).encode(), digest_size=8).digest()
        for i in range(len(reported) - SHARED_LINES + 1)
    }


def test_no_text_of_lance_is_committed() -> None:
    sources = sorted((ROOT / ".lar" / "upstream").rglob("*.rs"))
    assert sources, "run: make setup"
    lance: set[bytes] = set()
    for path in sources:
        lance |= windows(path.read_text(encoding="utf-8"))
    texts = [n for n in tracked() if n.endswith((".rs", ".txt", ".md"))]
    copies = [n for n in texts if windows(text_of(n)) & lance]
    assert not copies


def test_a_copy_of_lance_would_be_noticed() -> None:
    source = next(iter((ROOT / ".lar" / "upstream").rglob("lance-linalg/src/distance/l2.rs")))
    lines = source.read_text().splitlines()
    excerpt = "\n".join(f"\t{line}  " for line in lines[100:160])
    assert windows(excerpt) & windows(source.read_text())


def test_pure_rules_are_listed_in_the_second_contract() -> None:
    contract = text_of("pyproject.toml").partition("the rules touch neither")[2]
    assert '"lance_autoresearch.rules"' in contract
    for module in ("gate", "stats", "estimator", "confirmation", "policy"):
        assert (ROOT / "src" / "lance_autoresearch" / "rules" / f"{module}.py").is_file()


def test_every_module_says_what_it_is() -> None:
    modules = [n for n in tracked() if n.startswith("src/") and n.endswith(".py")]
    assert len(modules) > 20
    assert not [n for n in modules if not ast.get_docstring(ast.parse(text_of(n)))]


def test_every_verb_says_how_it_ends() -> None:
    assert "Exit codes:" in inspect.getsource(sys.modules["lance_autoresearch.cli.app"])
