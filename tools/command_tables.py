"""The tables of `docs.py` about commands: verbs, options, exit codes."""

from __future__ import annotations

import re

from markdown_table import format_table


def list_commands() -> str:
    """Every verb with its one line."""
    from lance_autoresearch.cli.app import list_verbs

    rows = [(f"`lar {verb.name}`", verb.help) for verb in list_verbs()]
    return format_table(("command", "what it does"), rows)


def describe_verbs() -> str:
    """Every verb with every option, from the functions' own docstrings."""
    from lance_autoresearch.cli.app import build_app, list_verbs

    app, parts = build_app(), []
    for verb in list_verbs():
        sub = app
        for word in verb.name.split():
            sub = sub[word]
        parts.append(f"### `lar {verb.name}`\n\n{_read_prose(sub.default_command)}")
        arguments = sub.assemble_argument_collection(parse_docstring=True)
        rows = [_describe_option(argument) for argument in arguments if argument.show]
        if rows:
            parts.append(format_table(("option", "meaning", "default"), rows))
    return "\n\n".join(parts)


def _read_prose(function: object) -> str:
    """A verb's docstring down to its first section."""
    import inspect

    doc = inspect.getdoc(function) or ""
    return re.split(r"\n(?:Args|Parameters|Returns|Raises)\b.*\n", doc)[0].strip()


def _describe_option(argument: object) -> tuple[str, str, str]:
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


def list_exit_codes() -> str:
    """The meaning of each exit status."""
    return format_table(
        ("code", "meaning"),
        [
            ("0", "keep; for other verbs: done, nothing wrong"),
            ("1", "revert: slower, not proven faster, or one combo is too slow"),
            ("2", "incorrect: the output differs from Lance's"),
            ("3", "rejected before or while it ran: admission, compiler, audit, sandbox"),
            ("4", "inconclusive, or this machine, its disk or its repository is at fault"),
            ("64", "wrong option, name or combination"),
            ("70", "a defect of this tool, with a traceback; `lar log --verify`: altered records"),
            ("130", "interrupted; nothing half-done is left"),
        ],
    )
