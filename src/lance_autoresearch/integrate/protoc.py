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
    installer = [sys.executable, "-m", "pip"]
    if shutil.which("uv"):
        installer = ["uv", "pip"]
    done = subprocess.run(
        [*installer, "install", "--quiet", "--target", str(home / "packages"), PACKAGE],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    packages = home / "packages"
    includes = packages / "grpc_tools" / "_proto"
    text = (
        f"#!/bin/sh\nPYTHONPATH='{packages}' exec '{sys.executable}' -m grpc_tools.protoc "
        f"\"$@\" -I'{includes}'\n"
    )
    write_atomically(wrapper, text.encode(), mode=0o755)
    if done.returncode or not is_working(wrapper):
        raise MachineError(
            f"no protoc, and {PACKAGE} did not help: {done.stderr.strip()[-200:]}",
            where="lar integrate setup", next=FIX,
        )  # fmt: skip
    return wrapper
