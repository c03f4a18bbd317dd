"""The embedded grid model: its families of tasks, its tokens, its recipe, its weights."""
