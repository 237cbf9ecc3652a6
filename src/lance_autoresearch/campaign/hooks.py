"""Reports a loop to a person while it runs: through their command, or to a web address."""

from __future__ import annotations

import json as json_module
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from lance_autoresearch.text.plain_text import strip_text

HOOK_S = 60.0
"""How long a command of the person's may take."""
WEB_S = 10.0
"""How long a web address may take to answer."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What happens at a keep and at the end: the person's own commands, and a web address.

    A command is run by the shell with the event as JSON on standard input; the address gets the
    same JSON by POST.
    """

    keep: str | None = None
    end: str | None = None
    webhook: str | None = None

    def find_faults(self) -> str:
        """What is wrong with the address, or an empty string."""
        if self.webhook is None or self.webhook.startswith(("http://", "https://")):
            return ""
        return f"--webhook '{self.webhook}' is no http or https address"


def notify(command: str | None, hooks: Hooks, event: dict[str, Any]) -> None:
    """Tell the person's command and address."""
    _run_hook(command, event)
    if hooks.webhook is not None:
        _post_event(hooks.webhook, event)


def _post_event(address: str, event: dict[str, Any]) -> None:
    """POST an event; a failure is reported and changes nothing."""
    import urllib.request

    request = urllib.request.Request(
        address, json_module.dumps(event).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=WEB_S):
            pass
    except (OSError, ValueError) as error:
        print(f"note: the webhook did not take the {event['event']}: {strip_text(str(error), 200)}",
              file=sys.stderr)


def _run_hook(command: str | None, event: dict[str, Any]) -> None:
    """Run a person's command; what it does wrong is said and changes nothing."""
    if command is None:
        return
    try:
        done = subprocess.run(["/bin/sh", "-c", command], timeout=HOOK_S, check=False,
                              input=json_module.dumps(event).encode(), stdout=sys.stderr)
        said = f"exit {done.returncode}" if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if said:
        print(f"note: the command on {event['event']} failed: {said}", file=sys.stderr)
