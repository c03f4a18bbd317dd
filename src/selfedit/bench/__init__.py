"""How fast the inner loop is, beside the ways it is usually done: the same edits, recipe and questions for all."""
