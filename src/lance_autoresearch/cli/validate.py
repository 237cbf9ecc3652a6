"""`lar validate`: prove that a target's harness accepts right kernels and refuses wrong ones."""

from __future__ import annotations

from lance_autoresearch.host import checkout


def validate(
    target: str, *, pairs: int = 16, untimed: bool = False, json: bool = False
) -> int:
    """Prove that a target's harness accepts right kernels and refuses wrong ones.

    The champion equals Lance on every case; every committed cheat is refused; unusual but honest
    kernels are not; the champion against its own copy is not kept; a pair takes at most 0.25 s.

    Exit code: 0 all hold, 2 one does not.

    Args:
        target: name of the target.
        pairs: number of pairs of the A/A test.
        untimed: only what needs no clock, on a machine of any load: cases, secret cases, near
            misses, and the cheats that a check stops.
        json: one object per line.
    """
    from lance_autoresearch.calibration.validation import prove_target
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.cli.facts import print_facts
    from lance_autoresearch.targets.champion import read_champion

    root = checkout.find_root()
    with Coordinator(root, target, champion=read_champion(root, target)) as coordinator:
        champion, policy = coordinator.champion_text, coordinator.policy
        return print_facts(
            prove_target(
                coordinator.bench, champion, policy, pairs=pairs, timed=not untimed
            ),
            json=json,
        )
