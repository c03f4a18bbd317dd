"""Published tables: one module each."""
