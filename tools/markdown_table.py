"""Tables in Markdown."""

from __future__ import annotations


def format_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; a pipe in a cell is escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        lines.append("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |")
    return "\n".join(lines)
