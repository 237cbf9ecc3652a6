"""Making a target out of a function of Lance: `lar new`."""
