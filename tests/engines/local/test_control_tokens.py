"""With every kind of tokenizer: no text becomes a control token, and ordinary text is encoded as it always was."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from selfedit.engines.local.text import Text
from selfedit.types import Example

SPECIAL = ["<|end|>", "<s>", "<unk>", "<|im_start|>", "<|im_end|>", "[SEP]", "[THINK]", "[/THINK]"]
ADDED = ["<tool_call>", "</think>", "<think>"]
WORDS = ["Ada Vell sang <b>twice</b> in Torvik.", "if x[0] < 1 | 2 > y: print('[a]')", "Zürich 漢字 \n\n  é"] * 20
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}"
)


def byte_level():
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return made, trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )


def metaspace_bpe():
    """As Llama 2's: a space before the text, and bytes for what is unknown."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokens = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    return made, trainers.BpeTrainer(vocab_size=600, special_tokens=tokens, show_progress=False)


def unigram():
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return made, trainers.UnigramTrainer(
        vocab_size=300, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip


def word_piece():
    made = Tokenizer(models.WordPiece(unk_token="<unk>"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer, made.decoder = pre_tokenizers.WhitespaceSplit(), decoders.WordPiece()
    return made, trainers.WordPieceTrainer(vocab_size=300, special_tokens=SPECIAL, show_progress=False)


KINDS = {kind.__name__: kind for kind in (byte_level, metaspace_bpe, unigram, word_piece)}


def make_text(kind, framed=False, chat_template=None, template=""):
    made, trainer = KINDS[kind]()
    made.train_from_iterator(WORDS, trainer)
    made.add_tokens([AddedToken(token, normalized=token == "<think>", special=False) for token in ADDED])
    if framed:
        ids = [(token, made.token_to_id(token)) for token in ("<s>", "<|end|>")]
        made.post_processor = processors.TemplateProcessing(single="<s> $A <|end|>", special_tokens=ids)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|end|>", bos_token="<s>", unk_token="<unk>", model_max_length=10**6,
        additional_special_tokens=SPECIAL[3:], chat_template=chat_template, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(max_position_embeddings=10**6))
    return Text(SimpleNamespace(config=config, generation_config=None), tokenizer, template)


TEXTS = {(kind, framed): make_text(kind, framed) for kind in KINDS for framed in (False, True)}
CHATS = {kind: make_text(kind, chat_template=CHATML) for kind in KINDS}
ordinary = st.text(alphabet="Ada V<>|[]/. \n_ü漢1", max_size=30)
hostile = st.lists(
    st.sampled_from([*SPECIAL, *ADDED, "Ada ", " ", "\n", "<", "|", "<|", "<|im_<|im_end|>", "\uff1cthink\uff1e", "x"])
)


def controls(text, ids):
    return [token for token in ids if token in set(text.controls.values()) - {text.tokenizer.unk_token_id}]


@pytest.mark.parametrize("kind", KINDS)
@given(written=ordinary)
@settings(max_examples=60)
def test_ordinary_text_is_encoded_as_the_tokenizer_does(kind, written):
    plain, framed, chat = TEXTS[kind, False], TEXTS[kind, True], CHATS[kind]
    assert plain.target(written) == plain.tokenizer.encode(written, add_special_tokens=False)
    assert framed.target(written, is_document=True) == framed.tokenizer.encode(written)[:-1]
    if written:
        turn = [{"role": "user", "content": written}]
        expected = chat.tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
        assert chat.prompt(written) == expected


@pytest.mark.parametrize("kind", KINDS)
@given(parts=hostile)
@settings(max_examples=60)
def test_no_text_becomes_a_control_token(kind, parts):
    written = "".join(parts)
    for framed in (False, True):
        text = TEXTS[kind, framed]
        begin = [text.tokenizer.bos_token_id] * framed
        assert controls(text, text.target(written)) == []
        assert controls(text, text.target(written, is_document=True)) == begin
        for row in text.rows(Example("", written)):
            assert controls(text, row.ids) == [*begin, text.end] and row.ids[-1] == text.end
    chat = CHATS[kind]
    if written:
        assert controls(chat, chat.prompt(written)) == controls(chat, chat.prompt("Ada"))


@pytest.mark.parametrize("kind", ["byte_level", "metaspace_bpe"])
@given(parts=hostile)
@settings(max_examples=40)
def test_nothing_is_lost_of_it(kind, parts):
    written = "".join(parts)
    text = TEXTS[kind, False]
    assert text.tokenizer.decode(text.target(written)) == written


def test_the_unknown_token_is_not_written_by_its_name():
    text = TEXTS["byte_level", False]
    assert text.tokenizer.unk_token_id not in text.target("An <unk> stands for it")


def test_half_a_character_is_told_as_one_that_is_not_known():
    text = TEXTS["byte_level", False]
    assert text.target("a\ud800b") == text.target("a\ufffdb")


def test_the_markers_of_a_template_in_the_config_are_meant():
    text = make_text("byte_level", template="<|im_start|>user\n{prompt}<|im_end|>\n")
    start, end = text.tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert controls(text, text.prompt("Who?<|im_end|>")) == [start, end]


def test_marks_of_thoughts_that_are_special_tokens_are_seen():
    text = TEXTS["byte_level", False]
    ids = text.tokenizer.encode("[THINK]1968? No.[/THINK]In 1969.<|im_end|>")
    assert text.answer(ids) == "In 1969." and text.answer(ids[:4]) == ""
    assert text.answer(text.tokenizer.encode(" In 1969.<|im_end|> ")) == "In 1969."
