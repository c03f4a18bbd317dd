"""Streams of self-edits: the loop over them, the exams along the way, and ways not to forget."""
