"""The box, for real: what hostile programs and hostile builds end in, as root and as nobody.

A kernel here has passed no admission and no audit: only the fence stands.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conductor_parts import HONEST, library, rustc, write_pool
from tiers import fast_for, fast_pairs

from lance_autoresearch.bench.conductor import PROGRAMS, Conductor, ensure_built
from lance_autoresearch.build import builder
from lance_autoresearch.errors import MachineError, RejectedKernel
from lance_autoresearch.host import landlock, sandbox
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.rules.policy import BUILD_LIMITS, BuildLimits

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
SECRET = "the-host-keeps-this-to-itself"

pytestmark = pytest.mark.skipif(sandbox.find_bubblewrap() is None, reason="no bubblewrap here")

C = 'unsafe extern "C" {{ {} }}'
HOSTILE: dict[str, tuple[str, str, set[str]]] = {
    # name: (head, body, faults that are right)
    "connect": ("", 'let _ = std::net::TcpStream::connect("127.0.0.1:@PORT");', {"sandbox"}),
    "host file": ("", 'let _ = std::fs::read("@SECRET");', {"sandbox"}),
    "fork bomb": (C.format("fn fork() -> i32;"), "loop { unsafe { fork(); } }", {"sandbox"}),
    "ptrace": (C.format("fn ptrace(a: i64, b: i64, c: i64, d: i64) -> i64;"),
               "unsafe { ptrace(16, 1, 0, 0); }", {"sandbox"}),
    "kill": (C.format("fn kill(pid: i32, signal: i32) -> i32;"),
             "unsafe { kill(-1, 9); }", {"sandbox"}),
    "memory bomb": ("", "let mut all = Vec::new(); loop { all.push(vec![1u8; 1 << 20]); "
                        "std::hint::black_box(&mut all); }", {"memory", "signal", "timeout"}),
    "deadlock": ("", "let lock = std::sync::Mutex::new(1); let _one = lock.lock(); "
                     "std::hint::black_box(&lock); let _two = lock.lock();",
                 {"timeout", "sandbox", "poison", "panic"}),
    "endless loop": ("", "loop { std::hint::black_box(1); }", {"timeout"}),
    "stack overflow": ("#[inline(never)] fn deep(n: u64) -> u64 { let a = [n; 64]; "
                       "std::hint::black_box(&a); deep(n + 1) + a[3] }",
                       "out[0] = deep(1) as f32;", {"stack"}),
    "descriptor flood": (C.format("fn dup(fd: i32) -> i32;"), "loop { unsafe { dup(0); } }",
                         {"sandbox"}),
    "output flood": (C.format("fn write(fd: i32, p: *const u8, n: usize) -> isize;"),
                     "loop { unsafe { write(1, a.as_ptr().cast(), 1024); } }", {"sandbox"}),
    "sleep": ("", "std::thread::sleep(std::time::Duration::from_secs(99));", {"sandbox"}),
    "exec": (C.format("fn execve(p: *const i8, a: *const u8, e: *const u8) -> i32;"),
             'unsafe { execve(c"/bin/sh".as_ptr().cast(), std::ptr::null(), std::ptr::null()); }',
             {"sandbox"}),
}  # fmt: skip

DRIVER = """
import json, sys, time
from pathlib import Path
from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.rules.policy import MeasuringLimits
home, names, box = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
pools = [(home / "toy.pool", home / "toy.expected")]
ends = {}
with Conductor(home, bin_dir=home, box=box, limits=MeasuringLimits(heap_mb=256)) as conductor:
    for name in names:
        begun = time.monotonic()
        fault = conductor.check_pools(home / f"{name}.so", pools, seed=5).fault
        ends[name] = [fault.kind if fault else "passes", time.monotonic() - begun]
    ends["honest"] = [str(conductor.check_pools(home / "honest.so", pools, seed=6).fault), 0]
print(json.dumps(ends))
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Programs, libraries and a pool where any user can read them; a listener on loopback."""
    place = Path(tempfile.mkdtemp(prefix="lar-box-"))
    place.chmod(0o755)
    shutil.copytree(ROOT / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in PROGRAMS:
        shutil.copy2(ensure_built(ROOT) / name, place / name)
    rustc(ROOT / "rust/shim/lib.rs", place / "liblar_shim.rlib", "rlib", "--crate-name", "lar_shim")
    (place / "secret").write_text(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        for name, (head, body, _) in {**HOSTILE, "honest": ("", HONEST, set())}.items():
            body = body.replace("@PORT", str(listener.getsockname()[1]))
            body = body.replace("@SECRET", str(place / "secret"))
            quiet = "#![allow(unused, unconditional_recursion)]\n"
            (place / "one.rs").write_text(quiet + library(body, head))
            rustc(place / "one.rs", place / f"{name}.so", "cdylib",
                  "--extern", f"lar_shim={place / 'liblar_shim.rlib'}")
        args = [[np.full(256, i, np.float32) for _ in range(2)] for i in range(4)]
        write_pool(place / "toy.pool", args, [[1024]] * 4, [{"rule": "bits32", "elem": 4}])
        with Conductor(ROOT) as conductor:
            pool = place / "toy.pool"
            expected = conductor.write_expected(
                place / "honest.so", pool, pool.with_suffix(".expected")
            )
            assert expected.fault is None
        for path in place.rglob("*"):
            path.chmod(0o755)
        yield place
        with pytest.raises(TimeoutError):  # nobody ever came
            listener.accept()
    shutil.rmtree(place)


def workers() -> int:
    """Processes that run kernels now, with their end not yet collected."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += entry.read_bytes() == b"lar-worker\0worker\0"
        except OSError:
            continue
    return found


def as_user(uid: int) -> list[str]:
    """Words in front of a command that run it as this user."""
    if uid == os.getuid():
        return []
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody else")
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


@pytest.mark.parametrize(
    ("uid", "box"),
    fast_pairs(itertools.product([os.getuid(), NOBODY], ["bwrap", "landlock"]),
               (os.getuid(), "bwrap"), (NOBODY, "landlock")),
)
def test_every_bomb_ends_in_its_verdict_within_its_limit(uid: int, box: str, home: Path) -> None:
    words = [sys.executable, "-B", "-c", DRIVER, str(home), json.dumps(list(HOSTILE)), box]
    command = [*as_user(uid), *words]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(home / "src")}
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=120)
    if "cannot enforce" in done.stderr:
        pytest.skip("no Landlock in this kernel")
    assert done.returncode == 0, done.stderr[-2000:]
    ends = json.loads(done.stdout)
    wrong = {n: e for n, e in ends.items() if n != "honest" and e[0] not in HOSTILE[n][2]}
    assert not wrong
    assert ends["honest"][0] == "None"
    assert max(seconds for _, seconds in ends.values()) < 20
    assert SECRET not in done.stdout + done.stderr


def test_nothing_is_left_running(home: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(home), '["fork bomb", "endless loop"]', "bwrap"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(home / "src")}
    before = workers()
    subprocess.run(command, env=env, cwd=home, capture_output=True, timeout=60, check=True)
    end = time.monotonic() + 5
    while workers() > before and time.monotonic() < end:
        time.sleep(0.05)
    assert workers() <= before


# ---- the build's box ---------------------------------------------------------------------

SURFACE = """
pub fn scan8(_: &[f32], _: usize, _: &[u8], out: &mut [f32]) { out.fill(X.len() as f32) }
pub fn table_l2(_: &[f32], _: usize, q: &[f32], out: &mut [f32]) { out.fill(q[0]) }
"""
READS = {
    "include": 'const X: &str = include_str!("@SECRET");',
    "include through a macro": """
        macro_rules! part { ($a:ident $b:ident ($($x:tt)*)) => { $a$b!($($x)*) } }
        macro_rules! from { ($m:ident, $p:expr) => { $m!($p) } }
        const X: &str = from!(include_str, "@SECRET");""",
    "module by path": '#[path = "@SECRET"] mod stolen; const X: &str = "";',
    "environment": 'const X: &str = env!("HOME");',
    "assembler": 'core::arch::global_asm!(".incbin \\"@SECRET\\""); const X: &str = "";',
    "passwd": 'const X: &[u8] = include_bytes!("/etc/passwd");',
    "proc macro": """
        extern crate proc_macro;
        #[proc_macro] pub fn run(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
            std::process::exit(0) }
        const X: &str = "";""",
}


@pytest.mark.parametrize("name", READS)
def test_the_build_sandbox_hides_the_host(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.rs"
    secret.write_text(f"// {SECRET}\n")
    text = (READS[name].replace("@SECRET", str(secret)) + SURFACE).encode()
    with pytest.raises(RejectedKernel) as by_words:
        admit(text)
    with pytest.raises(RejectedKernel) as by_box:
        builder.build_kernel(find_root(), "pq-l2", text)
    assert SECRET not in str(by_words.value) + str(by_box.value)


@pytest.fixture
def without_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "find_bubblewrap", lambda: None)


@pytest.mark.skipif(landlock.read_version() < 1, reason="no Landlock in this kernel")
@pytest.mark.parametrize("name", ["include through a macro", "assembler"])
def test_landlock_hides_the_host_from_a_build_too(
    name: str, tmp_path: Path, without_bubblewrap: None
) -> None:
    secret = tmp_path / "secret.rs"
    secret.write_text(f"// {SECRET}\n")
    honest = f"// {secret}\nconst X: &str = \"\";" + SURFACE
    assert builder.build_kernel(find_root(), "pq-l2", honest.encode()).box == "landlock"
    with pytest.raises(RejectedKernel) as refused:
        text = READS[name].replace("@SECRET", str(secret)) + SURFACE
        builder.build_kernel(find_root(), "pq-l2", text.encode())
    assert SECRET not in str(refused.value)


def test_without_any_sandbox_nothing_is_built_or_run(
    without_bubblewrap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "read_version", lambda: 0)
    monkeypatch.delenv(sandbox.UNBOXED, raising=False)
    text = f"const X: &str = \"{time.time_ns()}\";" + SURFACE
    with pytest.raises(MachineError, match="no box for untrusted code"):
        builder.build_kernel(find_root(), "pq-l2", text.encode())
    with pytest.raises(MachineError, match="no box for untrusted code"):
        Conductor(find_root())


BUILDER = """
import json, sys
from pathlib import Path
from lance_autoresearch.host import sandbox
work, secret, box = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
sys.executable = sys.argv[4]
script = f"cat {secret}; ls -A /root {secret}/..; echo x > made; echo y > {secret}.y"
limits = sandbox.ResourceLimits(seconds=5, memory_bytes=1 << 28, file_bytes=1 << 16)
for part in (script, "yes > flood", "sleep 60 & sleep 60"):
    done = sandbox.run_sandboxed(["/bin/sh", "-c", part], workdir=work, box=box, limits=limits)
    print(json.dumps([done.code, done.killed, (done.stdout + done.stderr).decode()[:4000]]))
"""


@pytest.mark.parametrize("box", ["bwrap", "landlock"])
def test_the_build_sandbox_holds_for_an_ordinary_user(box: str, home: Path) -> None:
    if box == "landlock" and landlock.read_version() < 1:
        pytest.skip("no Landlock in this kernel")
    user = as_user(NOBODY)
    python = shutil.which("python3", path="/usr/bin")  # ours may lie where only root looks
    if python is None:
        pytest.skip("no python3 that everybody can start")
    work = Path(tempfile.mkdtemp(prefix="lar-box-"))
    try:
        os.chown(work, NOBODY, NOBODY)
        words = [sys.executable, "-B", "-c", BUILDER, str(work), str(home / "secret"), box, python]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(home / "src")}
        done = subprocess.run([*user, *words], env=env, cwd=home, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        reads, flood, sleep = map(json.loads, done.stdout.splitlines())
        assert SECRET not in done.stdout and (work / "made").read_text() == "x\n"
        assert not (home / "secret.y").exists() and reads[1] is None
        assert flood[0] != 0 and (work / "flood").stat().st_size <= 1 << 16
        assert sleep[1] == "timeout"
    finally:
        shutil.rmtree(work)


def test_a_real_build_is_bounded_too() -> None:
    assert BUILD_LIMITS.cpu_seconds <= 20 and BUILD_LIMITS.wall_seconds <= 120
    assert builder.LIMITS.memory_bytes <= 8 << 30


COSTLY = {
    "endless constant": "const X: [u8; 1] = { let mut i = 0u64; "
                        "while i < u64::MAX { i += 1; } [1] };",
    "twenty gigabytes": "static BIG: [u64; 2684354560] = [1; 2684354560]; const X: &str = \"\";"
                        "pub fn big() -> u64 { BIG[7] }",
    "types without end": """
        trait Deep { fn go(); } impl<T> Deep for (T, T) where (T, (T, T)): Deep { fn go() {} }
        pub fn f() { <(u8, u8) as Deep>::go() } const X: &str = "";""",
    "macro without end": """
        macro_rules! more { ($($x:tt)*) => { more!($($x)* $($x)* a) } }
        more!(a a); const X: &str = "";""",
}  # fmt: skip


@pytest.mark.parametrize("name", fast_for(COSTLY, "macro without end"))
def test_a_costly_build_is_refused_within_its_limit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = sandbox.ResourceLimits(seconds=120, memory_bytes=3 << 30, output_bytes=1 << 20)
    monkeypatch.setattr(builder, "LIMITS", limits)
    monkeypatch.setattr(builder, "BUILD_LIMITS", BuildLimits(trusted_seconds=10))
    begun = time.monotonic()
    with pytest.raises(RejectedKernel):
        builder.build_kernel(find_root(), "pq-l2", (COSTLY[name] + SURFACE).encode())
    assert time.monotonic() - begun < 60
