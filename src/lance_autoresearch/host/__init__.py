"""What does this machine give: checkout, toolchain, locks, git, sandbox?"""
