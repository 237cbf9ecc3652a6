"""How is a result said to people? Nothing here decides."""
