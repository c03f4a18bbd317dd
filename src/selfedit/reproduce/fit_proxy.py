"""Fit the learned proxy reward on the rankings in SEAL's released results.

    python -m selfedit.reproduce.fit_proxy DATA

Writes src/selfedit/rewards/proxies/learned.json in a few seconds. Passages that `reproduce proxy` holds out are left
out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from selfedit.reproduce.grader import is_held_out
from selfedit.reproduce.proxy import Ranking, fit, read_rankings
from selfedit.rewards.proxies.learned import PARAMETERS


def not_held_out(rankings: Sequence[Ranking]) -> list[Ranking]:
    return [ranking for ranking in rankings if not is_held_out(ranking.task.context)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with SEAL's ranking files")
    rankings = not_held_out(read_rankings(parser.parse_args().data))
    weights = {name: float(f"{weight:.6g}") for name, weight in fit(rankings).items()}
    PARAMETERS.write_text(json.dumps(weights, indent=1) + "\n", encoding="utf-8")
    print(f"{PARAMETERS}: {len(weights)} weights, fitted on {len(rankings)} passages")


if __name__ == "__main__":
    main()
