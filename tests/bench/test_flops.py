import pytest
import torch

from selfedit.bench import flops
from selfedit.bench.flops import matmul_rate, training_flops
from selfedit.bench.setting import Setting


def test_operations_are_those_of_a_count_by_hand(setting):
    query_and_output, key_and_value, feed_forward = 2 * 32 * 32, 2 * 32 * 16, 3 * 32 * 48
    linear = 2 * (query_and_output + key_and_value + feed_forward)
    sides = 2 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 48))  # inputs and outputs of every layer's seven matrices
    per_token = 4 * linear + 6 * 4 * sides
    attention = 12 * 2 * 32 / 2  # layers, hidden; times length
    by_hand = 10 * (per_token + 10 * attention) + 9 * 4 * 32 * 258
    assert training_flops(setting.model, setting.layout, [10]) == by_hand
    assert training_flops(setting.model, setting.layout, [10, 10]) == 2 * by_hand


def test_an_edit_counts_its_tokens_in_every_epoch(setting, edits):
    lengths = [len(example.target.encode()) + 1 for example in edits[0].examples]
    assert setting.tokens(edits[0]) == sum(lengths)
    twice = Setting(setting.model, setting.tokenizer, setting.recipe.__class__(rank=4, epochs=2), 4)
    assert twice.flops(edits[0]) == 2 * setting.flops(edits[0])


def test_the_rate_of_matrix_products_is_that_of_a_computer(monkeypatch):
    monkeypatch.setattr(flops, "SIZES", (32, 64))
    assert 1e6 < matmul_rate(torch.device("cpu"), torch.float32, seconds=0.001) < 1e15


@pytest.mark.parametrize("length", [1, 2])
def test_a_row_scores_all_tokens_but_its_first(setting, length):
    head = 4 * 32 * 258 * (length - 1)
    rest = training_flops(setting.model, setting.layout, [length]) - head
    assert rest / length == pytest.approx(training_flops(setting.model, setting.layout, [1]), rel=0.05)
