"""Evidence: Lance's source, libraries built from it, inputs with its answers, measured pairs."""
