"""Published results, run or checked again."""
