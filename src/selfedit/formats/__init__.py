"""SEAL's file formats, so that its data can be used here and ours there (docs/seal.md 7)."""
