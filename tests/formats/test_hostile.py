"""SEAL's files as an enemy would write them: each is read or refused in one line."""

import json

import pytest
from hypothesis import given
from mutations import examples, mutated_json, survives

from selfedit.formats.arc import read_final_results, read_self_edits, read_submission
from selfedit.formats.imitation import read_imitation
from selfedit.formats.passages import read_completions, read_meta, read_passages, read_synthetic
from selfedit.formats.record import read_record
from selfedit.formats.results import ContinualSummary, QueryResults

PASSAGE = {"title": "Apollo", "context": "It landed.", "questions": [{"question": "When?", "answer": "1969"}]}
SYNTHETIC = {**PASSAGE, "completions": ["It flew.", ""], "prompt": "Write"}
SUBMISSION = {"a": [{"attempt_1": [[1, 2]], "attempt_2": [[0]]}]}
EDITS = {"a": {"0": {"config": {"epochs": 1}, "prompt": "p", "response": "r"}}}
FINAL = {"0": {"task_id": {"0": "a"}, "correct": {"0": True}}}
META = {"model": "m", "n": 1, "k": 5, "timestamp": "2025-01-01T00:00:00+00:00Z", "temperature": 1.0}
MATRIX = [[0.5], [1.0]]
SUMMARY = {"mean_over_sequences": MATRIX, "std_over_sequences": MATRIX, "n_sequences": 1, "n_datapoints": 1}
SUMMARY |= {"dataset": "d", "base_model": "b"}


def meta_of(path):
    path.with_name("x.json.meta").write_bytes(path.read_bytes())
    return read_meta(path.with_name("x.json"))


READERS = [
    ([PASSAGE], read_passages),
    ([SYNTHETIC], read_synthetic),
    ([SYNTHETIC], read_completions),
    (SUBMISSION, read_submission),
    (EDITS, read_self_edits),
    (FINAL, read_final_results),
    ({"prompt": "p", "completion": "c"}, read_imitation),
    (META, meta_of),
    (SUMMARY, lambda path: read_record(path, ContinualSummary)),
    (SUMMARY, lambda path: read_record(path, QueryResults)),
]


@pytest.mark.parametrize(("content", "read"), READERS)
def test_any_file_is_read_or_refused(tmp_path_factory, content, read):
    path = tmp_path_factory.getbasetemp() / "any.json"

    @examples(12)
    @given(mutated_json(content))
    def check(data):
        path.write_bytes(data)
        survives(read, path)

    check()
    path.write_text(json.dumps(content))
    if read is not READERS[-1][1]:
        assert survives(read, path)
