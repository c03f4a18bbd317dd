"""The use cases, each a function of plain values that a command, a server or a notebook can call.

`runs` makes runs and carries them out, each by the workflow of its kind: `train`, `adapt` or `stream`. `evaluate`
needs no run. The rest is what these share: how a config is made and what stands behind the names in it.
"""
