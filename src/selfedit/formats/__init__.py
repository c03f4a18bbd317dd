"""SEAL's files, so that its data can be used here and ours there."""
