"""Every weight of a model comes from its files, and all that they hold is in it; what is no causal model is refused."""

import json
import os
import shutil

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import (  # noqa: E402
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    ModernBertConfig,
    ModernBertForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
    TrOCRConfig,
    TrOCRForCausalLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLNetConfig,
    XLNetLMHeadModel,
)

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402
from selfedit.errors import InputError  # noqa: E402
from selfedit.types import BASE, Request  # noqa: E402

KEY = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A random Llama whose head is its own."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(**sizes, vocab_size=260, max_position_embeddings=128, bos_token_id=None, eos_token_id=0)
    folder = tmp_path_factory.mktemp("whole")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole, byte_tokenizer, tmp_path):
    copy = shutil.copytree(whole, tmp_path / "model")
    byte_tokenizer(128).save_pretrained(copy)
    return copy


def load(folder, **options):
    return LocalEngine.from_config(ModelConfig(name=str(folder), **options))


def rewrite(folder, change):
    path = folder / "model.safetensors"
    weights = change(load_file(path))
    save_file({key: weight.contiguous() for key, weight in weights.items()}, path, metadata={"format": "pt"})


def configure(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def filled(weights, value, key=KEY):
    return {**weights, key: torch.full_like(weights[key], value)}


DAMAGES = {
    "compiled": (
        lambda w: {"_orig_mod." + key: weight for key, weight in w.items()},
        r"begin with '_orig_mod\.': the model was saved from inside torch\.compile; save the model itself",
    ),
    "wrapped": (lambda w: {"module." + key: v for key, v in w.items()}, r"'module\.'.* DistributedDataParallel"),
    "a wrapper of one's own": (lambda w: {"net.llm." + key: v for key, v in w.items()}, r"begin with 'net\.llm\.'"),
    "no head": (
        lambda w: {key: v for key, v in w.items() if "lm_head" not in key},
        r"no output head .*lm_head\.weight",
    ),
    "a layer missing": (
        lambda w: {key: v for key, v in w.items() if "layers.1." not in key},
        r"9 weights \(model\.layers\.1\..*, …\) of .* are missing from its files",
    ),
    "a weight missing": (lambda w: {k: v for k, v in w.items() if k != KEY}, rf"1 weight \({KEY}\) .* is missing"),
    "one too many": (
        lambda w: {**w, "v_head.summary.weight": torch.zeros(1, 32)},
        r"v_head\.summary\.weight.* no place",
    ),
    "a layer too many": (lambda w: {**w, "model.layers.2.mlp.up_proj.weight": w[KEY].clone()}, r"layers\.2.* no place"),
    "empty under ZeRO-3": (
        lambda w: {key: torch.empty(0) if "q_proj" in key else weight for key, weight in w.items()},
        r"2 weights \(.*q_proj\.weight\) of .* are empty, as DeepSpeed ZeRO-3",
    ),
    "another shape": (lambda w: {**w, KEY: w[KEY][:-1]}, rf"another shape .*{KEY} is \[47, 32\], and \[48, 32\]"),
    "not a number": (
        lambda w: filled(w, float("nan")),
        rf"1 weight \({KEY}\) of .* infinite or not numbers in float32",
    ),
    "infinite": (lambda w: filled(w, float("-inf")), "infinite or not numbers in float32"),
    "one number is none": (
        lambda w: {**w, "model.norm.weight": w["model.norm.weight"].index_fill(0, torch.tensor(7), float("nan"))},
        r"model\.norm\.weight.* infinite or not numbers",
    ),
}


@pytest.mark.parametrize(("change", "message"), DAMAGES.values(), ids=DAMAGES)
def test_weights_that_are_not_those_of_the_model(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(InputError, match=message):
        load(folder)


def test_what_is_finite_in_a_wider_type_says_so(folder):
    rewrite(folder, lambda w: filled(w, 1e6))
    load(folder)
    with pytest.raises(InputError, match=r"in float16; .*set model\.dtype to float32"):
        load(folder, dtype="float16")


def test_a_reward_model_is_no_language_model(folder):
    config = LlamaConfig.from_pretrained(folder, num_labels=1)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(InputError, match="it is a LlamaForSequenceClassification, which scores texts"):
        load(folder)


def test_buffers_that_older_checkpoints_hold_are_no_weights(tmp_path, byte_tokenizer):
    config = GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=260, n_positions=64, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    byte_tokenizer(64).save_pretrained(tmp_path)
    rewrite(tmp_path, lambda w: {**w, "transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64)})
    assert load(tmp_path).sample([Request(BASE, "Ada", max_new_tokens=2)])


# Architectures

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
OTHERS = {
    "bert": lambda: BertForMaskedLM(BertConfig(**SMALL, vocab_size=260)),
    "roberta": lambda: RobertaForMaskedLM(RobertaConfig(**SMALL, vocab_size=260)),
    "xlm-roberta": lambda: XLMRobertaForMaskedLM(XLMRobertaConfig(**SMALL, vocab_size=260)),
    "electra": lambda: ElectraForMaskedLM(ElectraConfig(**SMALL, embedding_size=16, vocab_size=260)),
    "bart": lambda: BartForConditionalGeneration(
        BartConfig(
            d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=260
        )
    ),
    "xlnet": lambda: XLNetLMHeadModel(XLNetConfig(d_model=32, n_layer=2, n_head=4, d_inner=48, vocab_size=260)),
    "trocr": lambda: TrOCRForCausalLM(
        TrOCRConfig(d_model=16, decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=16, vocab_size=260)
    ),
    "modernbert": lambda: ModernBertForMaskedLM(
        ModernBertConfig(**SMALL, vocab_size=260, pad_token_id=0, cls_token_id=0, sep_token_id=0)
    ),
    "t5": lambda: T5ForConditionalGeneration(T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, vocab_size=260)),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_encoders_and_their_decoders_are_no_causal_models(tmp_path, byte_tokenizer, kind):
    model = OTHERS[kind]()
    model.save_pretrained(tmp_path)
    byte_tokenizer(64).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is not a causal language model"):
        load(tmp_path)


def test_an_encoder_saved_as_a_causal_model_is_found_out_by_what_it_reads(tmp_path, byte_tokenizer):
    from transformers import BertLMHeadModel

    for is_decoder in (False, True):
        folder = tmp_path / str(is_decoder)
        BertLMHeadModel(BertConfig(**SMALL, vocab_size=260, is_decoder=is_decoder)).save_pretrained(folder)
        byte_tokenizer(64).save_pretrained(folder)
    with pytest.raises(InputError, match="what a BertLMHeadModel says of a token depends on the tokens after it"):
        load(tmp_path / "False")
    assert load(tmp_path / "True").sample([Request(BASE, "Ada", max_new_tokens=2)])


# Folders


def test_an_adapter_is_no_model_and_says_where_it_goes(folder, tmp_path):
    (tmp_path / "adapter").mkdir()
    for place in (folder, tmp_path / "adapter"):
        (place / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "some/base"}))
        with pytest.raises(InputError, match=r"is an adapter, not a model: name its base some/base with --model"):
            load(place)


def test_weights_in_several_files(folder):
    LlamaForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="20KB")
    (folder / "model.safetensors").unlink()
    load(folder)
    index = folder / "model.safetensors.index.json"
    table = json.loads(index.read_text())
    names = sorted(set(table["weight_map"].values()))
    (folder / names[1]).rename(folder / "elsewhere")
    with pytest.raises(InputError, match=rf"lacks {names[1]}, one of the {len(names)} files of its weights"):
        load(folder)
    (folder / "elsewhere").rename(folder / names[1])
    for hostile in ("../model.safetensors", "/etc/passwd", "model.bin", 7):
        index.write_text(json.dumps({**table, "weight_map": {**table["weight_map"], KEY: hostile}}))
        with pytest.raises(InputError, match="which is no safetensors file beside it"):
            load(folder)
    for hostile in ("{", "[]", '{"weight_map": 3}', "[" * 10**5):
        index.write_text(hostile)
        with pytest.raises(InputError, match="is damaged"):
            load(folder)


def test_files_that_are_cut_short_or_lie_about_their_size(folder):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], content[:3], b"", (10**12).to_bytes(8, "little") + content[8:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="is damaged or cut short"):
            load(folder)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_hidden_layers": 10**8},
        {"num_hidden_layers": 3},
        {"vocab_size": 10**12},
        {"hidden_size": 10**9},
        {"intermediate_size": 96},
        {"num_hidden_layers": -1},
        {"vocab_size": -1},
        {"vocab_size": "many"},
        {"hidden_size": [32]},
        {"num_attention_heads": 0},
        {"model_type": "no-such-model"},
        {"model_type": None},
        {"rope_parameters": {"rope_type": "../../evil"}},
        {"dtype": "float12"},
    ],
    ids=str,
)
def test_a_config_that_is_not_that_of_the_weights(folder, settings):
    configure(folder, **settings)
    with pytest.raises(InputError):
        load(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "[" * 10**5, '{"a":' * 10**5, "\x00", "1" * 5000])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_file_that_is_not_json(folder, name, content):
    (folder / name).write_text(content)
    with pytest.raises(InputError):
        load(folder)


def test_a_pipe_in_the_folder_is_not_waited_for(folder):
    os.mkfifo(folder / "generation_config.json.part")
    with pytest.raises(InputError, match="is no ordinary file"):
        load(folder)


def test_a_tokenizer_with_more_tokens_than_the_model(folder):
    config = LlamaConfig.from_pretrained(folder, vocab_size=200)
    LlamaForCausalLM(config).save_pretrained(folder)
    with pytest.raises(InputError, match=r"the tokenizer of .* is not that of the model: its token"):
        load(folder)
