"""Fit the learned proxy reward on the rankings in SEAL's released results.

    python fitting/proxy.py path/to/seal_released

Writes src/selfedit/proxies/learned.json in a few seconds. Passages that `reproduce proxy` holds out are left out.
"""

import argparse
import json
from pathlib import Path

from selfedit.reproduce.grader import is_held_out
from selfedit.reproduce.proxy import fit, read_rankings
from selfedit.rewards.proxies.learned import PARAMETERS


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("data", type=Path)
    rankings = [r for r in read_rankings(arguments.parse_args().data) if not is_held_out(r.task.context)]
    weights = {name: float(f"{weight:.6g}") for name, weight in fit(rankings).items()}
    PARAMETERS.write_text(json.dumps(weights, indent=1) + "\n", encoding="utf-8")
    print(f"{PARAMETERS}: {len(weights)} weights, fitted on {len(rankings)} passages")


if __name__ == "__main__":
    main()
