"""Every kind of causal language model that transformers has: it works, or is refused in a sentence."""

import pytest

torch = pytest.importorskip("torch")

from selfedit.bench.architectures import examine, kinds, save_tiny  # noqa: E402

REFUSED = {
    "is not a causal language model": (
        *("bart", "bert", "bert-generation", "big_bird", "bigbird_pegasus", "blenderbot", "blenderbot-small"),
        *("camembert", "data2vec-text", "electra", "ernie", "marian", "mbart", "megatron-bert", "mvp", "pegasus"),
        *("plbart", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "trocr", "whisper"),
        *("xlm-roberta", "xlm-roberta-xl", "xlnet"),
    ),
    "cannot be run or trained on texts alone": ("xmod",),
}


def test_there_are_enough_of_them():
    assert len(kinds()) - sum(map(len, REFUSED.values())) >= 60


@pytest.mark.filterwarnings("ignore")  # of models nobody here wrote
@pytest.mark.parametrize("kind", kinds())
def test_a_kind_is_right_or_refused(kind, tmp_path):
    save_tiny(kind, tmp_path)
    found = examine(kind, tmp_path)
    said = next((said for said, names in REFUSED.items() if kind in names), "")
    assert (said in found.refusal) if said else found.refusal == "", found.refusal
    assert found.wrong == ""
