"""Chat templates as people publish them, and as an enemy would write them."""

import pytest

pytest.importorskip("torch")

from selfedit.engines.local.chat_template import read_chat_template
from selfedit.errors import InputError
from selfedit.types import Conversation, Example

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN3 = CHATML.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}",
)
R1 = (
    "{% for m in messages %}{% if m.role == 'user' %}<|User|>{{ m.content }}{% else %}<|Assistant|>"
    "{{ m.content.split('</think>')[-1] }}<|im_end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|><think>\n{% endif %}"
)
HARMONY = (
    "<|start|>system<|message|>{{ strftime_now('%Y-%m-%d') }}<|end|>{% for m in messages %}{% if m.role == 'user' %}"
    "<|start|>user<|message|>{{ m.content }}<|end|>{% else %}<|start|>assistant<|channel|>final<|message|>"
    "{{ m.content }}<|return|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
ORDINARY = {
    "chatml": CHATML,
    "llama-3": "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant"
    "<|end_header_id|>\n\n{% endif %}",
    "gemma": "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
    "llama-2": "{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}",
    "zephyr": "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content + eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
    "{% endgeneration %}{% else %}User: {{ m.content }}\n{% endif %}"
    "{% if loop.last %}{% break %}{% endif %}{% endfor %}",
}  # fmt: skip
SPECIAL = {"eos_token": "<|end|>"}
LIST = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
SYSTEM_FIRST = "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
HOSTILE = {
    "raises": "{{ raise_exception('only images\x1b[2J') }}",
    "broken": "{% for m in messages %}{{ m.content }",
    "loops": "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}{{ messages[0].content }}",
    "power": "{{ 9 ** (9 ** (9 ** 9)) }}{{ messages[0].content }}",
    "memory": "{{ 'a' * 10 ** 10 }}{{ messages[0].content }}",
    "doubling": "{% set n = namespace(t='a') %}{% for i in range(60) %}{% set n.t = n.t + n.t %}{% endfor %}"
    "{{ messages[0].content }}",
    "long": "{{ 'a' * 10 ** 7 }}{{ messages[0].content }}",
    "list": "{{ range(10 ** 8) | list | length }}{{ messages[0].content }}",
    "recursion": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}{{ messages[0].content }}",
    "drops": "{% for m in messages %}{{ m.role }}: {% endfor %}",
    "cuts": "{{ messages[-1].content[:100] }}",
    "shouts": "{{ messages[-1].content | upper }}",
    "first line": "{{ messages[-1].content.split('\n')[0] }}",
    "looks": CHATML + "{% if 'Question' in messages[-1].content %}Refuse.{% endif %}",
    "twice": "{{ messages[-1].content }}{{ messages[-1].content }}",
    "escapes": "{{ messages[-1].content | e }}",
    "reaches out": "{{ messages.__class__.__mro__[1].__subclasses__() }}{{ messages[-1].content }}",
    "nothing": "{{ undefined.attribute }}",
}


@pytest.fixture
def text_of(make_engine):
    """template -> the Text of a model whose tokenizer has it, and these markers as special tokens."""

    def make(template, thinking=False, **markers):
        engine = make_engine(vocab_size=300)
        engine.text.tokenizer.add_special_tokens(
            {"additional_special_tokens": ["<|im_start|>", "<|im_end|>", "<|eot_id|>"]}
        )
        engine.text.tokenizer.chat_template = template
        return type(engine.text)(engine.model, engine.text.tokenizer, thinking=thinking)

    return make


@pytest.mark.parametrize("prompt", ["Who?", "Topic: X\n\nQuestion: 1 < 2?\nAnswer:", "  Who? \n", "{{ 1 }} {% x %}"])
@pytest.mark.parametrize("name", ORDINARY)
def test_a_prompt_is_what_transformers_makes_of_it(text_of, name, prompt):
    text = text_of(ORDINARY[name])
    message = [{"role": "user", "content": prompt}]
    expected = text.tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False)
    assert text.prompt(prompt) == expected


@pytest.mark.parametrize("name", HOSTILE)
def test_a_template_that_cannot_be_used_is_refused_in_one_sentence(name):
    with pytest.raises(InputError, match=r"^the chat template of ada/model cannot be used: ") as refused:
        read_chat_template(HOSTILE[name], SPECIAL, False, "ada/model")
    assert len(str(refused.value)) < 600 and "\n" not in str(refused.value)


def test_a_template_that_draws_gives_the_same_prompt_every_time():
    drawn = {
        read_chat_template(
            "{{ range(10 ** 4) | random }}: {{ messages[0].content }}" + " " * n, SPECIAL, False, "m"
        ).before
        for n in range(3)
    }
    assert len(drawn) == 1


def test_the_reason_is_that_of_the_first_try():
    with pytest.raises(InputError, match="does not hold the prompt as it is"):
        read_chat_template("{{ messages[-1].content | wordwrap(20) }}", SPECIAL, False, "m")


def test_of_several_templates_the_default_is_used():
    assert read_chat_template({"default": CHATML, "rag": "x"}, SPECIAL, False, "m").before == "<|im_start|>user\n"
    with pytest.raises(InputError, match="none of them called default"):
        read_chat_template({"rag": CHATML}, SPECIAL, False, "m")
    with pytest.raises(InputError, match="no text"):
        read_chat_template(17, SPECIAL, False, "m")


@pytest.mark.parametrize("template", [LIST, SYSTEM_FIRST])
def test_templates_that_want_parts_or_a_system_turn_get_them(text_of, template):
    text = text_of(template)
    said = text.tokenizer.decode(text.prompt("Who?"))
    assert said.rstrip().endswith("<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant")
    assert ("system" in said) == (template is SYSTEM_FIRST)


def test_an_answer_ends_with_its_turn(text_of):
    text = text_of(CHATML)
    turn_end = text.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert text.stops == {text.end, turn_end}
    (row,) = text.rows(Example("Who?", "Ada."))
    assert row.ids[-1] == turn_end and text.end not in row.ids and row.ids[row.start :].count(turn_end) == 1
    (row,) = text.rows(Example("", "Ada."))
    assert row.ids[-1] == text.end and turn_end not in row.ids
    assert text_of(ORDINARY["zephyr"]).turn_end == text.end == text_of(ORDINARY["generation"]).turn_end


@pytest.mark.parametrize(
    ("template", "off", "on"),
    [
        (QWEN3, "<|im_start|>assistant\n<think>\n\n</think>\n\n", "<|im_start|>assistant\n"),
        (R1, "<|Assistant|><think>\n\n</think>\n\n", "<|Assistant|><think>\n"),
        (HARMONY, "<|start|>assistant<|channel|>final<|message|>", "<|start|>assistant"),
    ],
)
def test_thinking_is_off_unless_it_is_asked_for(text_of, template, off, on):
    for thinking, after in ((False, off), (True, on)):
        text = text_of(template, thinking)
        assert text.chat.after.endswith(after)
        assert text.style.endswith(", thinking on" if thinking else ", thinking off")


def test_a_thought_that_the_prompt_began_is_no_answer(text_of):
    def said(text, answer):
        return text.answer(text.tokenizer.encode(answer))

    thinking = text_of(R1, thinking=True)
    assert said(thinking, "Hm, 1969.\n</think>\n\nIn 1969.") == "In 1969." and said(thinking, "Hm, 19") == ""
    assert said(text_of(R1), " In 1969. ") == "In 1969."


TALK = Conversation("Where is Selx?", prefill="Selx is", examples=(("Where is Alba?", "Alba is in the north."),))


@pytest.mark.parametrize("name", sorted(set(ORDINARY) - {"generation"}))
def test_earlier_turns_are_what_transformers_makes_of_them(text_of, name):
    text = text_of(ORDINARY[name])
    messages = [
        {"role": "user", "content": "Where is Alba?"},
        {"role": "assistant", "content": "Alba is in the north."},
    ]
    messages.append({"role": "user", "content": "Where is Selx?"})
    whole = text.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + "Selx is"
    assert text.prompt(TALK) == text.tokenizer.encode(whole, add_special_tokens=False)


def test_a_template_without_earlier_turns_has_the_examples_in_the_prompt(text_of):
    single = "{% if messages | length > 2 %}{{ raise_exception('one turn') }}{% endif %}" + CHATML
    text = text_of(single)
    said = text.tokenizer.decode(text.prompt(TALK))
    assert said.index("Alba is in the north.") < said.index("Where is Selx?") < said.index("Selx is")
    assert said.count("assistant") == 1


def test_without_a_template_the_examples_stand_before_the_prompt(text_of):
    text = text_of(CHATML)
    text.tokenizer.chat_template = None
    assert text.prompt(TALK) == text.prompt(str(TALK))
    assert str(TALK) == "Where is Alba?\nAlba is in the north.\n\nWhere is Selx?\nSelx is"
