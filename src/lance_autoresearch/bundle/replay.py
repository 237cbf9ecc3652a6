"""Part 8: raw records, digests, and one command that makes a figure again from the bundle alone.

    write_replay(root, folder, splice, "14.0.2", kernel)     what could not be written

`replay.sh` needs cargo, patch and a registry: it sources the published crate, patches a copy, links
both into one program and runs them in turn. Nothing of this project is needed, nor this machine.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lance_autoresearch.bundle.blockers import select_end_to_end
from lance_autoresearch.calibration.machine_records import load_records
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.machine import describe_origin
from lance_autoresearch.integrate.splice import Splice
from lance_autoresearch.ledger import hash_bytes

SOURCE = "replay.rs"
SCRIPT = """\
#!/bin/sh
# Makes a figure of this bundle again: ./replay.sh [SEED]
# Needs cargo, patch and a registry of crates (or its cache). Writes only below work/.
set -eu
cd "$(dirname "$0")"
sha256sum --quiet -c SHA256SUMS
mkdir -p work
CARGO_TARGET_DIR=$PWD/work/target; export CARGO_TARGET_DIR
case $(uname -m) in
x86_64) RUSTFLAGS='-C target-cpu=haswell -C target-feature=+avx2,+fma,+f16c'; export RUSTFLAGS ;;
esac
get_sources() { # name, version: the published sources, in work/name
    mkdir -p "work/get-$1/src"
    : > "work/get-$1/src/lib.rs"
    printf '[package]\\nname = "sources"\\nversion = "0.0.0"\\nedition = "2024"\\n[workspace]\\n' \\
        > "work/get-$1/Cargo.toml"
    printf '[dependencies]\\n%s = "=%s"\\n' "$1" "$2" >> "work/get-$1/Cargo.toml"
    manifest=$(cargo metadata --format-version 1 --manifest-path "work/get-$1/Cargo.toml" |
        tr '"' '\\n' | grep "/$1-$2/Cargo.toml\\$" | head -1)
    rm -rf "work/$1"
    cp -R "$(dirname "$manifest")" "work/$1"
    chmod -R u+w "work/$1"
}
"""
CARGO = """\
[package]
name = "replay"
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[[bin]]
name = "replay"
path = "replay.rs"

[profile.release]
codegen-units = 1
"""


def write_replay(
    root: Path, folder: Path, splice: Splice, version: str, kernel: bytes
) -> list[str]:
    """Write replay.sh, replay/, raw/ and SHA256SUMS; returns what is missing."""
    missing = _write_raw(root, folder, splice.target, version, kernel)
    source = root / "targets" / splice.target / "integration" / SOURCE
    if not source.is_file():
        return [*missing, f"no replay: targets/{splice.target}/integration/{SOURCE} is not written"]
    crates = splice.pull.get("replay", list(splice.crates)[:1])
    depends = [f'base = {{ package = "{crates[0]}", version = "={version}" }}',
               f'patched = {{ package = "{crates[0]}", path = "../work/{crates[0]}" }}',
               *splice.pull.get("replay_dependencies", ())]  # fmt: skip
    manifest = CARGO + "\n[dependencies]\n" + "\n".join(depends) + "\n"
    write_atomically(folder / "replay" / "Cargo.toml", manifest.encode())
    write_atomically(folder / "replay" / "replay.rs", source.read_bytes())
    sources = "".join(f"get_sources {crate} {version}\n" for crate in splice.crates)
    run = ('patch -s -p1 -d work < patch/crates.patch\n'
           'exec cargo run --quiet --release --manifest-path replay/Cargo.toml -- "$@"\n')
    write_atomically(folder / "replay.sh", (SCRIPT + sources + run).encode(), mode=0o755)
    names = ["patch/crates.patch", "replay/Cargo.toml", "replay/replay.rs"]
    sums = (f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    write_atomically(folder / "SHA256SUMS", "".join(sums).encode())
    return missing


def _write_raw(root: Path, folder: Path, target: str, version: str, kernel: bytes) -> list[str]:
    digest, missing = hash_bytes(kernel), []
    records = [record for record in load_records(root)
               if record.target == target and record.champion == digest]  # fmt: skip
    for record in records:
        name = record.path.replace("/", "-")
        write_atomically(folder / "raw" / name, (root / record.path).read_bytes())
    if not records:
        missing.append("raw figures: no machine was recorded with this champion")
    whole = select_end_to_end(root, target)
    for verdict in whole:
        text = json.dumps(verdict, indent=1).encode()
        write_atomically(folder / "raw" / f"queries-{verdict['cpu_kind']}.json", text)
    if not whole:
        missing.append("raw pairs of whole queries: none were recorded")
    facts = {
        "v": 1, "target": target, "lance": version, "champion": digest,
        "tool": describe_origin(root),
        "toolchains": sorted({record.toolchain for record in records}),
        "note": "seeds of the pools are secret until their epoch ends; the ledger's rows name them",
    }
    write_atomically(folder / "raw" / "facts.json", json.dumps(facts, indent=1).encode())
    return missing
