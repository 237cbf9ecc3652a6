"""The scripted agent of an endurance run: what it proposes, turn by turn.

    0001.kind  slow     0001.rs  a right kernel, slower by a delay of its own
    0002.kind  cheat    0002.rs  one of targets/*/cheats
    agent.sh            hands out the next one, crashes, hangs, or talks too much

Every idea has a number, which stands in its hypothesis: so a row that was lost or written twice
shows. The counter moves before the kernel is written: a turn that is killed is not made again.
"""

from __future__ import annotations

import random
from pathlib import Path

TARGET = "pq-l2"
ODDS: dict[str, float] = {
    "token": 46, "compile": 10, "wrong": 13, "panic": 5, "cheat": 4, "slow": 0.5, "known": 2,
    "talk": 7, "crash": 4, "big": 2, "hang": 0.5, "idle": 2,
}
"""How often each kind comes; few that are timed, which takes long on a busy machine."""
VERDICTS: dict[str, frozenset[str]] = {
    "token": frozenset({"rejected"}),
    "compile": frozenset({"rejected"}),
    "talk": frozenset({"rejected"}),
    "wrong": frozenset({"incorrect"}),
    "panic": frozenset({"incorrect", "rejected"}),
    "cheat": frozenset({"incorrect", "rejected", "revert"}),
    "slow": frozenset({"revert"}),
    "known": frozenset({"revert"}),
    "better": frozenset({"keep", "revert"}),
}
"""What a kind may end in, `inconclusive` aside. The others bring no kernel at all."""
BETTER = {4: "01-table-tree.rs", 90: "03-gather-scan.rs", 200: "06-wide-table-knobs.rs"}
"""Turns in which a kernel that is faster is proposed."""

AGENT = r"""#!/bin/sh
# Proposes the next idea of a list.
n=$(cat "$HOME/n" 2>/dev/null || echo 0); n=$((n + 1))
echo $n > "$HOME/n.new"; mv "$HOME/n.new" "$HOME/n"
idea=$(printf '%s/%04d' "@IDEAS@" $n); kind=$(cat "$idea.kind")
case $kind in
crash) head -c 900 "$idea.rs" > kernels.rs; kill -SEGV $$ ;;
hang) sleep 600 ;;
idle) echo "May I change another file?"; exit 0 ;;
big) head -c 3000000 /dev/zero | tr '\0' ' ' > kernels.rs ;;
talk) head -c 20000000 /dev/zero | tr '\0' 'x'; echo
      cat "$idea.rs" > kernels.rs ;;
*) cat "$idea.rs" > kernels.rs ;;
esac
words=$([ $kind = talk ] && head -c 300000 /dev/zero | tr '\0' 'w')
printf '{"hypothesis": "idea %d %s %s", "tokens": 100, "cost_usd": 0.001}\n' $n $kind "$words"
"""


def write(place: Path, ideas: Path, *, turns: int, seed: int, timed: float) -> None:
    """All ideas of a run and the agent that hands them out; `timed` multiplies slow kernels."""
    ideas.mkdir(parents=True, exist_ok=True)
    base = (place / ".lar" / "extracts" / TARGET / "kernel.rs").read_text()
    cheats = sorted((place / "targets" / TARGET / "cheats").glob("*.rs"))
    records = place / "records" / "ideas" / TARGET
    dice = random.Random(seed)
    for turn in range(1, turns + 1):
        odds = {**ODDS, "slow": timed * ODDS["slow"]}
        (kind,) = dice.choices(list(odds), list(odds.values()))
        if turn in BETTER:
            kind, text = "better", (records / BETTER[turn]).read_text()
        elif kind == "cheat":
            text = dice.choice(cheats).read_text()
        else:
            text = kernel(kind, base, turn)
        (ideas / f"{turn:04d}.kind").write_text(kind)
        (ideas / f"{turn:04d}.rs").write_text(f"{text}\n// idea {turn}\n")
    (ideas / "agent.sh").write_text(AGENT.replace("@IDEAS@", str(ideas)))


def kernel(kind: str, base: str, turn: int) -> str:
    """The text of an idea made from Lance's own; different code for each turn."""
    if kind in ("token", "talk"):
        return base + f"\nfn peek_{turn}() {{ let _ = std::fs::read(\"/etc/hostname\"); }}\n"
    if kind == "compile":
        return base + f"\nfn odd_{turn}() -> u32 {{ \"{turn}\" }}\n"
    if kind == "wrong":
        return _after(base, f"if let Some(last) = out.last_mut() {{ *last += {turn}.5; }}")
    if kind == "panic":
        return _after(base, f"if codes.len() > 100 {{ panic!(\"idea {turn}\"); }}")
    if kind == "slow":
        wait = (f"let mut x = codes.len() as u64 | {turn};"
                " for _ in 0..codes.len() / 2 { x = std::hint::black_box(x.wrapping_mul(x)); }"
                " std::hint::black_box(x);")
        return _after(base, wait)
    return base


def _after(base: str, statements: str) -> str:
    """The kernel whose scan does something more when it has ended."""
    inner = base.replace("pub fn scan8(", "fn scan8_plain(")
    if inner == base:
        raise SystemExit("the first kernel has no `pub fn scan8(`")
    return inner + f"""
pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {{
    scan8_plain(table, m, codes, out);
    {statements}
}}
"""
