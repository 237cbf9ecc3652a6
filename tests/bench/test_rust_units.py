"""What the measuring programs test of themselves, in Rust."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from lance_autoresearch.host.toolchain import Toolchain

ROOT = Path(__file__).resolve().parents[2]


def test_the_measuring_programs_own_tests_pass() -> None:
    tools = Toolchain.probe(ROOT)
    env = {**os.environ, "CARGO_TARGET_DIR": str(ROOT / ".lar" / "cache" / "cargo-test")}
    command = [tools.cargo, "test", "--workspace", "--locked", "--quiet",
               "--manifest-path", "rust/Cargo.toml"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(int(n) for n in re.findall(r"(\d+) passed", done.stdout)) >= 4
