"""The two loops, the exams between them, and what came of it."""
