"""GGUF files as models: exactly what they hold, or one sentence on why not; a hostile header is refused by itself."""

import struct
import sys

import pytest
from hypothesis import given

torch = pytest.importorskip("torch")
pytest.importorskip("gguf")

from gguf import GGMLQuantizationType  # noqa: E402
from gguf.quants import dequantize, quantize  # noqa: E402
from gguf_files import TOKENS, small_llama, write_gguf  # noqa: E402
from mutations import examples, mutated_bytes, survives  # noqa: E402
from transformers import Starcoder2Config  # noqa: E402

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.engines import gguf as files  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402
from selfedit.engines.local.gguf_config import complete  # noqa: E402
from selfedit.engines.local.model import load_model  # noqa: E402
from selfedit.engines.start import usual_processes  # noqa: E402
from selfedit.errors import InputError  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe, Request  # noqa: E402


@pytest.fixture(scope="module")
def llama():
    return small_llama()


@pytest.fixture
def write(llama, tmp_path):
    return lambda name="model.gguf", model=llama, **how: write_gguf(tmp_path / name, model, **how)


def load(path, **options):
    return load_model(ModelConfig(name=str(path), device="cpu", **options))


def refused(path, **options):
    with pytest.raises(InputError) as error:
        load(path, **options)
    return str(error.value)


# What is in it is loaded


@pytest.mark.parametrize("tied", [True, False])
def test_the_weights_are_those_of_the_file_to_the_bit(write, tied):
    model = small_llama(tied)
    loaded, _ = load(write(model=model))
    weights = loaded.state_dict()
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_1"])
def test_packed_weights_are_unpacked(write, llama, kind):
    loaded, _ = load(write(kind=kind))
    name, stored = "model.layers.1.mlp.down_proj.weight", GGMLQuantizationType[kind]
    weight = llama.state_dict()[name].numpy()
    assert torch.equal(loaded.state_dict()[name], torch.tensor(dequantize(quantize(weight, stored), stored)))
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}


def test_it_is_loaded_in_the_type_that_is_asked_for(write):
    assert load(write(), dtype="bfloat16")[0].dtype == torch.bfloat16


def test_its_tokenizer_is_the_one_in_the_file(write):
    _, tokenizer = load(write())
    assert tokenizer("to a tap")["input_ids"] == [TOKENS.index(token) for token in ["t", "o", "Ġ", "a", "Ġt", "a", "p"]]
    assert tokenizer.eos_token_id == 0 and tokenizer.pad_token_id == 1


@pytest.mark.parametrize("rule", ["smollm", "qwen2", "invented"])
def test_a_tokenizer_that_transformers_takes_for_another_is_remarked_on(write, caplog, rule):
    load(
        write(
            settings=[lambda writer: writer.kv_data[0].pop("tokenizer.ggml.pre"), lambda w: w.add_tokenizer_pre(rule)]
        )
    )
    assert ("cuts texts by the rule 'invented'" in caplog.text) is (rule == "invented")


def test_what_lies_beside_it_counts_for_nothing(write, tmp_path):
    for name in ("config.json", "adapter_config.json", "tokenizer_config.json", "generation_config.json"):
        (tmp_path / name).write_text('{"model_type": "bert", "eos_token_id": 7, "peft_type": "LORA"}')
    assert load(write())[0].generation_config.eos_token_id == 0


def test_a_file_of_another_name_is_known_by_what_it_holds(write):
    assert load(write("sha256-0123"))[0].num_parameters()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_an_update_of_it_can_be_trained_saved_and_loaded(write, tmp_path, method):
    engine = LocalEngine.from_config(ModelConfig(name=str(write()), device="cpu"))
    recipe = Recipe(method=method, rank=2, epochs=2, learning_rate=1e-2)
    (update,) = engine.train([Job(BASE, (Example("", "Ada was born in Torvik."),), recipe, seed=0)])
    engine.save(update, tmp_path / "update")
    loaded = engine.load(tmp_path / "update")
    ask = [Request(which, "Ada", max_new_tokens=5) for which in (update, loaded)]
    assert len(set(engine.sample(ask))) == 1


def test_a_small_one_is_worth_several_processes(write, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert usual_processes(ModelConfig(name=str(write()), device="cpu")) == 2


# What cannot be loaded is refused in one sentence


def test_no_such_file(tmp_path):
    assert refused(tmp_path / "none.gguf").startswith(f"there is no file {tmp_path / 'none.gguf'}")


@pytest.mark.parametrize("content", [b"", b"GG", b"PK\x03\x04 something else", b"{}" * 100])
def test_another_file(tmp_path, content):
    (tmp_path / "model.gguf").write_bytes(content)
    assert "is not a GGUF file" in refused(tmp_path / "model.gguf")


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5, 0.9])
def test_a_file_that_is_cut_short(write, share):
    path = write()
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "is cut short" in refused(path)


def test_a_type_of_weights_that_cannot_be_unpacked(write):
    """Whether or not it has a name: Q8_K is a type of intermediate results, and 99 is none."""
    for kind, name in ((15, "Q8_K"), (99, "number 99")):
        path = write(kind="F32")
        path.write_bytes(retyped(path, kind))
        assert f"has weights of type {name}, which gguf" in refused(path)


def retyped(path, kind):
    """The file with another type given for its first tensor."""
    content, name = path.read_bytes(), b"token_embd.weight"
    place = content.index(name) + len(name)
    (axes,) = struct.unpack_from("<I", content, place)
    place += 4 + 8 * axes
    return content[:place] + struct.pack("<I", kind) + content[place + 4 :]


def test_an_architecture_that_transformers_does_not_know(write):
    assert "of the architecture rwkv6, which transformers" in refused(write(architecture="rwkv6"))


def test_an_encoder_with_a_decoder(write):
    assert "not a causal language model" in refused(write(architecture="t5"))


@pytest.mark.parametrize("name", ["big-00001-of-00003.gguf", "model.gguf"])
def test_a_part_of_a_model(write, name):
    path = write(name, settings=() if "of" in name else [lambda writer: writer.add_uint16("split.count", 3)])
    assert "one of several parts" in refused(path)


def test_an_adapter(write):
    assert "it says that it is 'adapter'" in refused(write(settings=[lambda writer: writer.add_type("adapter")]))


def test_tensors_that_transformers_passes_over(write):
    """It drops them in silence."""
    assert "holds 26,883 weights, and a LlamaForCausalLM has room for" in refused(
        write(extra={"more": [1.0, 2.0, 3.0]})
    )


SCALING = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


@pytest.fixture
def llama_3():
    """A model with the positions of Llama 3.2, and the factors that llama.cpp's converter writes for them."""
    rope = {"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 32.0, **SCALING}
    model = small_llama(rope_parameters=rope)
    plain = 500_000.0 ** -(torch.arange(4) / 4)
    return model, plain / model.model.rotary_emb.inv_freq


def test_the_positions_of_llama_3_are_scaled_as_it_was_trained(write, llama_3):
    """transformers drops the tensor that holds the factors; without it the answers would be others."""
    model, factors = llama_3
    assert factors[0] == 1 and 1 < factors[2] < 32 and factors[3] == pytest.approx(32)
    loaded, plain = (load(write(model=model, extra=extra))[0] for extra in ({"rope_freqs.weight": factors}, {}))
    turned, trained, unscaled = (each.model.rotary_emb.inv_freq for each in (loaded, model, plain))
    assert torch.allclose(turned, trained, rtol=1e-6) and not torch.allclose(unscaled, trained, rtol=0.5)
    ids = torch.arange(100)[None]
    assert torch.allclose(loaded(ids).logits, model(ids).logits, atol=1e-6)


@pytest.mark.parametrize("factors", [[1.0, 2.0, 4.0, 8.0], [1.0, 2.0], [float("nan")] * 4])
def test_positions_that_are_scaled_otherwise(write, factors):
    path = write(extra={"rope_freqs.weight": factors})
    assert "that are not those of Llama 3" in refused(path)
    assert "holds 26,888 weights" in refused(write(extra={"rope_factors_long.weight": [1.0, 2.0, 4.0, 8.0] * 2}))


def test_settings_that_transformers_passes_over_are_those_of_the_file():
    """It has no place for these in some architectures, and takes another checkpoint's."""
    settings = {
        "rope.freq_base": 999_999.4,
        "attention.layer_norm_epsilon": 0.25,
        "attention.sliding_window": 77,
        "attention.head_count": range(3),
    }
    named = {f"starcoder2.{key}": value for key, value in settings.items()}
    config, before = Starcoder2Config(), Starcoder2Config().to_dict()
    complete(config, files.Header({"general.architecture": "starcoder2", **named}, (), 0), (), "a model")
    changed = {key for key, value in config.to_dict().items() if before[key] != value}
    assert changed == {"rope_parameters", "norm_epsilon", "sliding_window"}
    assert (config.rope_parameters["rope_theta"], config.norm_epsilon, config.sliding_window) == (999_999.4, 0.25, 77)


def test_positions_that_transformers_would_not_scale(write):
    path = write(settings=[lambda writer: writer.add_string("llama.rope.scaling.type", "yarn")])
    assert "scales its positions ('yarn')" in refused(path)


def test_a_weight_that_is_not_finite(write):
    model = small_llama()
    model.model.norm.weight.data[3] = float("nan")
    assert "infinite or not numbers" in refused(write(model=model))


def test_packing_it_again(write):
    assert "is packed already, as GGUF; leave model.quantize out" in refused(write(), quantize="4bit")


def test_without_the_package(write, monkeypatch):
    path = write()
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert "pip install 'selfedit[gguf]'" in refused(path)


def test_more_than_there_is_memory_for(write, monkeypatch):
    """Said by the header alone: the file itself has a hole where the weights would be."""
    path = write()
    header = files.read_header(path)
    tensors = (*header.tensors, files.StoredTensor("huge", (2**30, 2**20), 0, 0))
    monkeypatch.setattr(files, "checked_header", lambda path: files.Header(header.settings, tensors, header.data))
    assert "GB when it is unpacked to float32" in refused(path)


# Hostile files


def lists(length, kind=4):
    """A header with a list that announces so many numbers, and has none."""
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q1sIIQ", 1, b"a", 9, kind, length)


HOSTILE = {
    "tensors": b"GGUF" + struct.pack("<IQQ", 3, 2**62, 0),
    "settings": b"GGUF" + struct.pack("<IQQ", 3, 0, 2**62),
    "list": lists(2**62),
    "list of texts": lists(2**40, kind=8),
    "lists in lists": lists(3, kind=9) * 3,
    "text": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63),
    "axes": b"GGUF" + struct.pack("<IQQQ1sI", 3, 1, 0, 1, b"a", 2**31),
    "version": b"GGUF" + struct.pack("<IQQ", 99, 0, 0),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_header_that_lies(tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with path.open("ab") as file:
        file.truncate(2**31)  # a hole: as large as it likes, and takes no room
    assert "damaged" in (why := refused(path)) or "GGUF of version" in why


@pytest.mark.parametrize(
    "key", ["block_count", "attention.head_count", "context_length", "embedding_length", "vocab_size"]
)
@pytest.mark.parametrize("value", [0, 1, 7, 2**31, 2**32 - 1])
def test_a_setting_that_lies(write, key, value):
    path = write(settings=[lambda writer: writer.add_uint32(f"llama.{key}2", 0)])
    content = path.read_bytes()
    place = content.index(f"llama.{key}".encode()) + len(f"llama.{key}") + 4
    path.write_bytes(content[:place] + struct.pack("<I", value) + content[place + 4 :])
    survives(load, path)


def test_tensors_that_share_their_bytes(write):
    """Or else a small file would unpack to any size."""
    path = write()
    header, content = files.read_header(path), path.read_bytes()
    half = next(tensor.offset for tensor in header.tensors if tensor.name.startswith("blk.1."))
    for tensor in header.tensors:
        if tensor.offset >= half:
            place = content.index(tensor.name.encode()) + len(tensor.name) + 4 + 8 * len(tensor.shape) + 4
            content = content[:place] + struct.pack("<Q", 0) + content[place + 8 :]
    path.write_bytes(content[: header.data + half])
    assert "its tensors are larger than the file" in refused(path)


def test_any_file(write):
    path = write()
    original = path.read_bytes()
    start = files.read_header(path).data

    @examples(40)
    @given(content=mutated_bytes(original[:start]))
    def attack(content):
        path.write_bytes(content + original[start:])
        survives(load, path)

    attack()
