#!/bin/sh
# Sets this checkout up: Python environment, box, Lance's source, measuring program.
#
#   sh tools/bootstrap.sh          what `make setup` and `make demo` run
#   sh tools/bootstrap.sh --dev    with pytest, ruff, mypy: `make test` and `make check`
#
# Needs git, Python >= 3.11 and a Rust toolchain >= 1.94. Everything it makes lies in .venv/
# and .lar/ of this checkout. Run again at any time: a finished step is recognised by a digest
# of what went into it (.lar/stamps/) and skipped. Exit codes: 0 ready, 2 something is missing
# that you must install (the line to run is printed), else the code of the step that failed.
set -eu

RUST_MIN_MINOR=94
PYTHONS="python3 python3.14 python3.13 python3.12 python3.11"

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
stamps=.lar/stamps
mkdir -p "$stamps"

say() { printf '%s\n' "$*"; }
missing() { # what, how to get it
    printf 'missing: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '    %s\n' "$line" >&2; done
    exit 2
}
is_root() { [ "$(id -u)" = 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }
digest() { if has sha256sum; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }
now() { date +%s; }

# step NAME DIGEST PRODUCT COMMAND...: run COMMAND unless PRODUCT exists and DIGEST is stamped.
# What it prints is shown only when it fails.
step() {
    name=$1 want=$2 product=$3
    shift 3
    if [ -e "$product" ] && [ "$(cat "$stamps/$name" 2>/dev/null)" = "$want" ]; then
        return 0
    fi
    say "$name ..."
    began=$(now)
    log=$stamps/$name.log
    "$@" >"$log" 2>&1 || {
        code=$?
        cat "$log" >&2
        say "$name: failed (exit $code)" >&2
        exit "$code"
    }
    printf '%s\n' "$want" >"$stamps/$name"
    say "$name: done in $(($(now) - began)) s"
}

# apt may need its lists first; a second try after `update` covers fresh images.
apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null 2>&1 ||
        { apt-get update -qq >/dev/null 2>&1 &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null 2>&1; }
}

find_python() {
    for candidate in ${PYTHON:-} $PYTHONS; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))'
            return 0
        fi
    done
    return 1
}

# Debian packages Rust under two names; recommend one only where it is new enough.
rust_from_apt() {
    has apt-cache || return 1
    for package in rustc-web rustc; do
        minor=$(apt-cache policy "$package" 2>/dev/null |
            sed -n 's/^ *Candidate: 1\.\([0-9]*\)\..*/\1/p')
        if [ -n "$minor" ] && [ "$minor" -ge "$RUST_MIN_MINOR" ]; then
            printf 'apt-get install %s cargo%s\n' "$package" "${package#rustc}"
            return 0
        fi
    done
    return 1
}

check_rust() {
    minor=$(rustc --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p') || minor=
    if has cargo && [ -n "$minor" ] && [ "$minor" -ge "$RUST_MIN_MINOR" ]; then return 0; fi
    found="none found"
    if [ -n "$minor" ]; then found="found $(rustc --version | cut -d' ' -f2)"; fi
    if line=$(rust_from_apt); then set -- "or: $line"; else set --; fi
    missing "Rust toolchain (rustc and cargo >= 1.$RUST_MIN_MINOR; $found)" \
        "install it with rustup, from rustup.rs: rustup toolchain install stable" "$@" \
        "then: make setup"
}

works() { "$1" --version >/dev/null 2>&1; }

# uv, by the first way that works: already there; pip in a private environment; pip into a
# private directory (no venv module needed); the system's venv package, as root.
find_uv() {
    for candidate in uv "${HOME:-/nonexistent}/.local/bin/uv" .lar/uv/bin/uv; do
        if works "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    make_uv >&2 || return 1
    printf '%s\n' .lar/uv/bin/uv
}

uv_by_venv() {
    rm -rf .lar/uv
    "$python" -m venv .lar/uv >/dev/null 2>&1 &&
        .lar/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
}
uv_by_pip() {
    rm -rf .lar/uv
    "$python" -m pip install --quiet --disable-pip-version-check --target .lar/uv uv 2>/dev/null
}
make_uv() {
    say "uv: not found, installing it into .lar/uv"
    if uv_by_venv && works .lar/uv/bin/uv; then return 0; fi
    if uv_by_pip && works .lar/uv/bin/uv; then return 0; fi
    if is_root && has apt-get && apt_install python3-venv; then
        if uv_by_venv && works .lar/uv/bin/uv; then return 0; fi
    fi
    return 1
}

sync_environment() {
    UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT="$root/.venv" \
        "$uv" sync --frozen --quiet --compile-bytecode --python "$python" "$@"
}

# The box is wanted, not demanded: lar falls back to Landlock and says so.
offer_box() {
    if [ "$(uname -s)" != Linux ] || has bwrap || [ -e "$stamps/box-note" ]; then return 0; fi
    if is_root && has apt-get && apt_install bubblewrap; then
        say "bubblewrap: installed"
        return 0
    fi
    say "note: no bubblewrap, kernels will run in a weaker box; to mend: apt-get install bubblewrap"
    : >"$stamps/box-note"
}

conductor_sources() { find rust -name target -prune -o -type f -print | LC_ALL=C sort; }

has cc || missing "a C linker (cc)" "Debian: apt-get install gcc libc6-dev"
has git || missing "git" "Debian: apt-get install git"
check_rust

# A development environment serves a user too, so plain `make setup` never takes tools away.
env_digest=$({ cat pyproject.toml uv.lock; printf '%s\n' "$root"; } | digest)
stamped=$(cat "$stamps/environment" 2>/dev/null || :)
if [ "${1:-}" = --dev ] || [ -x .venv/bin/pytest ]; then
    env_digest="$env_digest dev"
    group=--dev
else
    group=--no-dev
fi
if [ ! -x .venv/bin/lar ] || [ "$stamped" != "$env_digest" ]; then
    python=$(find_python) ||
        missing "Python >= 3.11" "Debian 12 or newer: apt-get install python3"
    uv=$(find_uv) || missing "uv, and no way to install it" \
        "as root on Debian: apt-get install python3-venv" "then: make setup"
    step environment "$env_digest" .venv/bin/lar sync_environment "$group"
fi

offer_box

if [ -f upstream.toml ]; then
    fetch_digest=$(cat upstream.toml upstream.lock 2>/dev/null | digest)
    step upstream "$fetch_digest" .lar/upstream .venv/bin/lar upstream fetch
fi

if [ -f rust/Cargo.toml ]; then
    rust_digest=$({ conductor_sources; conductor_sources | xargs cat; rustc -vV; } | digest)
    step conductor "$rust_digest" .lar/bin/lar-conductor .venv/bin/lar doctor --build
fi

say "ready: $root"
