"""The embedded model `almanac`: its world, its recipe, its weights."""
