"""lance-autoresearch: honest overnight optimisation of Lance's Rust kernels.

The house, from the ground up; a room imports only from rooms below it:

    cli                    one file a verb
    making                 a new target out of a function of Lance
    campaigns              many trials: branch, agents, loop
    judging                one trial: admit, build, audit, check, compare, confirm
    evidence               Lance's source, builds, pools, measured pairs
    world                  this machine, the box, git, the ledger
    rules, fixtures        pure: what is decided; what kernels are fed
    target, records, policy, errors     plain data; every threshold is in `policy`

Begin with `judging.trial`, which reads as one trial from top to bottom.
"""

__version__ = "0.1.0"
