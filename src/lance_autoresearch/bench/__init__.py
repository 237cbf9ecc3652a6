"""What do kernels do on this machine? Inputs, expected outputs, processes, pairs."""
