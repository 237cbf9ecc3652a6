#!/bin/sh
# Sets this checkout up: Python environment, box, Lance's source, measuring program.
#
#   sh tools/bootstrap.sh          what `make setup` and `make demo` run
#   sh tools/bootstrap.sh --dev    with pytest, ruff, mypy: `make test` and `make check`
#
# Needs git, Python >= 3.11 and a Rust toolchain >= 1.94. Everything it makes lies in .venv/
# and .lar/ of this checkout; as root on Debian it also installs system packages that are
# missing, and says so first. Run again at any time: a finished step is recognised by a digest
# of what went into it (.lar/stamps/) and skipped. Exit codes: 0 ready, 2 something is missing
# that you must install (the lines to run are printed), else the code of the step that failed.
set -eu

RUST_MIN_MINOR=94
PYTHONS="python3 python3.14 python3.13 python3.12 python3.11"

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root"
stamps=.lar/stamps
again="make ${LAR_GOAL:-setup}"

trap 'exit 130' INT

say() { printf '%s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }
works() { "$1" --version >/dev/null 2>&1; }
digest() { if has sha256sum; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }
now() { date +%s; }
stop() { # what, next
    printf 'error: %s\n  next:    %s\n' "$1" "$2" >&2
    exit 2
}

[ "$(uname -s)" = Linux ] || {
    stop "kernels are judged in a Linux sandbox, and $(uname -s | sed s/Darwin/macOS/) has none" \
        "a Linux machine or virtual machine; then there: $again"
}

mkdir -p "$stamps" 2>/dev/null && [ -w "$stamps" ] || {
    stop "cannot write below $root/.lar: does it belong to another user?" \
        "clone to a directory of your own, then there: $again"
}

# ---- what must be there: all of it is looked for before anything stops ------------------------

lacking=
lacks() { # what, then lines: how to get it
    lacking="$lacking
missing: $1"
    shift
    for line in "$@"; do
        lacking="$lacking
    $line"
    done
}

# As root on Debian, small system packages are installed rather than asked for.
can_apt() { [ "$(id -u)" = 0 ] && has apt-get; }
apt_quietly() { DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >/dev/null 2>&1 </dev/null; }
apt_install() { # what for, packages: fresh images need the lists first, hence the second try
    can_apt || return 1
    what=$1
    shift
    say "$what: missing, so this runs as root: apt-get install $*"
    apt_quietly install -y --no-install-recommends "$@" ||
        { apt_quietly update && apt_quietly install -y --no-install-recommends "$@"; }
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

rust_minor() { "$1" --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p'; }
new_enough() { [ -n "$1" ] && [ "$1" -ge "$RUST_MIN_MINOR" ]; }

check_rust() {
    minor=$(rust_minor rustc)
    if new_enough "$minor" && works cargo; then return 0; fi
    own=${CARGO_HOME:-${HOME:-}/.cargo}/bin
    if ! has rustc; then
        found="no rustc on PATH"
    elif [ -z "$minor" ]; then
        found="$(command -v rustc) does not run: $(rustc --version 2>&1 | sed -n 1p)"
    elif new_enough "$minor"; then
        found="rustc 1.$minor, but no cargo that runs"
    else
        found="$(command -v rustc) is $(rustc --version | cut -d' ' -f2)"
    fi
    if new_enough "$(rust_minor "$own/rustc")"; then
        set -- "there is a new one in $own; put it first: PATH=\"$own:\$PATH\" $again"
    elif has rustup || [ -x "$own/rustup" ]; then
        rustup=$(command -v rustup || printf '%s\n' "$own/rustup")
        set -- "$rustup update stable && $rustup default stable" "PATH must begin with $own"
    else
        set -- "install rustup, as its site rustup.rs says, then open a new shell"
    fi
    if line=$(rust_from_apt); then set -- "$@" "or, as root: $line"; fi
    lacks "a Rust toolchain, rustc and cargo >= 1.$RUST_MIN_MINOR ($found)" "$@"
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

# uv: already there, or one that venv or pip can bring.
find_uv() {
    for candidate in uv "${HOME:-$root/.lar/home}/.local/bin/uv" .lar/uv/bin/uv; do
        if works "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}
can_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }
can_pip() { "$python" -m pip --version >/dev/null 2>&1; }

check_python() {
    if ! python=$(find_python); then
        lacks "Python >= 3.11" "Debian 12 or newer, as root: apt-get install python3 python3-venv"
    elif ! find_uv >/dev/null && ! can_venv && ! can_pip && ! can_apt; then
        lacks "Python's venv module ($python has neither venv nor pip)" \
            "Debian, as root: apt-get install python3-venv"
    fi
}

# ---- making -----------------------------------------------------------------------------------

# step NAME DIGEST PRODUCT TITLE COMMAND...: run COMMAND unless PRODUCT exists and DIGEST is
# stamped. What it prints is shown only when it fails.
step() {
    name=$1 want=$2 product=$3 title=$4
    shift 4
    if [ -e "$product" ] && [ "$(cat "$stamps/$name" 2>/dev/null)" = "$want" ]; then
        return 0
    fi
    printf '%s ... ' "$title"
    began=$(now)
    log=$stamps/$name.log
    "$@" >"$log" 2>&1 </dev/null || {
        code=$?
        say "failed"
        cat "$log" >&2
        say "error: $title: exit code $code; all it said is above, and in $log" >&2
        say "  next:    fix that, then again: $again" >&2
        exit "$code"
    }
    printf '%s\n' "$want" >"$stamps/$name"
    say "done in $(($(now) - began)) s"
}

uv_by_venv() {
    rm -rf .lar/uv
    "$python" -m venv .lar/uv &&
        .lar/uv/bin/python -m pip install --quiet --disable-pip-version-check --retries 2 uv
}
uv_by_pip() {
    rm -rf .lar/uv
    "$python" -m pip install --quiet --disable-pip-version-check --retries 2 --target .lar/uv uv
}
make_uv() {
    if can_venv && uv_by_venv && works .lar/uv/bin/uv; then return 0; fi
    if can_pip && uv_by_pip && works .lar/uv/bin/uv; then return 0; fi
    say "uv, which installs the Python packages, cannot be had: is the network up? pip's own"
    say "settings count (PIP_INDEX_URL, PIP_CERT, HTTPS_PROXY); an installed uv is used too"
    return 1
}

sync_environment() {
    UV_COMPILE_BYTECODE_TIMEOUT=600 UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT="$root/.venv" \
        "$uv" sync --frozen --quiet --compile-bytecode --python "$python" "$@"
}

make_environment() { # digest, group
    if ! uv=$(find_uv); then
        can_venv || can_pip || apt_install "Python's venv module" python3-venv || :
        rm -f "$stamps/uv"  # it is not there, or does not run
        step uv "" .lar/uv "uv, into .lar/uv" make_uv
        uv=.lar/uv/bin/uv
    fi
    step environment "$1" .venv/bin/lar "Python packages, into .venv" sync_environment "$2"
}

# Whether this user may write where a tool keeps its downloads; else they go to .lar/.
writable() {
    place=$1
    while [ ! -e "$place" ] && [ "$place" != / ]; do place=$(dirname -- "$place"); done
    [ -w "$place" ]
}
keep_downloads_here() {
    home=${HOME:-$root/.lar/home}
    if ! writable "${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$home/.cache}/uv}"; then
        export UV_CACHE_DIR="$root/.lar/home/uv"
    fi
    if ! writable "${CARGO_HOME:-$home/.cargo}"; then
        export CARGO_HOME="$root/.lar/home/cargo"
    fi
}

# bubblewrap is wanted, not demanded: lar falls back to Landlock, and says so.
bubblewrap_starts() {
    bwrap --unshare-all --ro-bind / / --proc /proc true >/dev/null 2>&1
}
offer_box() {
    if [ "$(uname -s)" != Linux ] || [ -e "$stamps/box-note" ]; then return 0; fi
    has bwrap || apt_install bubblewrap bubblewrap || :
    if bubblewrap_starts; then return 0; fi
    if has bwrap; then
        say "note: bubblewrap does not start here (no user namespaces?); ./lar doctor says more"
    else
        say "note: no bubblewrap; better: apt-get install bubblewrap, as root"
    fi
    say "      kernels run in the weaker box of Landlock instead, where the system has that"
    : >"$stamps/box-note"
}

conductor_sources() { find rust -name target -prune -o -type f -print | LC_ALL=C sort; }

# A development environment serves a user too, so plain `make setup` never takes tools away.
env_digest=$({ cat pyproject.toml uv.lock; printf '%s\n' "$root"; } | digest)
stamped=$(cat "$stamps/environment" 2>/dev/null || :)
if [ "${1:-}" = --dev ] || [ -x .venv/bin/pytest ]; then
    env_digest="$env_digest dev"
    group=--dev
else
    group=--no-dev
fi
environment_stands() { [ -x .venv/bin/lar ] && [ "$stamped" = "$env_digest" ]; }

has git || lacks "git" "Debian, as root: apt-get install git"
has cc || can_apt || lacks "a C linker (cc), which rustc calls" \
    "Debian, as root: apt-get install gcc libc6-dev"
check_rust
environment_stands || check_python
if [ -n "$lacking" ]; then
    printf '%s\n' "${lacking#?}" "then again: $again" >&2
    exit 2
fi

has cc || apt_install "C linker" gcc libc6-dev ||
    stop "apt-get could not install gcc and libc6-dev" "apt-get install gcc libc6-dev; $again"
keep_downloads_here
environment_stands || make_environment "$env_digest" "$group"
offer_box

if [ -f upstream.toml ]; then
    fetch_digest=$(cat upstream.toml upstream.lock 2>/dev/null | digest)
    step upstream "$fetch_digest" .lar/upstream "Lance's source, fetched and verified" \
        ./lar upstream fetch
fi

if [ -f rust/Cargo.toml ]; then
    rust_digest=$({ conductor_sources; conductor_sources | xargs cat; rustc -vV; } | digest)
    step conductor "$rust_digest" .lar/bin/lar-conductor "measuring program, compiled" \
        ./lar doctor --build
fi

say "ready: $root"
