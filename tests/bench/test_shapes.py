import pytest
import torch

from selfedit.bench.plan import BenchOptions, ShapePlan
from selfedit.bench.profile import REST, kind_of
from selfedit.bench.shapes import CONTEXT, SHAPES, Shape, load_shape, shape_named
from selfedit.engines.local.text import context_length
from selfedit.errors import InputError
from selfedit.workflows.configure import make_config

PLAN = ShapePlan((1, 8), 4, 2, epochs=1)


def test_a_random_model_has_the_sizes_it_is_given_and_the_embedded_tokenizer():
    sizes = SHAPES["qwen2.5-0.5b"].sizes | {"hidden_size": 28, "num_hidden_layers": 1, "intermediate_size": 8}
    model, tokenizer = load_shape(Shape("tiny", "qwen2", sizes | {"vocab_size": 2048}), torch.device("cpu"))
    assert model.config.num_key_value_heads == 2 and model.dtype == torch.float32
    assert context_length(model, tokenizer) == CONTEXT and len(tokenizer) == 2048
    assert not any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize(("name", "millions"), [("smollm2-135m", 135), ("qwen2.5-0.5b", 494), ("qwen2.5-7b", 7616)])
def test_shapes_have_the_parameters_of_the_models_they_are_named_after(name, millions):
    model, _ = load_shape(SHAPES[name], torch.device("meta"))
    assert model.num_parameters() / 1e6 == pytest.approx(millions, rel=0.01)


def test_an_unknown_shape_is_named():
    with pytest.raises(InputError, match=r"no shape 'bert'; the shapes are embedded, smollm2-135m"):
        shape_named("bert")


def test_options_go_over_a_shapes_plan_and_recipe():
    assert BenchOptions().plan(PLAN) == PLAN
    options = BenchOptions(adapters=(4, 2, 4), seal_edits=0, rank=8)
    assert options.plan(PLAN) == ShapePlan((2, 4), 4, 0, epochs=1)
    inner, own = options.config(PLAN).inner, make_config("almanac").inner
    assert (inner.rank, inner.alpha, inner.epochs, inner.learning_rate) == (8, 16.0, 1, own.learning_rate)


def test_all_arms_train_by_epochs_whatever_the_recipe_counts_in():
    for shape in SHAPES.values():
        inner = BenchOptions().config(shape.cpu).inner
        assert (inner.epochs, inner.tokens) == (shape.cpu.epochs, 0)


@pytest.mark.parametrize(
    "options",
    [
        BenchOptions(baseline_edits=0),
        BenchOptions(adapters=(0,)),
        BenchOptions(adapters=(-1,)),
        BenchOptions(seal_edits=-1),
    ],
)
def test_a_plan_without_edits_is_refused(options):
    with pytest.raises(InputError):
        options.plan(PLAN)


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::addmm", "base products"),
        ("aten::baddbmm", "adapter products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu_backward", "attention"),
        ("aten::_log_softmax", "softmax and loss"),
        ("aten::copy_", "copies and concatenation"),
        ("aten::add_", "elementwise and norms"),
        ("Optimizer.step#AdamW.step", "optimizer"),
        ("autograd::engine::evaluate_function: MmBackward0", REST),
    ],
)
def test_operators_have_their_kind(operator, kind):
    assert kind_of(operator) == kind
