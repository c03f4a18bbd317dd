import pytest

pytest.importorskip("torch")

from selfedit.types import Example


def test_a_document_ends_in_exactly_one_end_of_text(make_engine):
    text = make_engine().text
    (row,) = text.rows(Example("", "Ada sang."))
    assert row.ids.count(text.end) == 1 and row.ids[-1] == text.end
    assert row.start == 0 and text.decode(row.ids) == "Ada sang."


def test_loss_falls_on_the_target_only(make_engine):
    text = make_engine().text
    (row,) = text.rows(Example("Who?", " Ada."))
    assert text.decode(row.ids[row.start :]) == "Ada." and text.decode(row.ids[: row.start]) == "Who?"


def test_a_document_over_the_context_is_cut_and_nothing_is_lost(make_engine):
    text = make_engine().text
    long = "".join(chr(97 + i % 26) for i in range(300))
    rows = text.rows(Example("", long))
    assert len(rows) == 3 and all(len(row.ids) <= 128 and row.ids[-1] == text.end for row in rows)
    assert "".join(text.decode(row.ids) for row in rows) == long


def test_a_template_wraps_prompts_and_not_documents(make_engine):
    text = make_engine(template="User: {prompt}\nBot:").text
    assert text.decode(text.prompt("{prompt} Who?")) == "User: {prompt} Who?\nBot:"
    assert text.decode(text.rows(Example("", "Ada sang."))[0].ids) == "Ada sang."


def test_a_chat_template_is_used_when_the_tokenizer_has_one(make_engine):
    engine = make_engine()
    template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
    )
    engine.text.tokenizer.chat_template = template
    assert engine.text.decode(engine.text.prompt("Who?")) == "<user>Who?<bot>"


def test_an_empty_prompt_is_empty(make_engine):
    assert make_engine().text.prompt("") == []


def test_token_rows_say_what_is_learned(make_engine):
    engine = make_engine()
    (row,) = engine.token_rows(Example("Who?", " Ada"))
    assert "".join(piece for piece, _ in row[:-1]) == "Who? Ada"
    assert [is_learned for _, is_learned in row] == [False] * 4 + [True] * 5
    (row,) = engine.token_rows(Example("", "Ada"))
    assert [is_learned for _, is_learned in row] == [False, True, True, True]
