"""The runs in a folder."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from selfedit.errors import InputError, NoRun, OtherVersion
from selfedit.store.run import CONFIG, SUMMARY, Run


def list_runs(folder: Path) -> list[dict[str, Any]]:
    """Every run in a folder: its path, command, model, trials and state. A damaged one must not hide the others."""
    rows = []
    for path in sorted(saved.parent for saved in folder.glob(f"*/{CONFIG}")):
        try:
            with Run.open(path) as run:
                config, trials = run.config, sum(len(batch.trials) for batch in run.batches())
                document, score = _document(run), _score(run)
                state = "finished" if run.is_finished else "can be resumed"
        except NoRun:
            continue
        except InputError as error:
            config, trials, document, score = {}, 0, None, None
            state = "of another version" if isinstance(error, OtherVersion) else "damaged"
        model = config.get("model")
        name = model.get("name") if isinstance(model, dict) else None
        began = datetime.fromtimestamp((path / CONFIG).stat().st_mtime).isoformat(" ", "minutes")
        row = {"run": str(path), "command": config.get("command"), "model": name, "trials": trials, "state": state}
        rows.append({**row, "date": began, "document": document, "score": score})
    return rows


def _document(run: Run) -> str | None:
    """The title of the first task of the run, and how many more there are."""
    tasks = json.loads(run.read_text("tasks.json") or "{}")
    titles = [task["title"] for part in tasks.values() for task in part]
    return f"{titles[0]} and {len(titles) - 1} more" if titles[1:] else next(iter(titles), None)


def _score(run: Run) -> float | None:
    """The best share of questions answered right that is not read off the context, or None."""
    rows = json.loads(run.read_text(SUMMARY) or "{}").items()
    means = [row["mean"] for key, row in rows if key != "in_context" and isinstance(row, dict) and "blank" in row]
    return max(means, default=None)
