"""Why a kernel is as fast as it is: its loops in machine code, and what memory allows."""
