"""Fit the `calibrated` grader on the verdicts in SEAL's released results.

    python -m selfedit.reproduce.fit_grader DATA

Needs scikit-learn (pip install 'selfedit[fit]'). Writes src/selfedit/graders/calibrated/trees.safetensors. Passages
that `reproduce grader` holds out are not looked at; everything was chosen by cross-validation over the others, whole
passages at a time. Takes a few minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfedit.graders.calibrated import PARAMETERS
from selfedit.graders.calibrated.features import features
from selfedit.graders.calibrated.reading import read
from selfedit.reproduce.grader import GradedAnswer, distinct_rows, read_results

if TYPE_CHECKING:
    from numpy import ndarray

SEEDS = 2
BOOSTED: dict[str, Any] = {
    "max_iter": 200,
    "learning_rate": 0.06,
    "max_leaf_nodes": 24,
    "min_samples_leaf": 40,
    "l2_regularization": 10.0,
    "max_features": 0.12,
}
AVERAGED: dict[str, Any] = {"n_estimators": 50, "min_samples_leaf": 20, "max_features": 0.4, "random_state": 0}

FittedModels = tuple[list[Any], Any]
"""Of scikit-learn, which has no types: the boosted models, and one of averaged trees."""

TreeNodes = tuple["ndarray", "ndarray", "ndarray", "ndarray", "ndarray"]
"""Feature, limit, left and right child, and value of every node of a tree."""


def rarity_of(rows: Sequence[GradedAnswer]) -> dict[str, float]:
    """Inverse document frequency (nats) of stems in questions and gold answers, of those that occur in three."""
    texts = {text for row in rows for text in (row.question.text, row.question.target)}
    counts = Counter(stem for text in texts for stem in set(read(text).stems))
    return {stem: round(math.log(len(texts) / count), 2) for stem, count in sorted(counts.items()) if count >= 3}


def fitted(x: ndarray, y: ndarray) -> FittedModels:
    """Boosted models, and one of averaged trees: they err on different rows, so that their mean errs less."""
    from sklearn.ensemble import (  # type: ignore[import-untyped]
        ExtraTreesClassifier,
        HistGradientBoostingClassifier,
    )

    boosted = [HistGradientBoostingClassifier(random_state=seed, **BOOSTED).fit(x, y) for seed in range(SEEDS)]
    return boosted, ExtraTreesClassifier(**AVERAGED).fit(x, y)


def chances(models: FittedModels, x: ndarray) -> ndarray:
    """How likely each row is right, before calibration."""
    import numpy as np

    boosted, averaged = models
    raw = sum(model._raw_predict(x)[:, 0] for model in boosted) / len(boosted)
    return np.asarray((1 / (1 + np.exp(-raw)) + averaged.predict_proba(x)[:, 1]) / 2)


def cross_validated(x: ndarray, y: ndarray, groups: ndarray) -> ndarray:
    """Chances of every row by models that saw no row of its group."""
    import numpy as np
    from sklearn.model_selection import GroupKFold  # type: ignore[import-untyped]

    found = np.zeros(len(y))
    for train, test in GroupKFold(5).split(x, y, groups):
        found[test] = chances(fitted(x[train], y[train]), x[test])
    return found


def calibration(found: ndarray, y: ndarray, times: ndarray) -> tuple[float, float]:
    """Slope and shift of the log-odds with which cross-validated chances are those that the judge gave (Platt).

    A row counts as often as it occurs in the files: means over their answers should come out right.
    """
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    fit = LogisticRegression(C=1e6).fit(logit(found)[:, None], y, sample_weight=times)
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def logit(chances: ndarray) -> ndarray:
    import numpy as np

    limited = np.clip(chances, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(limited / (1 - limited)))


def boosted_nodes(models: Sequence[Any]) -> Iterator[TreeNodes]:
    """The nodes of each tree, values shared among the models."""
    import numpy as np

    for model in models:
        for (tree,) in model._predictors:
            nodes = tree.nodes
            leaf = nodes["is_leaf"].astype(bool)
            own = np.arange(len(nodes))
            left, right = (np.where(leaf, own, nodes[side]) for side in ("left", "right"))
            value = np.where(leaf, nodes["value"], 0) / len(models)
            yield np.where(leaf, 0, nodes["feature_idx"]), np.where(leaf, 0, nodes["num_threshold"]), left, right, value


def averaged_nodes(model: Any) -> Iterator[TreeNodes]:
    """The same of a forest; a leaf's value is its share of right answers."""
    import numpy as np

    for estimator in model.estimators_:
        tree = estimator.tree_
        leaf, own = tree.children_left < 0, np.arange(tree.node_count)
        left, right = (np.where(leaf, own, side) for side in (tree.children_left, tree.children_right))
        counts = tree.value[:, 0]
        value = np.where(leaf, counts[:, 1] / counts.sum(1), 0) / len(model.estimators_)
        yield np.where(leaf, 0, tree.feature), np.where(leaf, 0, tree.threshold), left, right, value


def arrays(trees: Iterable[TreeNodes], name: str) -> dict[str, ndarray]:
    """The trees as flat arrays, whose names begin with `name`; a leaf is its own child."""
    import numpy as np

    features, limits, lefts, rights, values = zip(*trees, strict=True)
    first = np.cumsum([0, *map(len, features)])[:-1]
    joined: dict[str, ndarray] = {
        "feature": np.concatenate(features).astype(np.int16),
        "limit": np.concatenate(limits).astype(np.float32),
        "left": np.concatenate([left + start for left, start in zip(lefts, first, strict=True)]).astype(np.int32),
        "right": np.concatenate([right + start for right, start in zip(rights, first, strict=True)]).astype(np.int32),
        "value": np.concatenate(values).astype(np.float32),
        "first": first.astype(np.int32),
    }
    return {f"{name}.{key}": array for key, array in joined.items()}


def parameters(models: FittedModels, slope: float, shift: float) -> tuple[dict[str, ndarray], dict[str, float]]:
    """What `TreeModel` is made of, but for `rarity`."""
    boosted, averaged = models
    tensors = arrays(boosted_nodes(boosted), "boosted") | arrays(averaged_nodes(averaged), "averaged")
    bias = sum(float(model._baseline_prediction[0, 0]) for model in boosted) / len(boosted)
    return tensors, {"bias": bias, "slope": slope, "shift": shift}


def main() -> None:
    import numpy as np
    from safetensors.numpy import save_file

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with result files of SEAL's query server")
    rows = [row for row in distinct_rows(read_results(parser.parse_args().data)) if not row.held_out]
    said = [row for row in rows if row.answer.strip()]
    rarity = rarity_of(said)
    x = np.array([features(r.question.text, r.question.target, r.answer, rarity) for r in said], dtype=np.float32)
    y, groups = np.array([row.right for row in said]), np.array([row.passage for row in said])
    found = cross_validated(x, y, groups)
    slope, shift = calibration(found, y, np.array([row.times for row in said]))
    right = 1 / (1 + np.exp(-slope * logit(found) - shift)) > 0.5
    wrong = int((right != y).sum()) + sum(row.right for row in rows if not row.answer.strip())
    print(f"cross-validated agreement: {1 - wrong / len(rows):.4f} of {len(rows)} rows; {slope:.3f}, {shift:+.3f}")
    tensors, numbers = parameters(fitted(x, y), slope, shift)
    save_file(tensors, PARAMETERS, metadata={"parameters": json.dumps({**numbers, "rarity": rarity})})
    print(f"{PARAMETERS}: {PARAMETERS.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
