"""What each method does to a job, and what it decides about an update."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.config import ContinualConfig
from selfedit.config.renamed import METHODS as RENAMED
from selfedit.continual.memory import count_tokens, rehearsed
from selfedit.continual.methods import METHODS, MethodContext, check_methods, make_method
from selfedit.continual.methods.gate import Gate
from selfedit.continual.recall import Recall
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.errors import InputError
from selfedit.graders import GRADERS
from selfedit.loops.examine import Examiner
from selfedit.types import (
    BASE,
    Example,
    Failure,
    Job,
    Likelihood,
    PendingStep,
    Question,
    Recipe,
    SelfEdit,
    StreamStep,
    Trial,
    Update,
)

RECIPE = Recipe(rank=16, alpha=32.0)


def documents(step):
    return step.trial.edit.examples


def turn(past, new, parent=BASE, stream=0):
    return PendingStep(stream, BASE, tuple(past), new, Job(parent, documents(new), RECIPE, 0))


@pytest.fixture
def examiner(forgetful):
    return Examiner(forgetful(), Knowledge(), GRADERS["contains"])


@pytest.fixture
def make(examiner):
    return lambda *names, **more: make_method(names, MethodContext(ContinualConfig(**more), examiner, 0))


def test_sequential_leaves_everything_as_it_is(make, step):
    given = [turn([step("One")], step("Two"))]
    method = make("sequential")
    assert method.prepare(given) == given and not method.needs_questions
    outcomes = [Update("u"), Failure("policy", "no")]
    assert method.accept(given, outcomes) == outcomes


@given(st.lists(st.integers(1, 30), max_size=12), st.integers(0, 120))
def test_what_is_gone_over_again_stays_within_the_budget(step, lengths, budget):
    past = [step(f"T{n}", "word " * length) for n, length in enumerate(lengths)]
    chosen = rehearsed(past, "New", budget)
    assert sum(count_tokens(example) for one in chosen for example in documents(one)) <= budget
    assert len({one.task.title for one in chosen}) == len(chosen)


def test_edits_take_turns_to_be_gone_over_again(step):
    past = [step(f"T{n}", "word") for n in range(12)]
    size = sum(map(count_tokens, documents(past[0])))
    counts = dict.fromkeys((one.task.title for one in past[:4]), 0)
    for now in range(4, 12):
        for one in rehearsed(past[:now], f"T{now}", 3 * size):
            if one.task.title in counts:
                counts[one.task.title] += 1
    assert max(counts.values()) - min(counts.values()) <= 2 and min(counts.values()) >= 2


def test_replay_takes_the_later_of_two_documents_and_never_the_one_that_is_corrected(make, step):
    past = [step("One", "old"), step("Two"), step("One", "newer")]
    (prepared,) = make("replay", replay_budget=1000).prepare([turn(past, step("Three"))])
    targets = {example.target for example in prepared.job.examples}
    assert "One\nnewer" in targets and "One\nold" not in targets
    (prepared,) = make("replay", replay_budget=1000).prepare([turn(past, step("One", "newest"))])
    assert not any("newer" in example.target for example in prepared.job.examples)


def test_the_cost_of_replay_does_not_grow_with_the_stream(make, step):
    method, counts = make("replay", replay_budget=60), []
    for size in (10, 20, 40):
        (prepared,) = method.prepare([turn([step(f"T{n}", "word") for n in range(size)], step("New", "word"))])
        counts.append(sum(map(count_tokens, prepared.job.examples)))
    assert len(set(counts)) == 1


def test_self_distill_learns_its_own_questions_and_samples_of_the_start(make, tasks):
    old = StreamStep(replace(tasks[0], questions=()), Trial(SelfEdit("apollo", "")), tasks[0].questions)
    new = StreamStep(replace(tasks[1], questions=()), Trial(SelfEdit("torvik", "")), tasks[1].questions)
    method = make("self_distill", recall_texts=4, replay_budget=1000)
    (prepared,) = method.prepare([turn([old], new)])
    closed = [e for e in prepared.job.examples if e.prompt and e.target in (" 1969", " Selx")]
    assert method.needs_questions and len(closed) == 2 and not any(tasks[0].context in e.prompt for e in closed)
    said = [e for e in prepared.job.examples if e.teacher]
    assert len(said) == 4 and {e.teacher for e in said} == {BASE.id}
    assert method.prepare([turn([old], new)]) == [prepared]  # and the same again


def test_a_model_recalls_texts_and_what_it_makes_of_them(examiner):
    """The fake writes a title, a line below it, and questions: notes on one text, a question twice on the other."""

    class Engine:
        def sample(self, requests):
            return [self.say(request.prompt) for request in requests]

        def say(self, prompt):
            if len(prompt) == 1:
                return "da\nAda sang."
            if "Question 1" in prompt or "questions" in prompt.lower():
                return "Question 1: What did Ada do?\nAnswer: She sang."
            return "She sang."

    recall = Recall(replace(examiner, engine=Engine()), 0)
    first, second = recall.samples(Update("start"), ["one", "two"], 2)
    kinds = [(bool(e.prompt), "Ada sang." in e.prompt) for e in first]
    assert kinds == [(False, False), (False, False), (True, True), (True, True), (True, False)]
    assert {e.teacher for e in [*first, *second]} == {"start"}
    assert [e.target[0] for e in first[:2]] != [e.target[0] for e in second[:2]]  # other letters


def test_olora_has_a_recipe_of_its_own_and_olora_and_ewc_hold_on_to_the_parent(make, step):
    given = turn([], step("One"))
    (prepared,) = make("olora", olora_rank=2).prepare([given])
    assert prepared.job == replace(given.job, recipe=replace(RECIPE, rank=2, alpha=4.0), orthogonal=True)
    (prepared,) = make("ewc", ewc_strength=7.0).prepare([given])
    assert prepared.job == replace(given.job, ewc=7.0) and prepared.job.recipe == RECIPE


# The gate


@pytest.fixture
def gated(examiner, step):
    """What the gate makes of an update that costs `cost` at full scale, in proportion to the scale below it."""
    asked = tuple(Question(f"Q{n}?", "a") for n in range(2))

    def gated(cost, most, measure="bits", questions=asked):
        scales = {"whole": 1.0, "base": 0.0}

        class Engine:
            def likelihood(self, readings):
                nats = [-1.0 - cost * 0.6931471805599453 * scales[reading.update.id] for reading in readings]
                return [Likelihood(2 * per_token, 2) for per_token in nats]

            def sample(self, requests):
                return ["so"] * len(requests)

            def scale(self, update, factor):
                scales[f"x{factor}"] = factor
                return Update(f"x{factor}")

            def release(self, updates):
                for update in updates:
                    del scales[update.id]

        gate = Gate(replace(examiner, engine=Engine()), measure, most, 0)
        given = turn([step("One", questions=questions)], step("Two"))
        (result,) = gate.accept([given], [Update("whole")])
        return result, scales

    return gated


@pytest.mark.parametrize("measure", ["bits", "kl"])
def test_the_gate_lets_through_what_costs_little(gated, measure):
    assert gated(0.05, 0.08, measure)[0] == Update("whole")


@pytest.mark.parametrize("cost", [0.09, 0.16, 0.3, 0.5, 0.6])
def test_the_gate_shrinks_to_the_largest_scale_that_is_let_through(gated, cost):
    """By bisection, so to within a thirty-second of it."""
    result, scales = gated(cost, 0.08)
    assert scales[result.id] * cost <= 0.08 < (scales[result.id] + 1 / 32) * cost


def test_the_gate_keeps_the_scale_it_found_and_lets_go_of_the_others(gated):
    result, scales = gated(0.16, 0.08)
    assert result == Update("x0.5") and 0.5 <= scales["x0.5"] <= 0.5
    assert all(name in ("whole", "base") or factor <= 0.5 for name, factor in scales.items())


def test_the_gate_rejects_what_costs_too_much_at_a_tenth(gated):
    result, _ = gated(5.0, 0.08)
    assert result == Failure("policy", "rejected: even a tenth of it costs more than 0.08 in bits")


def test_the_gate_has_no_say_before_anything_was_learned(gated):
    assert gated(5.0, 0.08, questions=())[0] == Update("whole")


def test_the_gate_by_accuracy_rejects_an_update_that_forgets(forgetful, tasks, step):
    engine = forgetful(forgets=True)
    examiner = Examiner(engine, Knowledge(), GRADERS["contains"])
    past = StreamStep(replace(tasks[0], questions=()), Trial(SelfEdit("apollo", "", "", ())), tasks[0].questions)
    (learned,) = engine.train([Job(BASE, (Example("", tasks[0].context),), RECIPE, 0)])
    past = replace(past, trial=replace(past.trial, update=learned))
    (update,) = engine.train([Job(learned, (Example("", "Something else."),), RECIPE, 0)])
    given = turn([past], step("Two"), learned)
    (result,) = Gate(examiner, "accuracy", 0.1, 0).accept([given], [update])
    assert isinstance(result, Failure) and "accuracy" in result.message
    assert Gate(examiner, "accuracy", 1.0, 0).accept([given], [update]) == [update]


# Banks


@pytest.fixture
def past(step):
    return [step(title, "text", Update(name)) for title, name in (("Torvik", "a"), ("Velin", "b"), ("Ulmira", "c"))]


def test_a_bank_trains_every_document_from_the_start(make, past, step):
    (prepared,) = make("bank").prepare([turn(past, step("New"), Update("c"))])
    assert prepared.job.parent == BASE


def test_consolidation_teaches_everything_at_once_and_goes_on_from_there(make, past, step):
    method = make("consolidate", consolidate_every=3)
    (between,) = method.prepare([turn(past[:1], past[1])])
    (whole,) = method.prepare([turn(past[:2], past[2], Update("b"))])
    assert between.job.examples == documents(past[1]) and between.job.parent == BASE
    assert set(whole.job.examples) == {e for one in past for e in documents(one)} and whole.job.parent == BASE
    (after,) = method.prepare([turn(past, step("New"))])
    assert after.job.parent == Update("c")


def test_after_a_consolidation_that_failed_edits_begin_where_they_did(make, past, step):
    failed = [*past[:2], replace(past[2], trial=replace(past[2].trial, update=None))]
    (after,) = make("consolidate", consolidate_every=3).prepare([turn(failed, step("New"))])
    assert after.job.parent == BASE


# Combinations


def test_methods_work_one_after_another(make, step):
    (prepared,) = make("replay", "ewc", replay_budget=1000).prepare([turn([step("One", "text")], step("Two"))])
    assert prepared.job.ewc and len(prepared.job.examples) == 4


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("bank", "gate"), "bank and gate cannot be combined"),
        (("olora", "ewc"), "olora and ewc cannot be combined"),
        (("magic",), "continual.methods is 'magic'; it can be sequential, replay"),
        ((), "it can list sequential, replay"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(names, sentence):
    with pytest.raises(InputError, match=sentence):
        check_methods(ContinualConfig(methods=names))


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_method_by_its_old_name_is_refused_with_its_new_one(old, new):
    with pytest.raises(InputError, match=f"method {old} is called {new} since version 0.2"):
        check_methods(ContinualConfig(methods=(old,)))
    check_methods(ContinualConfig(methods=(new,)))


def test_an_unknown_measure_is_refused():
    with pytest.raises(InputError, match="accuracy, bits, kl"):
        check_methods(ContinualConfig(methods=("gate",), gate_measure="taste"))


def test_every_method_is_in_the_description_of_the_key():
    description = ContinualConfig.model_fields["methods"].description
    assert all(name in description for name in METHODS)
