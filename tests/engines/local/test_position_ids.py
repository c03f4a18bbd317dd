"""Position ids at stops: by hand, and the same whether a text is scored, trained on or written, alone or in a batch."""

import pytest

torch = pytest.importorskip("torch")

from selfedit.engines.local.position_ids import PositionIds  # noqa: E402
from selfedit.types import BASE, Example, Job, LikelihoodRequest, Recipe, Request  # noqa: E402

ROW, SHEET = 4, 16
GRID, END_OF_ROW = "I", "\n"


@pytest.fixture
def canvas(make_engine):
    """An engine over a model that reads `I` as a new sheet of 4 x 4 and a line break as a new row."""
    grid, end_of_row = make_engine("gpt2").text.prompt(GRID + END_OF_ROW)
    return make_engine("gpt2", position_stops={str(grid): SHEET, str(end_of_row): ROW})


def positions_of(engine, text):
    ids = torch.tensor([engine.text.prompt(text)])
    return PositionIds(engine.model).of(ids, torch.ones_like(ids))[0].tolist()


def test_a_row_break_and_a_grid_lead_to_where_the_next_token_is_to_be_written(canvas):
    assert positions_of(canvas, "I12\n3\nI4") == [0, 1, 2, 4, 5, 8, 16, 17]


def test_other_models_count(make_engine):
    assert positions_of(make_engine("gpt2"), "I12\n3") == [0, 1, 2, 3, 4]


def test_positions_beyond_the_canvas_stay_on_it(canvas):
    assert max(positions_of(canvas, "I1\n" * 20)) == 127


def test_padding_before_a_text_does_not_move_it(canvas):
    ids = torch.tensor([[0, 0, *canvas.text.prompt("I1\n2")]])
    mask = torch.tensor([[0, 0, 1, 1, 1, 1]])
    assert PositionIds(canvas.model).of(ids, mask)[0, 2:].tolist() == positions_of(canvas, "I1\n2")


def test_what_is_written_was_likeliest_when_it_is_read_again(canvas):
    """Writing goes token by token from a padded batch, reading takes the whole text at once."""
    prompts = ["I12\n34\nI", "I1\n", "I123\n4\nI5\nI"]
    for prompt, text in zip(prompts, canvas.sample([Request(BASE, p, max_new_tokens=6) for p in prompts]), strict=True):
        ids = torch.tensor([canvas.text.prompt(prompt + text)])
        seen = torch.ones_like(ids)
        logits = canvas.model(
            input_ids=ids, attention_mask=seen, position_ids=PositionIds(canvas.model).of(ids, seen)
        ).logits[0]
        start = len(canvas.text.prompt(prompt))
        assert logits[start - 1 : -1].argmax(-1).tolist() == ids[0, start:].tolist()


def test_training_together_equals_alone(canvas):
    jobs = [
        Job(BASE, tuple(Example("I12\nI", target) for target in targets), Recipe(rank=2, epochs=2), seed)
        for seed, targets in enumerate([("21\n",), ("3\n4\n", "5\n"), ("666\n",)])
    ]
    pairs = [("I12\nI", "21\n"), ("I1\n", "I")]

    def likelihoods(jobs):
        updates = canvas.train(jobs)
        read = [canvas.likelihood([LikelihoodRequest(update, *pair) for pair in pairs]) for update in updates]
        return [[likelihood.per_token for likelihood in of_update] for of_update in read]

    together = likelihoods(jobs)
    for job, values in zip(jobs, together, strict=True):
        assert likelihoods([job])[0] == pytest.approx(values, rel=1e-9)
