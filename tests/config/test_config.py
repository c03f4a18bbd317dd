from dataclasses import replace
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.config import Config, ModelConfig, OuterConfig, load_config, merge, resolve
from selfedit.config.toml import to_toml
from selfedit.config.tree import POLICY_RECIPE
from selfedit.domains.knowledge.domain import KnowledgeOptions
from selfedit.errors import InputError
from selfedit.graders import GRADERS
from selfedit.rewards.credit import CREDITS
from selfedit.rewards.measured import REWARDS
from selfedit.types import Recipe, SamplingParams
from selfedit.workflows.configure import commented, make_config


@pytest.fixture
def toml(tmp_path):
    """Writes a config file and gives its path."""

    def write(text):
        (tmp_path / "run.toml").write_text(text)
        return tmp_path / "run.toml"

    return write


def complaint(*overrides):
    with pytest.raises(InputError) as error:
        load_config(None, list(overrides))
    assert "\n" not in str(error.value)
    return str(error.value)


# Defaults


def test_the_inner_defaults_are_seals():
    assert Config().inner == Recipe(rank=32, alpha=64, epochs=10, learning_rate=1e-3, batch_size=1)
    assert Config().inner == Recipe()


def test_the_policys_recipe_is_seals():
    assert Config().outer.recipe == Recipe(rank=64, alpha=128, epochs=2, learning_rate=3e-4, batch_size=10)


def test_the_outer_defaults_are_seals():
    outer = Config().outer
    assert (outer.rounds, outer.tasks_per_round, outer.edits_per_task) == (2, 50, 5)
    assert (outer.credit, outer.sampling.temperature, outer.sampling.top_p) == ("rest_em", 1.0, 0.95)
    assert outer.sampling == SamplingParams()


def test_notes_are_split_and_answers_as_long_as_in_seal():
    assert make_config().domain.split_newlines is True
    assert Config().outer.repeats == 3
    assert Config().exam.max_new_tokens == 64


def test_what_the_defaults_name_exists():
    assert Config().outer.reward in REWARDS
    assert Config().outer.credit in CREDITS
    assert Config().exam.grader in GRADERS


# Where values come from


def test_without_file_and_overrides_everything_is_default():
    assert load_config(None, []) == Config()


def test_a_file_changes_what_it_names_and_nothing_else(toml):
    config = load_config(toml("[outer.recipe]\nepochs = 4\n"), [])
    assert config.outer.recipe.epochs == 4
    assert config.outer.recipe.rank == 64
    assert config.model_copy(update={"outer": OuterConfig()}) == Config()


@pytest.mark.parametrize(
    ("table", "default"),
    [("inner", Recipe()), ("outer.recipe", POLICY_RECIPE), ("outer.sampling", SamplingParams())],
)
def test_a_key_of_a_recipe_leaves_its_other_keys_as_they_are(table, default):
    key = "top_p" if table == "outer.sampling" else "epochs"
    for config in (load_config(None, [f"{table}.{key}=1"]), make_config("fake", [f"{table}.{key}=1"], preset="seal")):
        assert attrgetter(table)(config) == replace(default, **{key: 1})
        assert attrgetter(table)(config) != default


def test_a_file_goes_over_the_recipe_and_options_over_the_file(toml):
    path = toml("seed = 2\nmax_adapters = 2\n[inner]\nrank = 2\n")
    base = {"seed": 1, "max_adapters": 1, "inner": {"rank": 1, "epochs": 1}, "outer": {"rounds": 1}}
    config = load_config(path, ["seed=3", "inner.alpha=3"], base)
    assert (config.seed, config.max_adapters, config.outer.rounds) == (3, 2, 1)
    assert (config.inner.alpha, config.inner.rank, config.inner.epochs) == (3, 2, 1)


def test_the_last_of_two_options_counts():
    assert load_config(None, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("outer.sampling.temperature=0.5", ("outer", "sampling", "temperature"), 0.5),
        ("domain.split_newlines=false", ("domain", "split_newlines"), False),
        ("model.name=gpt2", ("model", "name"), "gpt2"),
        ("model.template=a={prompt}", ("model", "template"), "a={prompt}"),
        ('inner.targets=["q_proj", "v_proj"]', ("inner", "targets"), ("q_proj", "v_proj")),
    ],
)
def test_an_option_sets_one_key_of_any_type(override, path, value):
    found = load_config(None, [override])
    for part in path:
        found = getattr(found, part)
    assert found == value


def test_merging_leaves_what_is_merged_alone():
    under, over = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}}
    assert merge(under, over) == {"a": {"b": 4, "c": 2}, "d": 3}
    assert (under, over) == ({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}})


# What is wrong is said in one sentence


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("sede", "seed"),
        ("domain.split_newline", "split_newlines"),
        ("inner.epoch", "epochs"),
        ("outer.tasks_per_rond", "tasks_per_round"),
        ("outer.recipe.learning_rat", "learning_rate"),
        ("outer.sampling.temprature", "temperature"),
        ("domain.max_document", "max_documents"),
        ("continual.olora_rnk", "olora_rank"),
        ("endpoints.judge.modle", "model"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_right_one(key, near):
    with pytest.raises(InputError) as error:
        make_config(overrides=[f"{key}=1"])
    assert str(error.value) == f"the options: there is no key {key}; did you mean {near}?"


def test_a_key_like_no_other_comes_with_those_there_are():
    message = complaint("exam.zzz=1")
    assert message.endswith(
        "there is no key exam.zzz; the keys here are grader, max_new_tokens, rows, budgets, rival_recipe, rivals, "
        "edits_per_task, temperature, tasks_per_adapter, repeat_context"
    )


def test_a_table_that_may_be_left_out_is_explained_like_any_other():
    assert complaint("exam.rival_recipe.epoch=1").endswith("no key exam.rival_recipe.epoch; did you mean epochs?")
    assert complaint("exam.rival_recipe=fast").endswith(
        "exam.rival_recipe is wrong: this is a table of keys (it is 'fast')"
    )
    assert complaint("inner=fast").endswith("inner is wrong: this is a table of keys (it is 'fast')")
    assert load_config(None, ["exam.rival_recipe.epochs=3"]).exam.rival_recipe == Recipe(epochs=3)


@pytest.mark.parametrize(
    "override",
    [
        "seed=soon",
        "inner.rank=0",
        "inner.rank=1.5",
        "inner.targets=q_proj",
        "outer.sampling.top_p=1.5",
        "outer.recipe.epochs=null",
        "outer.sampling.temperature=-1",
        "model.dtype=int8",
        "model.template=User:",
        "outer=5",
        "inner.alpha=Infinity",
        "inner.learning_rate=NaN",
    ],
)
def test_a_wrong_value_is_shown_with_its_key(override):
    key, _, value = override.partition("=")
    message = complaint(override)
    assert message.startswith(f"the options: {key} is wrong: ")
    assert value.lower().removesuffix("inity").replace("null", "none") in message.lower()


def test_an_adapter_cannot_be_shaped_where_all_weights_are_trained():
    assert load_config(None, ["inner.method=full"]).inner.method == "full"
    for option in ("dropout=0.1", "top_layers=true", 'targets=["q_proj"]'):
        assert "inner is wrong" in (said := complaint("inner.method=full", f"inner.{option}"))
        assert "method full trains all weights" in said


def test_negative_weights_are_followed_for_more_than_an_epoch_only_with_a_clip():
    assert "outer.recipe is wrong" in complaint("outer.credit=group_relative")
    assert "set outer.recipe.epochs to 1 (and tokens to 0), or outer.recipe.ratio_clip" in complaint(
        "outer.credit=group_relative"
    )
    for fine in ("outer.recipe.epochs=1", "outer.recipe.ratio_clip=0.2"):
        assert load_config(None, ["outer.credit=group_relative", fine]).outer.credit == "group_relative"


@pytest.mark.parametrize(
    ("key", "least"),
    [
        ("max_adapters", 1),
        ("data.max_eval_tasks", 0),
        ("inner.rank", 1),
        ("inner.epochs", 1),
        ("inner.batch_size", 1),
        ("outer.rounds", 0),
        ("outer.tasks_per_round", 1),
        ("outer.edits_per_task", 1),
        ("outer.recipe.rank", 1),
        ("outer.sampling.temperature", 0),
        ("outer.sampling.max_new_tokens", 1),
        ("exam.max_new_tokens", 1),
    ],
)
def test_every_number_has_a_least_value(key, least):
    load_config(None, [f"{key}={least}"])
    assert key in complaint(f"{key}={least - 1}")


@pytest.mark.parametrize("key", ["inner.alpha", "inner.learning_rate", "outer.recipe.alpha", "outer.sampling.top_p"])
def test_what_scales_something_cannot_be_zero(key):
    load_config(None, [f"{key}=0.001"])
    assert key in complaint(f"{key}=0")


def test_a_wrong_key_in_a_file_is_said_with_the_file(toml):
    with pytest.raises(InputError, match=r"run\.toml: there is no key outer\.round; did you mean rounds\?"):
        load_config(toml("[outer]\nround = 3"), [])


@pytest.mark.parametrize("override", ["seed", "=3", ""])
def test_an_option_without_key_or_value_is_refused_with_an_example(override):
    assert "--set outer.rounds=3" in complaint(override)


def test_a_file_that_is_not_there_is_said_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"there is no config file .*; `selfedit init` writes one"):
        load_config(tmp_path / "none.toml", [])


def test_a_folder_is_no_config_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        load_config(tmp_path, [])


@pytest.mark.parametrize("content", [b"seed = ", b"\xff\xfe", b"seed = 1\nseed = 2"])
def test_a_file_that_is_not_toml_is_said_to_be_none(tmp_path, content):
    (tmp_path / "run.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"is not TOML|is not text in UTF-8"):
        load_config(tmp_path / "run.toml", [])


# Endpoints


@pytest.mark.parametrize("key", ["endpoints.judge", "endpoints.rubric", "endpoints.teacher"])
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("url=localhost:8000", "begins with http:// or https:// and a host"),
        ("url=http://", "begins with http:// or https:// and a host"),
        ("url=https://me:HIDDEN@host/v1", "no user, password"),
        ("url=https://host/v1?key=HIDDEN", "put the key in an environment variable"),
        ("key_env=sk-HIDDEN", "the name of an environment variable, not the key itself"),
    ],
)
def test_a_secret_in_the_config_is_refused_and_not_repeated(key, setting, said):
    message = complaint(f"{key}.{setting}")
    assert message.startswith(f"the options: {key}.{setting.split('=')[0]} is wrong: ")
    assert said in message and "HIDDEN" not in message


@pytest.mark.parametrize("url", ["", "http://localhost:8000/v1", "https://host", "http://[::1]:8000/v1/"])
def test_an_endpoint_has_a_plain_address(url):
    assert load_config(None, [f"endpoints.judge.url={url}"]).endpoints.judge.url == url


def test_a_config_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Config().seed = 1


# Out again


@pytest.mark.parametrize("options", [[], ["domain.name=arc"], ["seed=3", "domain.prompt=pool"]])
def test_what_init_writes_makes_the_same_config_again(toml, options):
    config = make_config("gpt2", options)
    assert make_config(path=toml(commented(config))) == config


def test_every_key_stands_in_the_toml_with_its_description():
    text = commented(make_config())
    assert "[outer.recipe]" in text
    assert (
        'grader = "contains"  # contains (SQuAD\'s rule), phrase (sees decimals, signs, single letters; for own '
        "documents), exact, f1, calibrated (fitted to a judge), judge (a model at endpoints.judge), attempts for grids"
        in text
    )


@given(
    st.builds(
        dict,
        seed=st.integers(-(2**63), 2**63 - 1),
        exam=st.builds(dict, repeat_context=st.booleans()),
        domain=st.builds(dict, split_newlines=st.booleans(), max_documents=st.integers(0, 99)),
        model=st.builds(
            dict, template=st.text(st.characters(codec="utf-8")).map(lambda text: text and text + "{prompt}")
        ),
        inner=st.builds(
            dict,
            alpha=st.floats(min_value=0, max_value=1e9, exclude_min=True),
            targets=st.lists(st.text(st.characters(codec="utf-8")), max_size=3),
        ),
    )
)
def test_any_config_survives_the_round_trip_through_toml(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("config") / "run.toml"
    config = make_config("a-model", base=tree)
    path.write_text(to_toml(config, KnowledgeOptions(**config.domain.options)))
    assert make_config(path=path) == config


def test_a_config_survives_the_round_trip_through_json():
    config = Config(model=ModelConfig(name="gpt2"), seed=3)
    assert resolve(config.model_dump(mode="json"), "config.json") == config


def test_a_size_that_cannot_be_read_is_named():
    with pytest.raises(InputError, match=r"model\.memory is wrong: .*such as 8GB"):
        load_config(None, ["model.memory=lots"])


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8e9), ("512 MB", 512e6), ("1.5tb", 1.5e12), ("2k", 2000), ("7", 7), ("", 0)]
)
def test_sizes(text, size):
    assert load_config(None, [f'model.memory="{text}"']).model.memory_bytes == size


def test_the_domain_arc_has_defaults_of_its_own_under_what_is_set():
    config = make_config("fake", ["domain.name=arc", "inner.rank=4"])
    assert (config.inner.rank, config.inner.alpha, config.inner.batch_size) == (4, 16, 2)
    assert (config.exam.grader, config.outer.sampling.max_new_tokens, config.outer.recipe.learning_rate) == (
        "attempts",
        128,
        5e-5,
    )
    assert resolve(config.model_dump(mode="json"), "config.json") == config
    plain = make_config("fake", ["domain.name=knowledge"], preset="seal")
    assert plain == Config().model_copy(update={"model": ModelConfig(name="fake"), "domain": plain.domain})


@pytest.mark.parametrize(
    ("options", "grader"),
    [
        ({"model": "a-model", "own_documents": True}, "phrase"),
        ({"model": "a-model", "own_documents": True, "overrides": ["exam.grader=exact"]}, "exact"),
        ({"model": "a-model", "own_documents": True, "overrides": ["domain.name=arc"]}, "attempts"),
        ({"model": "a-model"}, "contains"),
        ({"model": "almanac", "own_documents": True}, "contains"),
    ],
)
def test_own_documents_have_a_grader_that_sees_decimals_and_letters(options, grader):
    assert make_config(**options).exam.grader == grader
