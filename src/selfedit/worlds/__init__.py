"""Worlds that the project generates, and the embedded models that are trained on them."""
