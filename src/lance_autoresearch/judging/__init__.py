"""One trial: `trial` reads from top to bottom, `rig` holds what it needs, `compare` runs pairs."""
