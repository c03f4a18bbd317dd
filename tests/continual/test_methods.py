"""What each keeper does to a job, and what it decides about an update."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.config import ContinualConfig
from selfedit.continual.methods import METHODS, MethodContext, make_method
from selfedit.continual.methods.bank import Bank, Index, routed_home
from selfedit.continual.methods.consolidate import Consolidate
from selfedit.continual.methods.gate import Gate
from selfedit.continual.methods.memory import documents, rehearsed, tokens
from selfedit.continual.methods.recall import Recall
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.errors import InputError
from selfedit.graders import GRADERS
from selfedit.loops.inner import Examiner
from selfedit.types import (
    BASE,
    Example,
    Failure,
    Job,
    PendingStep,
    Question,
    Recipe,
    SelfEdit,
    StreamStep,
    Task,
    Trial,
    Update,
)

RECIPE = Recipe(rank=16, alpha=32.0)


def step(title, text="", update=None, questions=()):
    task = Task(title.lower(), title, f"About {title}: {text}")
    edit = SelfEdit(task.id, "", text, (Example("", f"{title}\n{text}"), Example("", f"{title}\n{task.context}")))
    return StreamStep(task, Trial(edit, update), questions)


def turn(past, new, parent=BASE, stream=0):
    return PendingStep(stream, BASE, tuple(past), new, Job(parent, documents(new), RECIPE, 0))


@pytest.fixture
def examiner(forgetful):
    return Examiner(forgetful(), Knowledge(), GRADERS["contains"])


@pytest.fixture
def make(examiner):
    return lambda *names, **more: make_method(names, MethodContext(ContinualConfig(**more), examiner, 0))


def test_merge_leaves_everything_as_it_is(make):
    given = [turn([step("One")], step("Two"))]
    keeper = make("merge")
    assert keeper.prepare(given) == given and not keeper.asks
    outcomes = [Update("u"), Failure("policy", "no")]
    assert keeper.settle(given, outcomes) == outcomes


@given(st.lists(st.integers(1, 30), max_size=12), st.integers(0, 120))
def test_what_is_gone_over_again_stays_within_the_budget(lengths, budget):
    past = [step(f"T{n}", "word " * length) for n, length in enumerate(lengths)]
    chosen = rehearsed(past, "New", budget)
    assert sum(tokens(example) for one in chosen for example in documents(one)) <= budget
    assert len({one.task.title for one in chosen}) == len(chosen)


def test_edits_take_turns_to_be_gone_over_again():
    past = [step(f"T{n}", "word") for n in range(12)]
    size = sum(map(tokens, documents(past[0])))
    counts = dict.fromkeys((one.task.title for one in past[:4]), 0)
    for now in range(4, 12):
        for one in rehearsed(past[:now], f"T{now}", 3 * size):
            if one.task.title in counts:
                counts[one.task.title] += 1
    assert max(counts.values()) - min(counts.values()) <= 2 and min(counts.values()) >= 2


def test_replay_takes_the_later_of_two_documents_and_never_the_one_that_is_corrected(make):
    past = [step("One", "old"), step("Two"), step("One", "newer")]
    (prepared,) = make("replay", budget=1000).prepare([turn(past, step("Three"))])
    targets = {example.target for example in prepared.job.examples}
    assert "One\nnewer" in targets and "One\nold" not in targets
    (prepared,) = make("replay", budget=1000).prepare([turn(past, step("One", "newest"))])
    assert not any("newer" in example.target for example in prepared.job.examples)


def test_the_cost_of_replay_does_not_grow_with_the_stream(make):
    keeper, counts = make("replay", budget=60), []
    for size in (10, 20, 40):
        (prepared,) = keeper.prepare([turn([step(f"T{n}", "word") for n in range(size)], step("New", "word"))])
        counts.append(sum(map(tokens, prepared.job.examples)))
    assert len(set(counts)) == 1


def test_distil_learns_its_own_questions_and_samples_of_the_start(make, tasks):
    old = StreamStep(replace(tasks[0], questions=()), Trial(SelfEdit("apollo", "")), tasks[0].questions)
    new = StreamStep(replace(tasks[1], questions=()), Trial(SelfEdit("torvik", "")), tasks[1].questions)
    keeper = make("distil", anchors=4, budget=1000)
    (prepared,) = keeper.prepare([turn([old], new)])
    closed = [e for e in prepared.job.examples if e.prompt and e.target in (" 1969", " Selx")]
    assert keeper.asks and len(closed) == 2 and not any(tasks[0].context in e.prompt for e in closed)
    said = [e for e in prepared.job.examples if e.teacher]
    assert len(said) == 4 and {e.teacher for e in said} == {BASE.id}
    assert keeper.prepare([turn([old], new)]) == [prepared]  # and the same again


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


def test_ortho_and_ewc_are_recipes(make):
    (prepared,) = make("ortho", rank=2).prepare([turn([], step("One"))])
    assert (prepared.job.recipe.rank, prepared.job.recipe.alpha, prepared.job.recipe.orthogonal) == (2, 4.0, True)
    (prepared,) = make("ewc", strength=7.0).prepare([turn([], step("One"))])
    assert prepared.job.recipe == replace(RECIPE, ewc=7.0)


# The gate


@pytest.fixture
def gated(examiner, tasks):
    """What the gate makes of an update that costs `cost` at full scale, in proportion to the scale below it."""
    asked = tuple(Question(f"Q{n}?", "a") for n in range(2))

    def gated(cost, most, measure="bits", questions=asked):
        scales = {"whole": 1.0, "base": 0.0}

        class Engine:
            def likelihood(self, readings):
                return [-1.0 - cost * 0.6931471805599453 * scales[reading.update.id] for reading in readings]

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
        (result,) = gate.settle([given], [Update("whole")])
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


def test_the_gate_by_accuracy_rejects_an_update_that_forgets(forgetful, tasks):
    engine = forgetful(forgets=True)
    examiner = Examiner(engine, Knowledge(), GRADERS["contains"])
    past = StreamStep(replace(tasks[0], questions=()), Trial(SelfEdit("apollo", "", "", ())), tasks[0].questions)
    (learned,) = engine.train([Job(BASE, (Example("", tasks[0].context),), RECIPE, 0)])
    past = replace(past, trial=replace(past.trial, update=learned))
    (update,) = engine.train([Job(learned, (Example("", "Something else."),), RECIPE, 0)])
    given = turn([past], step("Two"), learned)
    (result,) = Gate(examiner, "accuracy", 0.1, 0).settle([given], [update])
    assert isinstance(result, Failure) and "accuracy" in result.message
    assert Gate(examiner, "accuracy", 1.0, 0).settle([given], [update]) == [update]


# Banks


PAST = [
    step("Torvik", "The river is the Selx, the trade is lace.", Update("a")),
    step("Mara Velin", "A baker who played the tuba.", Update("b")),
    step("SS Ulmira", "A ship that carried cork, launched in 1843.", Update("c")),
]


def test_a_bank_trains_every_document_from_the_start(make):
    (prepared,) = make("bank").prepare([turn(PAST, step("New"), Update("c"))])
    assert prepared.job.parent == BASE


def test_a_bank_asks_the_document_that_the_question_is_like():
    bank = Bank(abstain=0.1)
    asked = ["Topic: Torvik\nWhich river?", "What did Mara Velin play?", "Which ship carried cork?", "Name Zanzibar."]
    assert bank.route(BASE, PAST, asked) == [Update("a"), Update("b"), Update("c"), BASE]
    assert bank.held(BASE, PAST) == [BASE, Update("a"), Update("b"), Update("c")]
    assert bank.route(BASE, [], asked) == [BASE] * 4


def test_routing_counts_the_questions_that_reach_their_document(tasks):
    past = tuple(step(t.title, t.context, Update(t.id)) for t in tasks)
    assert routed_home(Bank(0.1), BASE, [past], [tasks]) == [1.0]
    assert routed_home(Bank(1.0), BASE, [past], [tasks]) == [0.0]


def test_of_two_documents_with_one_title_the_bank_asks_the_later():
    past = [*PAST, step("Torvik", "The river is the Delm.", Update("d"))]
    assert Bank(0.1).route(BASE, past, ["Topic: Torvik\nWhich river?"]) == [Update("d")]
    assert Update("a") not in Bank(0.1).held(BASE, past)


@given(st.lists(st.text("abc ", max_size=12), max_size=6), st.text("abc ", max_size=8))
def test_an_index_finds_a_text_by_itself_or_nothing(texts, query):
    index = Index(texts)
    for place in index.best([*texts, query], 0.0):
        assert place is None or 0 <= place < len(texts)
    assert index.best([query], 1.1) == [None]


def test_consolidation_teaches_everything_at_once_and_empties_the_bank(make):
    keeper = make("consolidate", every=3)
    (between,) = keeper.prepare([turn(PAST[:1], PAST[1])])
    (whole,) = keeper.prepare([turn(PAST[:2], PAST[2], Update("b"))])
    assert between.job.examples == documents(PAST[1]) and between.job.parent == BASE
    assert set(whole.job.examples) == {e for one in PAST for e in documents(one)} and whole.job.parent == BASE
    asked = ["Which river is Torvik on?", "Which ship carried cork?"]
    assert keeper.route(BASE, PAST, asked) == [Update("c")] * 2 and keeper.held(BASE, PAST) == [Update("c")]
    more = [*PAST, step("New", "Something of its own.", Update("d"))]
    assert keeper.route(BASE, more, ["What is New?", *asked]) == [Update("d"), Update("c"), Update("c")]
    (after,) = keeper.prepare([turn(PAST, step("New"))])
    assert after.job.parent == Update("c")


def test_a_consolidation_that_failed_leaves_the_bank_as_it_was():
    keeper = Consolidate(0.1, 3)
    failed = [*PAST[:2], replace(PAST[2], trial=replace(PAST[2].trial, update=None))]
    assert keeper.held(BASE, failed) == [BASE, Update("a"), Update("b")]


# Combinations


def test_keepers_work_one_after_another(make):
    (prepared,) = make("replay", "ewc", budget=1000).prepare([turn([step("One", "text")], step("Two"))])
    assert prepared.job.recipe.ewc and len(prepared.job.examples) == 4


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("bank", "gate"), "bank and gate cannot be combined"),
        (("ortho", "ewc"), "ortho and ewc cannot be combined"),
        (("magic",), "it can list merge, replay"),
        ((), "it can list merge, replay"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(make, names, sentence):
    with pytest.raises(InputError, match=sentence):
        make(*names)


def test_an_unknown_measure_is_refused(make):
    with pytest.raises(InputError, match="accuracy, bits, kl"):
        make("gate", measure="taste")


def test_every_keeper_is_in_the_description_of_the_key():
    description = ContinualConfig.model_fields["keepers"].description
    assert all(name in description for name in METHODS)
