r"""Untrusted text, made safe to print: kernels, agents and tools write it, people read it.

    mark_untrusted("ok\x1b[31m red\x1b[0m\nline")  untrusted: "ok red line"

The removed characters could move the cursor, colour a terminal, reverse the reading order, hide
letters, or pass one line off as another.
"""

from __future__ import annotations

import re
import unicodedata

LIMIT = 1024
"""Characters of untrusted text that are ever shown at once."""

ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor (ECMA-48 5.4)
    r"|(?:\x1b[]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # strings: titles
    r"|\x1b[ -/]*[0-~]"  # two-character sequences
)
HIDDEN = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\u115f\u1160\u3164\uffa0]")
"""Variation selectors and blank letters; the rest that hides is of category Cf."""
UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def mark_untrusted(text: str, limit: int = LIMIT) -> str:
    """Strip, bound and mark text that a kernel, an agent or a foreign tool wrote."""
    return f'untrusted: "{strip_text(text, limit)}"'


def strip_text(text: str, limit: int = LIMIT) -> str:
    """One line of printable characters, at most `limit`; idempotent.

    Escape sequences go first, whole; then every control, format (bidi, zero width, tags),
    surrogate, private and unassigned character; runs of white space become one space.
    """
    # Megabytes of text are not worth the time to clean them.
    text = text[: 16 * limit + 64]
    if not (text.isascii() and text.isprintable()):
        text = HIDDEN.sub("", ESCAPES.sub("", text))
        text = "".join(_keep_character(c) for c in text)
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: max(0, limit - 1)].rstrip() + "…"


def _keep_character(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in UNSAFE else character
