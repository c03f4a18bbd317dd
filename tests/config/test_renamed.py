"""Keys of version 0.1: each is refused in one sentence that names the key of today."""

import pytest

from selfedit.config import load_config
from selfedit.config.renamed import _NOW, _TABLES
from selfedit.errors import InputError
from selfedit.workflows.configure import make_config


def complaint(override):
    with pytest.raises(InputError) as error:
        load_config(None, [override])
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("old", _NOW)
@pytest.mark.parametrize("below", ["", ".key"])
def test_every_old_key_is_said_to_be_called_what_it_is_called_now(old, below):
    assert complaint(f"{old}{below}=1") == f"the options: {old} is called {_NOW[old]} since version 0.2"


@pytest.mark.parametrize("old", _NOW)
def test_an_old_key_in_a_file_is_said_with_the_file(tmp_path, old):
    path = tmp_path / "run.toml"
    path.write_text(f"{old} = 1\n")
    with pytest.raises(InputError) as error:
        make_config(path=path)
    assert str(error.value) == f"{path}: {old} is called {_NOW[old]} since version 0.2"


@pytest.mark.parametrize("table", _TABLES)
def test_a_table_that_is_gone_is_said_with_where_its_keys_stand(table):
    assert complaint(f"{table}=1") == f"the options: {_TABLES[table]}"


@pytest.mark.parametrize("table", ["arc", "documents", "teacher"])
def test_a_key_of_a_table_that_is_gone_is_said_with_where_its_keys_stand(table):
    assert complaint(f"{table}.zzz=1") == f"the options: {_TABLES[table]}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("wave=2", "wave is called max_adapters since version 0.2"),
        ("outer.writing.top_p=1", "outer.writing is called outer.sampling since version 0.2"),
        ("documents.together=4", "documents.together is called exam.tasks_per_adapter since version 0.2"),
        ("arc.format=seal", "domain.format, beside domain.name=arc"),
        ("domain=arc", "set domain.name, such as domain.name=arc"),
        ('continual.keepers=["replay"]', "continual.keepers is called continual.methods since version 0.2"),
    ],
)
def test_an_old_key_names_the_new_one(old, new):
    assert new in complaint(old)


def test_every_name_that_an_old_key_is_told_to_have_now_is_a_key():
    known = _keys_of(make_config("fake")) | _keys_of(make_config("fake", ["domain.name=arc"]))
    assert not [now for now in (text.split()[0] for text in _NOW.values()) if now not in known]


def _keys_of(config):
    """All keys and tables of a config, with dots."""

    def walk(tree, above=""):
        for key, value in tree.items():
            yield above + key
            if isinstance(value, dict):
                yield from walk(value, f"{above}{key}.")

    return set(walk(config.model_dump(mode="json")))
