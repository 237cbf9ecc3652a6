"""What do kernels do on this machine? Inputs, answers, processes, pairs."""
