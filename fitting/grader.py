"""Fit the `calibrated` grader on the verdicts in SEAL's released results.

    python fitting/grader.py path/to/seal_released

Needs scikit-learn (pip install 'selfedit[fit]'). Writes src/selfedit/graders/calibrated/trees.safetensors. Passages
that `reproduce grader` holds out are not looked at; everything was chosen by cross-validation over the others, whole
passages at a time. Takes some ten minutes on one core.
"""

import argparse
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold

from selfedit.graders.calibrated import PARAMETERS
from selfedit.graders.calibrated.features import features, read
from selfedit.reproduce.grader import distinct_rows, read_results

SEEDS = 2
SETTINGS = {
    "max_iter": 400,
    "learning_rate": 0.03,
    "max_leaf_nodes": 31,
    "min_samples_leaf": 40,
    "l2_regularization": 5.0,
    "max_features": 0.2,
}


def rarity_of(rows):
    """Inverse document frequency (nats) of stems in questions and gold answers, of those that occur in three."""
    texts = {text for row in rows for text in (row.question.text, row.question.target)}
    counts = Counter(stem for text in texts for stem in set(read(text).stems))
    return {stem: round(math.log(len(texts) / count), 2) for stem, count in sorted(counts.items()) if count >= 3}


def fitted(x, y):
    return [HistGradientBoostingClassifier(random_state=seed, **SETTINGS).fit(x, y) for seed in range(SEEDS)]


def chances(models, x):
    raw = sum(model._raw_predict(x)[:, 0] for model in models) / len(models)
    return 1 / (1 + np.exp(-raw))


def cross_validated(x, y, groups):
    found = np.zeros(len(y))
    for train, test in GroupKFold(4).split(x, y, groups):
        found[test] = chances(fitted(x[train], y[train]), x[test])
    return found


def arrays(models):
    """The trees of all models as flat arrays; a leaf is its own child, and values are shared among the models."""
    parts, first, offset, depth = [], [], 0, 0
    for model in models:
        for (tree,) in model._predictors:
            nodes = tree.nodes
            own = np.arange(len(nodes))
            leaf = nodes["is_leaf"].astype(bool)
            parts.append(
                {
                    "feature": np.where(leaf, 0, nodes["feature_idx"]).astype(np.int16),
                    "limit": np.where(leaf, 0, nodes["num_threshold"]).astype(np.float32),
                    "left": (np.where(leaf, own, nodes["left"]) + offset).astype(np.int32),
                    "right": (np.where(leaf, own, nodes["right"]) + offset).astype(np.int32),
                    "value": (np.where(leaf, nodes["value"], 0) / len(models)).astype(np.float32),
                }
            )
            first.append(offset)
            offset += len(nodes)
            depth = max(depth, int(nodes["depth"].max()))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {**joined, "first": np.array(first, dtype=np.int32)}, depth


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("data", type=Path)
    rows = [row for row in distinct_rows(read_results(arguments.parse_args().data)) if not row.held_out]
    said = [row for row in rows if row.answer.strip()]
    rarity = rarity_of(said)
    x = np.array([features(r.question.text, r.question.target, r.answer, rarity) for r in said], dtype=np.float32)
    y, groups = np.array([row.right for row in said]), np.array([row.passage for row in said])
    found = cross_validated(x, y, groups)
    threshold = float(np.quantile(found, 1 - y.mean()))
    wrong = int(((found > threshold) != y).sum()) + sum(row.right for row in rows if not row.answer.strip())
    print(f"cross-validated agreement: {1 - wrong / len(rows):.4f} of {len(rows)} rows; threshold {threshold:.3f}")
    models = fitted(x, y)
    tensors, depth = arrays(models)
    bias = sum(float(model._baseline_prediction[0, 0]) for model in models) / len(models)
    more = {"depth": depth, "bias": bias, "threshold": threshold, "rarity": rarity}
    save_file(tensors, PARAMETERS, metadata={"parameters": json.dumps(more)})
    print(f"{PARAMETERS}: {PARAMETERS.stat().st_size:,} bytes, {len(tensors['first'])} trees")


if __name__ == "__main__":
    main()
