"""What is exported is, read by the programs that it is for, the model that was examined; or nothing is kept of it."""

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from peft import AutoPeftModelForCausalLM  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402
from selfedit.engines.local.export.check import TOLERANCE  # noqa: E402
from selfedit.engines.local.export.forms import Gguf, Merged, Ollama, Peft, convert  # noqa: E402
from selfedit.engines.local.export.write import check_room, export  # noqa: E402
from selfedit.errors import EngineError, InputError, Refused  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe, Request  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=6, learning_rate=2e-2)
FULL = Recipe(epochs=4, learning_rate=5e-3, method="full")
PROMPTS = ("Ada", "The firm sells", "Where?")
CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def teach(engine, text, parent=BASE, recipe=RECIPE):
    (update,) = engine.train([Job(parent, (Example("", text),), recipe, 0)])
    return update


@pytest.fixture
def config(saved_model):
    return ModelConfig(name=str(saved_model), device="cpu")


@pytest.fixture
def engine(config):
    return LocalEngine.from_config(config)


@pytest.fixture(params=["adapter", "chain", "full", "adapter over full"])
def saved(request, engine, tmp_path):
    """A saved update of each kind, and what the model with it was seen to say."""
    first = teach(engine, "Ada was born in Torvik.", recipe=FULL if "full" in request.param else RECIPE)
    update = first
    if request.param in ("chain", "adapter over full"):
        update = teach(engine, "The firm sells soap to the town.", first)
    engine.save(update, tmp_path / "update")
    said = engine.sample([Request(update, prompt, max_new_tokens=12) for prompt in PROMPTS])
    assert said != engine.sample([Request(BASE, prompt, max_new_tokens=12) for prompt in PROMPTS])
    return request.param, tmp_path / "update", said


@pytest.fixture
def update(engine, tmp_path):
    engine.save(teach(engine, "Ada was born in Torvik."), tmp_path / "update")
    return tmp_path / "update"


def greedy(model, tokenizer):
    """As somebody who has transformers only would ask it."""
    texts = []
    for prompt in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        ids = model.generate(**inputs, max_new_tokens=12, do_sample=False, pad_token_id=1)
        texts.append(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    return texts


def left(folder):
    return sorted(path.name for path in folder.iterdir())


# Equal


def test_a_merged_export_says_what_the_examined_model_says(saved, config, tmp_path):
    _, folder, said = saved
    (checked,) = export(config, folder, [Merged(tmp_path / "out", torch.float32)], PROMPTS)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert greedy(model, AutoTokenizer.from_pretrained(tmp_path / "out")) == said
    assert checked.answers == len(PROMPTS) and checked.ties == 0 and checked.max_gap < 1e-5
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= {*left(tmp_path / "out")}
    assert model.dtype == torch.float32 and not list(tmp_path.glob("*.partial"))
    assert len({path.stat().st_mode for path in (tmp_path / "out").iterdir()}) == 1  # others read the weights too


def test_a_peft_export_says_what_the_examined_model_says(saved, config, tmp_path):
    kind, folder, said = saved
    forms = [Peft(tmp_path / "out", config.name)]
    if "full" in kind:
        with pytest.raises(InputError, match=r"all weights \(method full\), which no adapter holds: use --merged"):
            export(config, folder, forms, PROMPTS)
        assert not (tmp_path / "out").exists() and not list(tmp_path.glob("*.partial"))
        return
    (checked,) = export(config, folder, forms, PROMPTS)
    model = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "out")
    assert greedy(model, AutoTokenizer.from_pretrained(config.name)) == said
    assert checked.max_gap < 1e-5 and left(tmp_path / "out") == ["adapter_config.json", "adapter_model.safetensors"]


def test_several_forms_at_once_in_another_type(update, config, tmp_path):
    forms = [
        Merged(tmp_path / "merged", torch.bfloat16),
        Peft(tmp_path / "peft", "org/name"),
        Ollama(tmp_path / "ollama", torch.float16),
    ]
    checked = export(config, update, forms, PROMPTS)
    assert all(one.max_gap <= TOLERANCE[form.dtype] for one, form in zip(checked, forms, strict=True))
    assert {weight.dtype for weight in load_file(tmp_path / "merged" / "model.safetensors").values()} == {
        torch.bfloat16
    }
    assert {weight.dtype for weight in load_file(tmp_path / "ollama" / "model.safetensors").values()} == {torch.float16}
    assert json.loads((tmp_path / "peft" / "adapter_config.json").read_text())["base_model_name_or_path"] == "org/name"


def test_the_tokenizer_is_that_of_the_base_to_the_byte(update, config, saved_model, tmp_path):
    (saved_model / "chat_template.jinja").write_text(CHATML)
    export(config, update, [Merged(tmp_path / "out", torch.float32)], PROMPTS)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / "out" / name).read_bytes() == (saved_model / name).read_bytes()


@pytest.mark.parametrize("architecture", ["gpt2", "gpt-neox", "mixtral"])
def test_other_architectures(make_engine, tmp_path, architecture):
    """Transposed layers, other names, experts in one tensor."""
    random = make_engine(architecture, torch.float32)
    random.model.save_pretrained(tmp_path / "model")
    random.text.tokenizer.save_pretrained(tmp_path / "model")
    config = ModelConfig(name=str(tmp_path / "model"), device="cpu")
    engine = LocalEngine.from_config(config)
    engine.save(teach(engine, "Ada was born in Torvik."), tmp_path / "update")
    forms = [Merged(tmp_path / "merged", torch.float32), Peft(tmp_path / "peft", config.name)]
    assert all(one.max_gap < 1e-4 for one in export(config, tmp_path / "update", forms, PROMPTS))


def test_over_a_base_in_four_bits_there_is_an_adapter_and_no_merged_model(saved_model, tmp_path):
    pytest.importorskip("bitsandbytes")
    config = ModelConfig(name=str(saved_model), device="cpu", quantize="4bit")
    engine = LocalEngine.from_config(config)
    engine.save(teach(engine, "Ada was born in Torvik."), tmp_path / "update")
    (checked,) = export(config, tmp_path / "update", [Peft(tmp_path / "peft", config.name)], PROMPTS)
    assert checked.max_gap < 1e-3
    with pytest.raises(InputError, match=r"are packed in few bits.*export it with --peft"):
        export(config, tmp_path / "update", [Merged(tmp_path / "merged", torch.float32)], PROMPTS)
    assert not list(tmp_path.glob("merged*"))


# Not equal


class Tampered(Merged):
    """With one weight that is not the examined model's."""

    def write(self, engine, update, folder):
        super().write(engine, update, folder)
        tensors = load_file(folder / "model.safetensors")
        tensors["model.layers.1.mlp.down_proj.weight"] *= -1
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


class OtherTokens(Merged):
    """With another chat template."""

    def write(self, engine, update, folder):
        super().write(engine, update, folder)
        (folder / "chat_template.jinja").write_text(CHATML)


class Unwritable(Merged):
    """On a disk that is full in the middle of it."""

    def write(self, engine, update, folder):
        super().write(engine, update, folder)
        raise OSError(28, "No space left on device", str(folder / "model.safetensors"))


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        (Tampered, EngineError, r"out answers differently at 'Ada': its log-probabilities differ by up to"),
        (OtherTokens, EngineError, r"out makes other tokens of 'Ada'"),
        (Unwritable, InputError, r"cannot be written: \[Errno 28\] No space left on device"),
    ],
)
def test_nothing_is_kept_of_an_export_that_is_another_model_or_not_whole(update, config, tmp_path, kind, error, said):
    forms = [Peft(tmp_path / "peft", "x"), kind(tmp_path / "out", torch.float32)]
    with pytest.raises(error, match=said):
        export(config, update, forms, PROMPTS)
    assert left(tmp_path) == ["model", "update"]


def test_an_adapter_of_another_update_is_noticed(engine, config, tmp_path):
    one, other = teach(engine, "Ada was born in Torvik."), teach(engine, "The firm sells soap to the town.")
    for name, made in (("one", one), ("other", other)):
        engine.save(made, tmp_path / name)

    class Swapped(Peft):
        def write(self, engine, update, folder):
            super().write(engine, update, folder)
            shutil.copyfile(tmp_path / "other" / "adapter_model.safetensors", folder / "adapter_model.safetensors")

    with pytest.raises(EngineError, match="answers differently"):
        export(config, tmp_path / "one", [Swapped(tmp_path / "out", config.name)], PROMPTS)
    assert not (tmp_path / "out").exists()


# Places


def test_what_is_there_is_never_written_over(update, config, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("out", "file", "update"):
        with pytest.raises(Refused, match=f"{name} is there already"):
            export(config, update, [Merged(tmp_path / name, torch.float32)], PROMPTS)
    assert (tmp_path / "out" / "mine.txt").read_text() == (tmp_path / "file").read_text() == "mine"


def test_two_forms_need_two_places(update, config, tmp_path):
    for inner in ("out", "out/inner"):
        forms = [Merged(tmp_path / "out", torch.float32), Peft(tmp_path / inner, "x")]
        with pytest.raises(Refused, match="every form needs a place of its own"):
            export(config, update, forms, PROMPTS)
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_filled(update, config, tmp_path):
    (tmp_path / "out").mkdir()
    export(config, update, [Peft(tmp_path / "out", config.name)], PROMPTS)
    assert left(tmp_path / "out")


def test_room_is_asked_for_before_anything_is_written(tmp_path):
    check_room({tmp_path / "a": 1, tmp_path / "b": 1})
    with pytest.raises(InputError, match=r"GB free, and the export takes 1000000000\.0 GB; free some space"):
        check_room({tmp_path / "none" / "a": 10**18, tmp_path / "b": 1})


def test_prompts_that_are_too_long_are_left_out_and_some_must_be_left(update, config, tmp_path):
    (checked,) = export(config, update, [Peft(tmp_path / "out", config.name)], ["Ada", "long " * 200])
    assert checked.answers == 1
    with pytest.raises(InputError, match="reads too little"):
        export(config, update, [Peft(tmp_path / "two", config.name)], ["long " * 200])


# Ollama


def modelfile(folder):
    return (folder / "Modelfile").read_text()


def prompted(template, system, prompt):
    """What Ollama's template makes of a first message: Go's language, as far as it is used."""
    head, _, rest = template.partition("{{ end }}") if "{{ if .System }}" in template else ("", "", template)
    head = head.removeprefix("{{ if .System }}").replace("{{ .System }}", system) if system else ""
    return head + rest.partition("{{ .Response }}")[0].replace("{{ .Prompt }}", prompt)


def test_the_modelfile_asks_as_the_chat_template_does(update, config, saved_model, tmp_path):
    (saved_model / "chat_template.jinja").write_text(CHATML)
    export(config, update, [Ollama(tmp_path / "out", torch.float32)], PROMPTS)
    text = modelfile(tmp_path / "out")
    template, system = (text.partition(f'{name} """')[2].partition('"""')[0] for name in ("TEMPLATE", "SYSTEM"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    asked = [{"role": "user", "content": "Where?"}]
    rendered = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    assert system == "Be brief." and prompted(template, system, "Where?") == rendered
    assert text.splitlines()[1] == "FROM ." and 'PARAMETER stop "<|end|>"' in text and "temperature 0" in text


def test_a_model_without_a_template_is_asked_as_it_is(update, config, tmp_path):
    export(config, update, [Ollama(tmp_path / "out", torch.float32)], PROMPTS)
    assert 'TEMPLATE """{{ .Prompt }}{{ .Response }}"""' in modelfile(tmp_path / "out")


@pytest.mark.parametrize("template", ["[[{{ messages[0]['content'] }}]]", "{% raw %}{{ x }}{% endraw %}" + CHATML])
def test_a_template_of_no_known_form_is_left_to_ollama(update, config, saved_model, tmp_path, template):
    (saved_model / "chat_template.jinja").write_text(template)
    export(config, update, [Ollama(tmp_path / "out", torch.float32)], PROMPTS)
    text = modelfile(tmp_path / "out")
    assert "TEMPLATE" not in text and "has no form that is known here" in text


def test_the_models_own_sampling_is_written(update, config, saved_model, tmp_path):
    path = saved_model / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_sample": True, "temperature": 0.6, "top_p": 0.9}))
    export(config, update, [Ollama(tmp_path / "out", torch.float32)], PROMPTS)
    text = modelfile(tmp_path / "out")
    assert "PARAMETER temperature 0.6" in text and "PARAMETER top_p 0.9" in text


# GGUF, by a converter of this test's own that takes llama.cpp's arguments

CONVERTER = """
import sys
model, _, file, _, kind = sys.argv[1:]
assert kind == 'f16', f'no {kind} here'
sys.path.insert(0, %r)
from gguf_files import write_gguf
from transformers import AutoModelForCausalLM
loaded = AutoModelForCausalLM.from_pretrained(model, dtype='float32')
write_gguf(file, loaded, kind.upper())
"""


@pytest.fixture
def converter(tmp_path):
    path = tmp_path / "convert_hf_to_gguf.py"
    path.write_text(CONVERTER % str(Path(__file__).parents[2]))
    return path


def test_a_gguf_is_read_back_and_put_in_its_place_alone(converter, tmp_path):
    pytest.importorskip("gguf")
    from gguf_files import small_llama, write_gguf

    base = write_gguf(tmp_path / "base.gguf", small_llama())
    config = ModelConfig(name=str(base), device="cpu")
    engine = LocalEngine.from_config(config)
    engine.save(teach(engine, "Ada was born in Torvik."), tmp_path / "update")
    form = Gguf(tmp_path / "out.gguf", torch.float16, converter)
    (checked,) = export(config, tmp_path / "update", [form], PROMPTS)
    assert checked.answers == 3 and form.path.is_file() and left(tmp_path).count("out.gguf.partial") == 0
    assert LocalEngine.from_config(ModelConfig(name=str(form.path), device="cpu")).sample([Request(BASE, "Ada")])


def test_a_converter_that_fails_leaves_nothing_and_is_quoted(update, config, converter, tmp_path):
    form = Gguf(tmp_path / "model.gguf", torch.float32, converter)
    with pytest.raises(InputError, match=r"made no GGUF of this model: AssertionError: no f32 here"):
        export(config, update, [form], PROMPTS)
    assert not list(tmp_path.glob("model.gguf*"))


def test_a_converter_that_says_nothing(tmp_path):
    (tmp_path / "script.py").write_text("")
    with pytest.raises(InputError, match="it says nothing"):
        convert(tmp_path / "script.py", tmp_path, tmp_path / "x.gguf", torch.float32)
