"""May this kernel run, is it right, is it faster? One verdict."""
