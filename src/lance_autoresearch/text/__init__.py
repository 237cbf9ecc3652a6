"""How is a result put into words? Nothing here decides."""
