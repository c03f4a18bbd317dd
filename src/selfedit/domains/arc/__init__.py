"""ARC: see a few grids and what becomes of them, plan how to learn the rule, be asked about other grids."""
