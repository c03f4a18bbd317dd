"""How good an edit was, and what credit it gets."""
