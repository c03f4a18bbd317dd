"""The engine without a model keeps the promises of protocols.Engine."""

import json

import pytest

from selfedit.domains.knowledge import prompts
from selfedit.engines.fake import NOTES, FakeEngine
from selfedit.errors import EngineError, InputError
from selfedit.types import BASE, Example, Job, Likelihood, LikelihoodRequest, Recipe, Request

APOLLO = Example("", "Apollo 11\nApollo 11 landed in 1969.")
USEFUL, USELESS, EMPTY = NOTES


def exam(update, task, number=0):
    return Request(update, prompts.exam(task, task.questions[number].text))


def train(engine, *examples, parent=BASE, recipe=Recipe(), seed=0):  # noqa: B008  # a Recipe is frozen
    (update,) = engine.train([Job(parent, examples, recipe, seed)])
    return update


def saved_and_loaded(engine, update, folder):
    engine.save(update, folder)
    return engine.load(folder)


@pytest.fixture
def engine(tasks):
    return FakeEngine(tasks)


def test_the_base_knows_no_answer_without_the_passage(engine, tasks):
    answers = engine.sample([exam(BASE, task, number) for task in tasks for number in range(2)])
    assert set(answers) == {"Nobody knows."}


def test_an_update_knows_what_it_was_trained_on_and_nothing_else(engine, tasks):
    update = train(engine, APOLLO)
    answers = engine.sample([exam(update, tasks[0], 0), exam(update, tasks[0], 1), exam(update, tasks[1], 0)])
    assert answers == ["It is 1969.", "Nobody knows.", "Nobody knows."]


def test_an_update_knows_what_its_parents_were_trained_on(engine, tasks, tmp_path):
    parent = saved_and_loaded(engine, train(engine, APOLLO), tmp_path / "parent")
    child = train(engine, Example("", "Torvik lies on the Selx."), parent=parent)
    assert engine.sample([exam(child, tasks[0]), exam(child, tasks[1])]) == ["It is 1969.", "It is Selx."]


def test_open_book_every_answer_of_the_passage_is_known(engine, tasks):
    requests = [Request(BASE, prompts.open_book(task, question.text)) for task in tasks for question in task.questions]
    golds = [question.target for task in tasks for question in task.questions]
    assert engine.sample(requests) == [f"It is {gold}." for gold in golds]


def test_an_answer_inside_another_word_is_not_known(engine, tasks):
    update = train(engine, Example("", "Torvik is famous for its lacework."))
    assert engine.sample([exam(update, tasks[1], 1)]) == ["Nobody knows."]


def test_an_answer_is_known_only_from_as_many_documents_as_are_needed(tasks):
    engine = FakeEngine(tasks, needed=2)
    once, twice = train(engine, APOLLO), train(engine, APOLLO, Example("", "It was 1969."))
    assert engine.sample([exam(once, tasks[0]), exam(twice, tasks[0])]) == ["Nobody knows.", "It is 1969."]


def test_notes_are_filled_for_the_passage_in_the_prompt(engine, tasks):
    request = Request(BASE, prompts.NOTES.of(tasks[3]))
    assert engine.sample([request]) == ["To remember: 1843, cork."]


def test_writing_depends_on_the_seed_of_the_request_alone(engine, tasks):
    requests = [Request(BASE, prompts.NOTES.of(tasks[0]), seed, temperature=1.0) for seed in range(50)]
    together = engine.sample(requests)
    assert together == [text for request in reversed(requests) for text in engine.sample([request])][::-1]
    assert len(set(together)) == len(NOTES)


def test_training_on_notes_makes_the_policy_write_such_notes_about_other_passages(engine, tasks):
    useless = "There is much to say about Apollo 11."
    policy = train(engine, Example(prompts.NOTES.of(tasks[0]), useless, weight=3.0))
    requests = [Request(policy, prompts.NOTES.of(tasks[1]), seed, temperature=1.0) for seed in range(100)]
    assert engine.sample(requests).count("There is much to say about Torvik.") > 80


def test_a_taste_can_grow_without_bounds(engine, tasks):
    useful = "To remember: 1969, Neil Armstrong."
    policy = train(engine, Example(prompts.NOTES.of(tasks[0]), useful, weight=1e6))
    requests = [Request(policy, prompts.NOTES.of(tasks[0]), seed, temperature=1.0) for seed in range(20)]
    assert engine.sample(requests) == [useful] * 20


def test_training_on_plain_documents_does_not_change_what_is_written(engine, tasks):
    update = train(engine, *[Example("", "To remember: 1969, Neil Armstrong.")] * 5)
    base, trained = (
        engine.sample([Request(who, prompts.NOTES.of(tasks[0]), seed, temperature=1.0) for seed in range(20)])
        for who in (BASE, update)
    )
    assert base == trained


def test_trained_tokens_are_words_times_epochs(engine):
    assert train(engine, APOLLO, recipe=Recipe(epochs=3)).tokens == 3 * 7


def test_equal_jobs_give_equal_updates_and_other_jobs_others(engine):
    assert train(engine, APOLLO) == train(engine, APOLLO)
    assert train(engine, APOLLO).id != train(engine, APOLLO, seed=1).id


def test_a_saved_update_is_known_to_another_engine(engine, tasks, tmp_path):
    engine.save(train(engine, APOLLO), tmp_path / "update")
    other = FakeEngine(tasks)
    assert other.sample([exam(other.load(tmp_path / "update"), tasks[0])]) == ["It is 1969."]


def test_saving_leaves_one_folder_of_json_and_nothing_partial(engine, tmp_path):
    update = train(engine, APOLLO)
    engine.save(update, tmp_path / "updates" / "one")
    engine.save(update, tmp_path / "updates" / "one")
    assert [path.name for path in (tmp_path / "updates").iterdir()] == ["one"]
    assert json.loads((tmp_path / "updates" / "one" / "update.json").read_text())["update"]["id"] == update.id


def test_what_a_crash_left_half_written_is_not_saved_with_it(engine, tmp_path):
    (tmp_path / "one.partial").mkdir()
    (tmp_path / "one.partial" / "leftover").write_text("")
    engine.save(train(engine, APOLLO), tmp_path / "one")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["update.json"]


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(engine, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        engine.save(train(engine, APOLLO), tmp_path / "file" / "update")


def test_a_folder_without_an_update_is_not_loaded(engine, tmp_path):
    with pytest.raises(InputError, match="holds no update"):
        engine.load(tmp_path)


def test_a_released_update_is_forgotten_but_the_base_never_is(engine, tasks):
    update = train(engine, APOLLO)
    engine.release([update, BASE])
    assert engine.sample([exam(BASE, tasks[0])]) == ["Nobody knows."]
    with pytest.raises(EngineError, match="not known"):
        engine.sample([exam(update, tasks[0])])


def test_a_released_update_is_no_parent(engine, tmp_path):
    update = saved_and_loaded(engine, train(engine, APOLLO), tmp_path / "update")
    engine.release([update])
    with pytest.raises(EngineError, match="not known"):
        train(engine, APOLLO, parent=update)


def test_an_update_that_was_trained_here_is_a_parent(engine, tasks):
    child = train(engine, APOLLO, parent=train(engine, Example("", "Torvik lies on the river Selx.")))
    assert len(engine._rows(child)) == 2


def test_an_update_is_scaled_to_a_part_of_what_it_was_trained_on(engine):
    parent = train(engine, APOLLO)
    (update,) = engine.train([Job(parent, (Example("", "one"), Example("", "two")), Recipe(), 0)])
    rows = [len(engine._rows(engine.scale(update, factor))) for factor in (0.0, 0.5, 1.0)]
    assert rows == [1, 2, 3]


def test_a_target_is_one_token_and_likelier_the_more_examples_contain_it(engine):
    once, twice = train(engine, APOLLO), train(engine, APOLLO, Example("", "It was 1969."))
    found = engine.likelihood([LikelihoodRequest(update, "", " 1969") for update in (BASE, once, twice)])
    assert all(isinstance(one, Likelihood) and one.tokens == 1 for one in found)
    assert found[0].per_token < found[1].per_token < found[2].per_token < 0


def test_a_search_finds_what_is_sampled_and_every_prompt_fits(engine, tasks):
    requests = [exam(train(engine, APOLLO), task) for task in tasks]
    assert engine.search(requests, 0.5) == [[text] for text in engine.sample(requests)]
    assert engine.fits([request.prompt for request in requests], reserve=512) == [None] * len(tasks)
