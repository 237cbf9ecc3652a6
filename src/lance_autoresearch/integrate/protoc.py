"""The protobuf compiler, which build scripts of Lance call: found, or installed from PyPI.

`grpcio-tools` ships one; a wrapper of two lines makes it answer like `protoc`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.integrate.workspace import Workspace

PACKAGE = "grpcio-tools==1.85.1"
FIX = "apt-get install protobuf-compiler"


def find_protoc(space: Workspace, say: Callable[[str], None]) -> Path:
    """Path of a protoc: $PROTOC, on PATH, or installed below the workspace.

    Raises:
        MachineError: none, and the package could not be installed.
    """
    found = os.environ.get("PROTOC") or shutil.which("protoc")
    if found and is_working(Path(found)):
        return Path(found)
    return install_protoc(space.home / "protoc", say)


def is_working(path: Path) -> bool:
    """Whether a program answers as protoc does."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.startswith("libprotoc")


def install_protoc(home: Path, say: Callable[[str], None]) -> Path:
    """The wrapper around `grpcio-tools`, installed if it is not there yet."""
    wrapper = home / "protoc"
    if wrapper.is_file() and is_working(wrapper):
        return wrapper
    say(f"no protoc: installing {PACKAGE}")
    base = getattr(sys, "_base_executable", sys.executable)
    python = home / "venv" / "bin" / "python"
    for words in ([str(base), "-m", "venv", str(home / "venv")],
                  [str(python), "-m", "pip", "install", "--quiet", PACKAGE]):  # fmt: skip
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except OSError as error:
            raise MachineError(f"no protoc: {error}", where="setup", next=FIX) from None
        if done.returncode:
            raise MachineError(
                f"no protoc, and {PACKAGE} cannot be installed: {done.stderr.strip()[-200:]}",
                where="setup", next=FIX,
            )  # fmt: skip
    text = f"#!/bin/sh\nexec '{python}' -m grpc_tools.protoc \"$@\" -I\"$({python} -c "
    text += "'import grpc_tools; print(grpc_tools.__path__[0])')/_proto\"\n"
    write_atomically(wrapper, text.encode(), mode=0o755)
    if not is_working(wrapper):
        raise MachineError(f"{PACKAGE} does not work as protoc", where="setup", next=FIX)
    return wrapper
