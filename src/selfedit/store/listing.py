"""The runs in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfedit.errors import InputError, NoRun, OtherVersion
from selfedit.store.run import CONFIG, Run


def list_runs(folder: Path) -> list[dict[str, Any]]:
    """Every run in a folder: its path, command, model, trials and state. A damaged one must not hide the others."""
    rows = []
    for path in sorted(saved.parent for saved in folder.glob(f"*/{CONFIG}")):
        try:
            with Run.open(path) as run:
                config, trials = run.config, sum(len(batch.trials) for batch in run.batches())
                state = "finished" if run.is_finished else "can be resumed"
        except NoRun:
            continue
        except InputError as error:
            config, trials, state = {}, 0, "of another version" if isinstance(error, OtherVersion) else "damaged"
        model = config.get("model")
        name = model.get("name") if isinstance(model, dict) else None
        rows.append(
            {"run": str(path), "command": config.get("command"), "model": name, "trials": trials, "state": state}
        )
    return rows
