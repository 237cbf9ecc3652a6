"""A dependency group of uv.lock in an environment of its own, installed by the set-up's uv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def install(home: Path, *groups: str) -> None:
    """Make `home` an environment that holds what uv.lock pins for `groups`.

    Args:
        groups: uv's own words, such as `--group mutation` in two.

    Exits with the next command where there is no uv.
    """
    places = ("uv", str(Path.home() / ".local/bin/uv"), str(ROOT / ".lar/uv/bin/uv"))
    uv = next(filter(None, map(shutil.which, places)), None)
    if uv is None:
        sys.exit("error: no uv here, which installs what uv.lock pins\n  next: make setup")
    env = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(home)}
    sync = [uv, "sync", "--frozen", "--quiet", *groups, "--python", sys.executable]
    subprocess.run(sync, cwd=ROOT, env=env, check=True)
