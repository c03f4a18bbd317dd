"""The tasks of a run: what the domain of the config makes of files and worlds."""

import json

import pytest

from selfedit.errors import InputError
from selfedit.workflows.configure import make_config
from selfedit.workflows.data import example_tasks, read_data


def test_the_domain_arc_reads_grids_and_refuses_the_almanac(tmp_path):
    pair = {"input": [[1]], "output": [[2]]}
    for name in ("67e8384a", "5bd6f4ac", "other"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"train": [pair, pair], "test": [pair]}))
    named = ["domain.name=arc", f"data.train={tmp_path}"]
    counts = [len(read_data(make_config(None, [*named, f"domain.tasks={kind}"]))["train"]) for kind in ("all", "seal")]
    assert counts == [3, 2]
    assert len(read_data(make_config(None, [*named, "domain.tasks=seal-truncated"]))["train"]) == 1
    with pytest.raises(InputError, match="domain arc has no use for almanac"):
        read_data(make_config(None, ["domain.name=arc"]))


def test_a_domain_without_a_world_has_no_examples():
    config = make_config("fake", ["domain.name=arc"])
    assert len(example_tasks(config)) == 3
    other = config.domain.model_copy(update={"name": "poems"})
    with pytest.raises(InputError, match="domain poems has no generated tasks"):
        example_tasks(config.model_copy(update={"domain": other}))
