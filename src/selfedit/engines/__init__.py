"""Every engine, by import path, so that only the one in use is imported. To add one: write it, add its row."""

from __future__ import annotations

ENGINES = {
    "local": "selfedit.engines.local.engine:LocalEngine",
    "fake": "selfedit.engines.fake:FakeEngine",
}
