"""What people are told of a saved update."""

import json

import pytest

from selfedit.errors import InputError
from selfedit.workflows.updates import remarks_on


@pytest.mark.parametrize(
    ("rank", "said"),
    [
        (8, None),
        (16, None),
        (32, "Its rank is 32: vLLM serves it with --enable-lora --max-lora-rank 32."),
        (96, "Its rank is 96: vLLM serves it with --enable-lora --max-lora-rank 128."),
        (513, "Its rank is 513, and vLLM serves adapters of rank 512 at most."),
    ],
)
def test_the_rank_that_a_server_must_be_told(tmp_path, rank, said):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": rank}))
    assert remarks_on(tmp_path) == ([said] if said else [])


def test_what_was_seen_is_told_and_an_update_that_does_nothing_is_refused(tmp_path):
    effect = {"max_logit_gap": 0.0, "merged_logit_gap": 2e-7, "kl_to_base": 0.5, "tokens": 9}
    (tmp_path / "card.json").write_text(json.dumps({"effect": effect}))
    (said,) = remarks_on(tmp_path)
    assert "0.0 in PEFT and 2e-07 merged" in said and "0.5 nats a token from the base" in said
    (tmp_path / "card.json").write_text(json.dumps({"effect": {**effect, "kl_to_base": 0.0}}))
    with pytest.raises(InputError, match=r"training changed nothing.*raise inner\.learning_rate"):
        remarks_on(tmp_path)
