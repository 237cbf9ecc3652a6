"""lance-autoresearch: coding agents make Lance's Rust kernels faster; the judge tells what is true.

Every room answers one question, and imports only from rooms below it:

    cli           What did the user ask for, and how is the answer printed? One file a verb.
    doctor        What can this machine do, and how is a weakness fixed?
    report        How does a campaign look on a page?
    bundle        May a kernel become a pull request, and with which evidence?
    campaign      What happens over many trials: branch, loop, lessons?
    calibration   Does the judge find what is known to be there, and nothing else?
    agents        Who proposes the next kernel?
    judge         May this kernel run, is it right, is it faster?
    integrate     Is Lance itself faster with this kernel, in whole queries?
    bench         What do kernels do on this machine: inputs, expected outputs, process pairs?
    build         How does text become a library, and from what exactly was it made?
    text          How is a result put into words? Nothing here decides.
    fixtures      Which data do kernels see?
    targets       What is a target, which exist, how is a new one made?
    oracle        What is Lance's own code?
    ledger        What was recorded?
    rules         What follows from the numbers? Pure; every threshold is in `rules.policy`.
    host          What does the machine give: checkout, toolchain, locks, git, sandbox?
    records, errors   plain data

Begin with `judge.trial`, which reads as one trial from top to bottom.
"""

__version__ = "0.1.0"
