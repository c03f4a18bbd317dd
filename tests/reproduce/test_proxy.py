"""The learned proxy: what it may see, and how its ranking is measured."""

import pytest

from selfedit.domains.knowledge.domain import Knowledge
from selfedit.errors import InputError
from selfedit.reproduce.proxy import Ranking, cross_validated, fit, proxy
from selfedit.rewards.proxies import PROXIES
from selfedit.rewards.proxies.features import features
from selfedit.rewards.proxies.learned import _weights
from selfedit.types import Question, Task

PASSAGE = "Ada Lovelace was born in 1815. She wrote the first program for a machine that Babbage designed in London."
TASK = Task("ada", "Ada Lovelace", PASSAGE, (Question("When was she born?", "1815"),))
FULL = "Ada Lovelace was born in 1815.\nAda Lovelace wrote the first program.\nBabbage designed the machine in London."
VAGUE = "It is interesting.\nIt is interesting."


def edit(text, task=TASK):
    return Knowledge().parse(task, text)


def test_notes_that_say_what_the_passage_says_rate_above_vague_ones():
    full, vague = PROXIES["learned"]().rate([(TASK, edit(FULL)), (TASK, edit(VAGUE))])
    assert full > vague


def test_the_questions_are_never_read():
    other = Task(TASK.id, TASK.title, TASK.context, (Question("Who?", "Babbage"),))
    rate = PROXIES["learned"]().rate
    assert rate([(TASK, edit(FULL))]) == rate([(other, edit(FULL, other))])


def test_every_weight_belongs_to_a_feature():
    assert _weights().keys() == features("", PASSAGE, FULL, FULL.split("\n")).keys()


@pytest.mark.parametrize("text", ["x", "...", "1", "日本語 日本語"])
def test_any_edit_has_a_rating(text):
    (rating,) = PROXIES["learned"]().rate([(TASK, edit(text))])
    assert isinstance(rating, float)


def rankings():
    """Passages on which the longer edit is always the better one."""
    made = []
    for number in range(40):
        task = Task("", f"Subject {number}", f"{PASSAGE} It was number {number}.")
        texts = [" ".join(FULL.split()[: 3 * size + number % 3]) for size in range(1, 6)]
        made.append(Ranking(task, tuple(edit(t, task) for t in texts), tuple(0.1 * n for n in range(5)), ()))
    return made


def test_what_can_be_learned_is_learned_and_carries_over_to_other_passages():
    made = rankings()
    for ratings in cross_validated(made):
        assert list(ratings) == sorted(ratings)


def test_a_passage_is_never_rated_by_weights_that_saw_it():
    made = rankings()
    upside_down = [made[0], *made[1:]]
    upside_down[0] = Ranking(made[0].task, made[0].edits, made[0].measured[::-1], ())
    assert cross_validated(upside_down)[0] == cross_validated(made)[0]
    assert fit(upside_down) != fit(made)


def test_a_folder_without_rankings_is_your_input(tmp_path):
    with pytest.raises(InputError, match="holds no ranking file"):
        proxy(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        proxy(tmp_path / "nowhere")


def test_on_the_released_rankings_it_is_better_than_chance_and_below_the_ceiling(shared):
    summary = proxy(shared / "data" / "seal_released")
    measured, ceiling = summary["cross_validated"], summary["ceiling"]["spearman"]
    assert 0 < measured["low"] < measured["spearman"] < ceiling < 1
    assert summary["picked"]["random"] < summary["picked"]["proxy"] < summary["picked"]["oracle"]
