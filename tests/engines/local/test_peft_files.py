"""Adapters of PEFT: loaded so that they answer as in PEFT, or refused by name. No tensor is passed over."""

import json

import pytest

torch = pytest.importorskip("torch")

from peft import (  # noqa: E402
    AdaLoraConfig,
    IA3Config,
    LoHaConfig,
    LoraConfig,
    PeftModel,
    PromptTuningConfig,
    get_peft_model,
)
from safetensors.torch import load_file, save_file  # noqa: E402

from selfedit.errors import InputError  # noqa: E402
from selfedit.types import Request  # noqa: E402

LAYERS = ["q_proj", "down_proj"]
WEIGHT = "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight"


def lora(**settings):
    return LoraConfig(**{"r": 3, "lora_alpha": 5, "target_modules": LAYERS, "task_type": "CAUSAL_LM", **settings})


@pytest.fixture
def made(make_engine, tmp_path):
    """Saves an adapter of this config with random weights, and returns its folder."""

    def make(config, dtype=torch.float64):
        torch.manual_seed(1)
        model = get_peft_model(make_engine(dtype=dtype).model, config, autocast_adapter_dtype=False)
        for weight in model.parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=0.3)
        model.save_pretrained(tmp_path / "theirs")
        return tmp_path / "theirs"

    return make


EXACT = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "rank pattern": {"rank_pattern": {"down_proj": 5, r".*\.1\.self_attn\.q_proj": 1}},
    "alpha pattern": {"alpha_pattern": {"model.layers.0.self_attn.q_proj": 17}},
    "both patterns, rslora": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"down_proj": 0.5}, "use_rslora": True},
    "some layers": {"layers_to_transform": [1]},
    "but some": {"exclude_modules": ["model.layers.0.mlp.down_proj"]},
    "all linear": {"target_modules": "all-linear"},
    "gaussian": {"init_lora_weights": "gaussian"},
}


@pytest.mark.parametrize("settings", EXACT.values(), ids=EXACT)
def test_what_can_be_expressed_is_loaded_exactly(make_engine, made, settings):
    folder = made(lora(**settings))
    engine = make_engine()
    update = engine.load(folder)
    ids = torch.tensor([engine.text.prompt("Ada was born in Torvik.")])
    engine.adapters.merge(update.id)
    theirs = PeftModel.from_pretrained(make_engine().model, folder, autocast_adapter_dtype=False)
    assert torch.allclose(engine.model(ids).logits, theirs(ids).logits, atol=1e-9)
    many = engine.load(folder, one_of_many=True)
    answers = engine.sample([Request(one, "Ada", max_new_tokens=8) for one in (update, many)])
    assert answers[0] == answers[1]


def test_a_halved_adapter_is_added_in_full(make_engine, made):
    """A float16 adapter on a finer base is widened before anything is multiplied or added."""
    folder = made(lora())
    path = folder / "adapter_model.safetensors"
    save_file({key: weight.half() for key, weight in load_file(path).items()}, path)
    engine = make_engine()
    engine.adapters.merge(engine.load(folder).id)
    read = PeftModel.from_pretrained(make_engine().model, folder)
    ids = torch.tensor([engine.text.prompt("Ada")])
    assert torch.allclose(engine.model(ids).logits, read(ids).logits, atol=1e-6)


REFUSED = {
    "modules_to_save": (lora(modules_to_save=["lm_head"]), r"modules_to_save = \['lm_head'\]"),
    "bias": (lora(bias="lora_only"), "bias = 'lora_only'"),
    "lora_bias": (lora(lora_bias=True), "lora_bias = True"),
    "dora": (lora(use_dora=True), "use_dora = True"),
    "replicated": (lora(layer_replication=[(0, 2), (0, 2)]), "layer_replication"),
    "tokens": (lora(trainable_token_indices=[5, 6]), "trainable_token_indices"),
    "pissa": (lora(init_lora_weights="pissa"), "init_lora_weights = 'pissa'"),
    "olora": (lora(init_lora_weights="olora"), "init_lora_weights = 'olora'"),
    "embeddings": (lora(target_modules=[*LAYERS, "embed_tokens"]), "no LoRA pairs, such as .*embed_tokens"),
    "head": (lora(target_modules=[*LAYERS, "lm_head"]), "no LoRA pairs, such as .*lm_head"),
    "ia3": (IA3Config(target_modules=LAYERS, feedforward_modules=["down_proj"], task_type="CAUSAL_LM"), "type IA3"),
    "prompt": (PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"), "type PROMPT_TUNING"),
    "loha": (LoHaConfig(r=4, alpha=8, target_modules=LAYERS, task_type="CAUSAL_LM"), "type LOHA"),
    "adalora": (AdaLoraConfig(target_modules=LAYERS, total_step=10, task_type="CAUSAL_LM"), "type ADALORA"),
}


@pytest.mark.parametrize(("config", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore")  # PEFT has something to say of most of these
def test_what_cannot_be_expressed_is_refused_by_name(make_engine, made, config, message):
    folder = made(config, torch.float32)
    with pytest.raises(InputError, match=message):
        make_engine().load(folder)


@pytest.mark.filterwarnings("ignore")
def test_the_head_is_refused_as_such(make_engine, made):
    folder = made(lora(target_modules=[*LAYERS, "lm_head"]))
    rewritten(folder, lambda w: {key: weight for key, weight in w.items() if "base_layer" not in key})
    with pytest.raises(InputError, match="adapts lm_head, the output head"):
        make_engine().load(folder)


def rewritten(folder, change):
    path = folder / "adapter_model.safetensors"
    save_file({key: weight.contiguous() for key, weight in change(load_file(path)).items()}, path)


DAMAGES = {
    "half missing": (lambda w: {k: v for k, v in w.items() if k != WEIGHT}, f"it lacks {WEIGHT}"),
    "unread": (lambda w: {**w, "v_head.weight": torch.zeros(2)}, r"1 tensors that are no LoRA pairs, such as v_head"),
    "another shape": (lambda w: {**w, WEIGHT: w[WEIGHT][:2]}, "have no rank in common"),
    "one dimension": (lambda w: {**w, WEIGHT: w[WEIGHT][0]}, "have no rank in common"),
    "wider": (lambda w: {**w, WEIGHT: w[WEIGHT].repeat(1, 2)}, "was trained for another model"),
    "not a number": (lambda w: {**w, WEIGHT: w[WEIGHT] * float("nan")}, "infinite or not numbers"),
    "whole numbers": (lambda w: {**w, WEIGHT: w[WEIGHT].long()}, "infinite or not numbers"),
    "empty": (lambda w: {}, "holds no adapter"),
    "another layer": (
        lambda w: {k.replace("layers.1", "layers.7"): v for k, v in w.items()},
        r"was trained for another model: model\.layers\.7",
    ),
}


@pytest.mark.parametrize(("change", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_weights_are_refused(make_engine, made, change, message):
    folder = made(lora())
    rewritten(folder, change)
    with pytest.raises(InputError, match=message):
        make_engine().load(folder)


@pytest.mark.parametrize(
    "settings",
    [
        *({"r": value} for value in ("3", [3], 0, -3, 10**30, 3.0, True, None, 4)),
        *({"lora_alpha": value} for value in ("5", None, 0, -1, 10**300, [])),
        *(
            {"rank_pattern": value}
            for value in ([1], {"q_proj": "3"}, {"(": 3}, {"(a+)+": 3}, {"(a|a)*b": 3}, {"": {}})
        ),
        *({"peft_type": value} for value in (None, 7, [], "EVIL")),
        {"a_new_invention": 3},
    ],
    ids=str,
)
def test_hostile_settings_are_refused(make_engine, made, settings):
    folder = made(lora())
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    with pytest.raises(InputError):
        make_engine().load(folder)


def test_pickles_are_not_opened(make_engine, made):
    folder = made(lora())
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors but adapter_model\.bin, a pickle"):
        make_engine().load(folder)


@pytest.mark.parametrize(
    "card",
    ["[]", "{", '{"id": "../../x"}', '{"id": "base"}', '{"tokens": "3"}', '{"loss": []}', '{"id": 7}', "[" * 10**5],
)
def test_a_hostile_card_is_refused(make_engine, made, card):
    folder = made(lora())
    (folder / "card.json").write_text(card)
    with pytest.raises(InputError, match="card"):
        make_engine().load(folder)


def test_a_folder_called_base_is_not_the_base(make_engine, made):
    folder = made(lora())
    assert make_engine().load(folder.rename(folder.with_name("base"))).id != "base"
