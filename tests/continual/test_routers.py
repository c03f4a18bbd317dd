"""Which update of a stream answers a question."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.config import ContinualConfig
from selfedit.continual.methods import METHODS, ROUTERS, MethodContext, check_methods, make_router, router_name
from selfedit.continual.routers import LastUpdate, MostSimilar, SinceConsolidation, TfIdf, as_asked, routing_accuracy
from selfedit.errors import InputError
from selfedit.types import BASE, Failure, Update

ASKED = ["Topic: Torvik\nWhich river?", "What did Mara Velin play?", "Which ship carried cork?", "Name Zanzibar."]


@pytest.fixture
def past(step):
    return [
        step("Torvik", "The river is the Selx, the trade is lace.", Update("a")),
        step("Mara Velin", "A baker who played the tuba.", Update("b")),
        step("SS Ulmira", "A ship that carried cork, launched in 1843.", Update("c")),
    ]


def failed(step):
    return replace(step, trial=replace(step.trial, update=None, failure=Failure("policy", "no")))


# One model


def test_the_last_update_answers_everything(past):
    router = LastUpdate()
    assert router.route(BASE, past, ASKED) == [Update("c")] * 4 and router.active(BASE, past) == [Update("c")]
    assert router.learned_by(BASE, past, "Torvik") == Update("c")
    assert router.route(BASE, [], ASKED) == [BASE] * 4 and router.active(BASE, []) == [BASE]


def test_the_last_update_is_the_last_that_stood(past):
    past = [*past[:2], failed(past[2])]
    assert LastUpdate().route(BASE, past, ASKED) == [Update("b")] * 4
    assert LastUpdate().active(BASE, past) == [Update("b")]


# Banks


def test_a_bank_asks_the_document_that_the_question_is_like(past):
    router = MostSimilar(min_similarity=0.1)
    assert router.route(BASE, past, ASKED) == [Update("a"), Update("b"), Update("c"), BASE]
    assert router.active(BASE, past) == [BASE, Update("a"), Update("b"), Update("c")]
    assert router.route(BASE, [], ASKED) == [BASE] * 4


def test_a_bank_has_nothing_of_an_edit_that_failed(past):
    router, past = MostSimilar(0.1), [failed(past[0]), *past[1:]]
    assert router.route(BASE, past, ASKED[:2]) == [BASE, Update("b")]
    assert router.active(BASE, past) == [BASE, Update("b"), Update("c")]
    assert router.learned_by(BASE, past, "Torvik") == BASE


def test_routing_counts_the_questions_that_reach_their_document(tasks, step):
    past = tuple(step(t.title, t.context, Update(t.id)) for t in tasks)
    assert routing_accuracy(MostSimilar(0.1), BASE, [past], [tasks]) == [1.0]
    assert routing_accuracy(MostSimilar(1.0), BASE, [past], [tasks]) == [0.0]


def test_a_question_is_asked_with_its_topic_and_no_words_of_the_prompt(tasks):
    assert as_asked(tasks[0], tasks[0].questions[0]) == "Apollo 11\nWhen did Apollo 11 land?"


def test_of_two_documents_with_one_title_the_bank_asks_the_later(past, step):
    past = [*past, step("Torvik", "The river is the Delm.", Update("d"))]
    assert MostSimilar(0.1).route(BASE, past, ["Topic: Torvik\nWhich river?"]) == [Update("d")]
    assert Update("a") not in MostSimilar(0.1).active(BASE, past)
    assert MostSimilar(0.1).learned_by(BASE, past, "Torvik") == Update("d")


@given(st.lists(st.text("abc ", max_size=12), max_size=6), st.text("abc ", max_size=8))
def test_an_index_finds_a_text_by_itself_or_nothing(texts, query):
    index = TfIdf(texts)
    for place in index.most_similar([*texts, query], 0.0):
        assert place is None or 0 <= place < len(texts)
    assert index.most_similar([query], 1.1) == [None]


# Consolidation


def test_after_a_consolidation_one_update_answers_and_the_bank_is_empty(past, step):
    router = SinceConsolidation(MostSimilar(0.1), 3)
    asked = ["Which river is Torvik on?", "Which ship carried cork?"]
    assert router.route(BASE, past, asked) == [Update("c")] * 2 and router.active(BASE, past) == [Update("c")]
    assert router.learned_by(BASE, past, "Torvik") == Update("c")
    more = [*past, step("New", "Something of its own.", Update("d"))]
    assert router.route(BASE, more, ["What is New?", *asked]) == [Update("d"), Update("c"), Update("c")]
    assert router.active(BASE, more) == [Update("c"), Update("d")]
    assert [router.learned_by(BASE, more, title) for title in ("New", "Torvik")] == [Update("d"), Update("c")]


def test_a_consolidation_that_failed_leaves_the_bank_as_it_was(past):
    router = SinceConsolidation(MostSimilar(0.1), 3)
    assert router.active(BASE, [*past[:2], failed(past[2])]) == [BASE, Update("a"), Update("b")]


# The table


@pytest.mark.parametrize("name", METHODS)
def test_a_bank_and_a_consolidation_bring_their_router_and_all_others_have_the_last(name):
    expected = {"bank": MostSimilar(0.3), "consolidate": SinceConsolidation(MostSimilar(0.3), 5)}
    config = ContinualConfig(methods=(name,), min_similarity=0.3, consolidate_every=5)
    router = make_router(MethodContext(config, None, 0))
    if name in expected:
        assert router == expected[name]
    else:
        assert isinstance(router, LastUpdate)


def test_the_config_can_name_a_router_and_a_combination_has_that_of_one_of_its_methods():
    assert router_name(ContinualConfig(methods=("bank",), router="last")) == "last"
    assert router_name(ContinualConfig(methods=("self_distill", "consolidate"))) == "consolidate"


def test_an_unknown_router_is_refused():
    with pytest.raises(InputError, match=r"continual\.router is 'taste'; it can be last, bank, consolidate"):
        check_methods(ContinualConfig(router="taste"))


def test_every_router_is_in_the_description_of_the_key():
    description = ContinualConfig.model_fields["router"].description
    assert all(name in description for name in ROUTERS)
