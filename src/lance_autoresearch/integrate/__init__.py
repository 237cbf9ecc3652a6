"""Is a faster kernel a faster Lance?

Builds Lance's pinned release once with hooks in front of the kernels, then measures whole queries
with and without a kernel in the hook. Begin with `setup`, then `verdict`.
"""
