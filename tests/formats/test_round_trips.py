"""What is written is read back equal, made up or released."""

import json
from types import UnionType
from typing import get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.formats.imitation import ImitationRow, read_imitation, write_imitation
from selfedit.formats.passages import (
    Meta,
    Passage,
    SyntheticPassage,
    meta_path,
    read_meta,
    read_passages,
    read_synthetic,
)
from selfedit.formats.record import Record, read_record, read_records, write_record, write_records
from selfedit.formats.results import ContinualSummary, CptResults, CptSummary, QueryResults

SIMPLE = {
    str: st.text(max_size=12),
    bool: st.booleans(),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
}


def values(annotation):
    """Values of a field with this type."""
    if annotation in SIMPLE:
        return SIMPLE[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return records(annotation)
    inner = get_args(annotation)
    if isinstance(annotation, UnionType):
        return st.one_of(*map(values, inner))
    if get_origin(annotation) is dict:
        return st.dictionaries(SIMPLE[str], values(inner[1]), max_size=2)
    assert get_origin(annotation) is tuple and inner[1] is ..., annotation
    return st.lists(values(inner[0]), max_size=2).map(tuple)


def records(kind, **chosen):
    """Records of this kind, with or without their optional keys and one that SEAL has not thought of yet."""
    fields = {name: chosen.get(name, values(field.annotation)) for name, field in kind.model_fields.items()}
    required = {name: of for name, of in fields.items() if name in chosen or kind.model_fields[name].is_required()}
    optional = {name: of for name, of in fields.items() if name not in required} | {"added_later": SIMPLE[int]}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: kind(**given))


def summaries():
    numbers = values(float)
    return st.integers(1, 3).flatmap(
        lambda size: records(
            ContinualSummary,
            n_datapoints=st.just(size),
            **dict.fromkeys(
                ("mean_over_sequences", "std_over_sequences"),
                st.tuples(*[st.tuples(*[numbers] * size)] * (size + 1)),
            ),
        )
    )


TEXTS = st.lists(SIMPLE[str], max_size=3).map(tuple)
ONE = {
    "query results": (QueryResults, records(QueryResults)),
    "CPT with LoRA": (CptResults, records(CptResults)),
    "CPT, full": (CptSummary, records(CptSummary)),
    "continual": (ContinualSummary, summaries()),
    "meta": (Meta, records(Meta)),
}
MANY = {
    "passages": (Passage, records(Passage)),
    "several completions": (SyntheticPassage, records(SyntheticPassage, completions=TEXTS)),
    "one completion": (SyntheticPassage, records(SyntheticPassage, completion=SIMPLE[str])),
    "EntiGraph": (SyntheticPassage, records(SyntheticPassage, pair_completions=TEXTS)),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("files") / "file.json"


@pytest.mark.parametrize("name", ONE)
@given(data=st.data())
def test_a_record_is_read_as_it_was_written(file, name, data):
    kind, strategy = ONE[name]
    record = data.draw(strategy)
    write_record(file, record)
    assert read_record(file, kind) == record
    assert read_record(file, kind).plain() == record.plain() == json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MANY)
@given(data=st.data())
def test_a_list_of_records_is_read_as_it_was_written(file, name, data):
    kind, strategy = MANY[name]
    given_records = data.draw(st.lists(strategy, min_size=1, max_size=3))
    write_records(file, given_records)
    assert read_records(file, kind) == given_records


@given(st.lists(records(ImitationRow), max_size=4))
def test_rows_are_read_as_they_were_written(file, rows):
    write_imitation(file, rows)
    assert read_imitation(file) == rows


def test_line_separators_inside_a_text_do_not_end_a_row(file):
    rows = [ImitationRow(prompt="a\u2028b\u0085c\x0b", completion="\r\n")]
    write_imitation(file, rows)
    assert read_imitation(file) == rows


def test_a_meta_is_found_where_it_was_written(tmp_path):
    meta = Meta(model="m", n=3)
    write_record(meta_path(tmp_path / "data.json"), meta)
    assert read_meta(tmp_path / "data.json") == meta


# SEAL's own files


def reread(path):
    """The JSON value of a released file after our reading and writing."""
    if "query_server" in path.parts:
        return read_record(path, QueryResults).plain()
    if "continual_self_edits" in path.parts:
        return read_record(path, ContinualSummary).plain()
    read = read_passages if path.name == "squad_val.json" else read_synthetic
    return [record.plain() for record in read(path)]


def test_released_files_are_written_as_they_were(shared):
    data = shared / "data"
    paths = [*sorted((data / "seal_released").rglob("*.json")), data / "squad" / "squad_val.json"]
    assert len(paths) == 44
    changed = [str(path) for path in paths if reread(path) != json.loads(path.read_text(encoding="utf-8"))]
    assert changed == []


def test_released_files_are_written_to_the_same_bytes(shared, tmp_path):
    folder = shared / "data" / "seal_released" / "data" / "synthetic_data"
    sources = folder / "eval" / "iter2_val.json", folder / "EM_SFT" / "sft_best1of5_iter0.jsonl"
    write_records(tmp_path / "edits.json", read_synthetic(sources[0]))
    write_imitation(tmp_path / "rows.jsonl", read_imitation(sources[1]))
    copies = tmp_path / "edits.json", tmp_path / "rows.jsonl"
    assert [path.read_bytes() for path in copies] == [path.read_bytes() for path in sources]


def test_every_released_meta_is_read(shared):
    data = sorted((shared / "data" / "seal_released" / "data" / "synthetic_data").rglob("*.json"))
    metas = {path.stem: read_meta(path) for path in data}
    assert len(metas) == 17 and None not in metas.values()
    assert {name for name, meta in metas.items() if meta.written_at is None} == {"naive_val"}  # has no timestamp
    assert metas["iter2_val"].model == "models/iter2"
