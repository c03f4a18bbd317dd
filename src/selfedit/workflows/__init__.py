"""The use cases, each a function of plain values."""
