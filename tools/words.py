#!/usr/bin/env python3
"""Words that the project does not use, because plain technical English has better ones.

    python tools/words.py            how often each file of the source still uses one
    python tools/words.py --check    exit 1 and name each place in a document that uses one
    python tools/words.py --strict   the report, and exit 1 if a file of the source uses one

Documents are the Markdown files that git tracks, except records, the changelog and generated
blocks (their text is counted where it is written). In Python, comments, strings and names count;
in Rust and TOML whole lines do.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED = re.compile(r"<!-- generated: [^\n]+ -->\n.*?<!-- end -->", re.S)

INSTEAD = {
    r"mend(?:s|ed|ing)?": "fix",
    r"anew": "again",
    r"whoever": "name the actor",
    r"nobody": "no one, or name the actor",
    r"somebody": "name the actor",
    r"rightly": "correctly",
    r"surely": "significantly, or the bound that says so",
    r"so many": "a number, or a name for it",
    r"told": "reported, found",
    r"heard": "reported, received",
    r"dealt": "drawn, assigned",
    r"strange(?:rs?)?": "unknown, untrusted, distinct",
    r"by hand": "manually",
    r"(?:a|the|one) night(?:'s)?": "a run, a campaign",
    r"(?:a|the|its) box": "a sandbox",
    r"boxed": "in a sandbox",
    r"tastes?": "style",
}
"""Pattern of a word -> what to write."""
WORD = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b".replace(" ", r"\s+"), re.I)

ALLOWED: dict[tuple[str, str], str] = {}
"""(file, word in lower case) -> the reason why it stays."""

SOURCE = (".py", ".rs", ".toml", ".sh")
EXEMPT = ("tools/words.py", "records/", "docs/figures/", "uv.lock", "CHANGELOG.md")


def list_tracked() -> list[str]:
    """Files that git tracks or would track, without the exempt ones."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    names = done.stdout.splitlines()
    return sorted(n for n in names if (ROOT / n).is_file() and not n.startswith(EXEMPT))


def find_in_document(text: str) -> Iterator[tuple[int, str]]:
    """(line, word) of each use in a document, generated blocks left out."""
    blank = GENERATED.sub(lambda block: "\n" * block[0].count("\n"), text)
    for match in WORD.finditer(blank):
        yield blank[: match.start()].count("\n") + 1, " ".join(match[0].lower().split())


def check_documents() -> list[str]:
    """`file:line: 'word', write ...` for each use that is not allowed."""
    found = []
    for name in list_tracked():
        if not name.endswith(".md"):
            continue
        for line, word in find_in_document((ROOT / name).read_text(encoding="utf-8")):
            if (name, word) not in ALLOWED:
                better = next(b for w, b in INSTEAD.items() if re.fullmatch(w, word))
                found.append(f"{name}:{line}: '{word}'; write: {better}")
    return found


def count_in_python(text: str) -> Counter[str]:
    """Uses in comments, strings and names of a Python file."""
    words: Counter[str] = Counter()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            words.update(w.lower() for w in token.string.split("_") if WORD.fullmatch(w))
        elif token.type not in (tokenize.OP, tokenize.NUMBER):
            words.update(" ".join(m[0].lower().split()) for m in WORD.finditer(token.string))
    return words


def count_in_lines(text: str) -> Counter[str]:
    """Uses anywhere in a file of another language."""
    return Counter(" ".join(match[0].lower().split()) for match in WORD.finditer(text))


def count_in_source() -> dict[str, Counter[str]]:
    """Uses per source file, files without one left out."""
    counts = {}
    for name in list_tracked():
        if name.endswith(SOURCE):
            text = (ROOT / name).read_text(encoding="utf-8")
            found = count_in_python(text) if name.endswith(".py") else count_in_lines(text)
            for word in [w for w in found if (name, w) in ALLOWED]:
                del found[word]
            if found:
                counts[name] = found
    return counts


def report_counts(counts: dict[str, Counter[str]]) -> str:
    """One line a file, the most uses first, and the sum."""
    lines = []
    for name, found in sorted(counts.items(), key=lambda item: (-item[1].total(), item[0])):
        words = ", ".join(f"{word} {n}" for word, n in found.most_common())
        lines.append(f"{found.total():5d}  {name}  {words}")
    total = sum(found.total() for found in counts.values())
    return "\n".join([*lines, f"{total:5d}  uses in {len(counts)} files"])


def main() -> int:
    """Report on the source, or check. Returns the exit code."""
    if sys.argv[1:] == ["--check"]:
        found = check_documents()
        print("\n".join(found), end="\n" if found else "", file=sys.stderr)
        return 1 if found else 0
    counts = count_in_source()
    print(report_counts(counts))
    return 1 if counts and sys.argv[1:] == ["--strict"] else 0


if __name__ == "__main__":
    sys.exit(main())
