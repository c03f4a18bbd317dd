"""SEAL's released data agrees with what was published; a small release of our own agrees until something is changed."""

import io
import json
import random

import pytest
from rich.console import Console

from selfedit.cli import screen
from selfedit.errors import InputError
from selfedit.reproduce import expected
from selfedit.reproduce.released import RANKINGS, released, tables

PASSAGES = [
    {"title": title, "context": f"{title} is old.", "questions": [{"question": f"{title}?", "answer": "yes"}] * 2}
    for title in ("Apollo", "Torvik", "Velin")
]
SUBSET = list(PASSAGES)
random.Random(expected.SHUFFLE_SEED).shuffle(SUBSET)
SUBSET = SUBSET[:2]
LORA = {"rank": 32, "alpha": 64, "dropout": 0.0, "epochs": 10, "lr": 1e-3, "batch_size": 1, "grad_accum_steps": 1}

SMALL = {
    "ROUND_ROWS": 2,
    "QUESTIONS_PER_ROUND": dict.fromkeys(expected.QUESTIONS_PER_ROUND, 4),
    "FIRST_ROUND": {"winners without gain": 1, "ties at the maximum": 1, "best of 5, %": 50.0},
    "DOCUMENTS": {name: [3.0, 3.0, 3] for name in expected.DOCUMENTS},
    "EVAL_PASSAGES": 2,
    "EVAL_QUESTIONS": 4,
    "EVAL_TITLES": 2,
    "UNTAUGHT": 25.0,
    "AFTER": dict.fromkeys(expected.AFTER, 75.0),
    "AFTER_BY_QUESTION": dict.fromkeys(expected.AFTER_BY_QUESTION, 75.0),
    "BLANK": dict.fromkeys(expected.BLANK, 25.0),
    "CORRECT_OF_NOT_BLANK": dict.fromkeys(expected.CORRECT_OF_NOT_BLANK, 100.0),
    "SEQUENCES": 4,
}
"""What is expected of the small release, for what is expected of SEAL's."""


def mean(values):
    return sum(values) / len(values)


def tried(text, before, after):
    """A self-edit with these verdicts; an answer that is wrong afterwards is blank."""
    questions = [
        {
            "rep": 0,
            "question": f"{number}?",
            "answer": "yes",
            "baseline_answer": "no",
            "adapter_answer": "yes" if right else " ",
            "baseline_correct": bool(was),
            "adapter_correct": bool(right),
        }
        for number, (was, right) in enumerate(zip(before, after, strict=True))
    ]
    stats = {"baseline_mean": mean(before), "baseline_std": 0.0, "adapter_mean": mean(after), "adapter_std": 0.0}
    return {"text": text, "stats": stats | {"gain_mean": mean(after) - mean(before)}, "questions": questions}


def results(*edits_of_each):
    """A run over SUBSET in which these self-edits were tried."""
    articles = []
    for passage, edits in zip(SUBSET, edits_of_each, strict=True):
        before, after = (mean([edit["stats"][name] for edit in edits]) for name in ("baseline_mean", "adapter_mean"))
        stats = {"baseline_accuracy": before, "adapter_mean_accuracy": after, "mean_gain": after - before}
        stats |= {"adapter_std_over_completions": 0.0, "mean_adapter_std_within_completions": None}
        place = {"title": passage["title"], "context": passage["context"]}
        articles.append({"stats": stats, **place, "completions": edits, "prompt": f"Read {passage['title']}."})
    before, after = (
        mean([article["stats"][name] for article in articles])
        for name in ("baseline_accuracy", "adapter_mean_accuracy")
    )
    spreads = ("baseline_std_of_article_means", "adapter_std_of_article_means", "mean_adapter_std_over_completions")
    overall = {"baseline_mean_accuracy": before, "adapter_mean_accuracy": after, "mean_gain": after - before}
    overall |= dict.fromkeys([*spreads, "mean_adapter_std_within_completions"], 0.0)
    counts = {"n_articles": 2, "k_completions": len(edits_of_each[0]), "eval_times": 1}
    run = {"timestamp": "0509_224917", "exp_name": "x", "dataset": "x.json", "split_newlines": True}
    return {"overall": overall, **run, **counts, "lora_params": LORA, "articles": articles}


def summary(value, sequences):
    run = {"n_sequences": sequences, "n_datapoints": 1, "dataset": "d", "base_model": "m"}
    return {"mean_over_sequences": [[value], [value]], "std_over_sequences": [[value], [0.5]], **run}


def files():
    """The small release: the JSON value of each file by its path, those of .jsonl as lists."""
    synthetic, measured, continual = "data/synthetic_data", "results/query_server", "results/continual_self_edits"
    ranked = results(
        [tried("first", [1, 0], [1, 0]), tried("as good", [1, 0], [0, 1])],
        [tried("worse", [0, 0], [0, 0]), tried("better", [0, 0], [1, 0])],
    )
    chosen = [
        {"prompt": article["prompt"], "completion": text}
        for article, text in zip(ranked["articles"], ["first", "better"], strict=True)
    ]
    tested = results([tried("x", [0, 0], [1, 0])], [tried("x", [1, 0], [1, 1])])
    written = [{**passage, "completions": ["one\ntwo", "three"], "prompt": "Read."} for passage in SUBSET]
    edits = sorted({*expected.DOCUMENTS, *(f"{name}_val" for name in expected.EVAL_FILES)})
    return {
        **{f"{measured}/{name}.json": ranked for name in RANKINGS},
        **{f"{synthetic}/EM_SFT/{name}.jsonl": chosen for name in RANKINGS.values()},
        **{f"{measured}/{name}.json": tested for name in expected.AFTER},
        **{f"{synthetic}/eval/{name}.json": written for name in edits},
        f"{continual}/run0/summary_7.json": summary(0.1, 1),
        f"{continual}/run1/summary_8.json": summary(0.3, 3),
        f"{continual}/overall_results.json": summary(0.25, 4),
        "data/squad_val.json": PASSAGES,
    }


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Writes the small release, one file of it changed in place by a function, and returns its folder."""
    for name, value in SMALL.items():
        monkeypatch.setattr(expected, name, value)

    def release(path=None, change=None):
        for name, value in files().items():
            value = json.loads(json.dumps(value))  # files share their values
            if name == path:
                change(value)
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            lines = [json.dumps(row) for row in value] if name.endswith(".jsonl") else [json.dumps(value)]
            (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        return tmp_path

    return release


def unequal(summary):
    return {check["name"] for check in summary["checks"] if not check["equal"]}


def test_the_small_release_agrees_with_what_is_expected_of_it(release):
    checked = released(release())
    assert unequal(checked) == set() and checked["all_equal"] is True


def verdicts(run, article):
    return run["articles"][article]["completions"][0]["questions"]


def set_item(value, key, new):
    value[key] = new


SYNTHETIC, MEASURED, CONTINUAL = "data/synthetic_data", "results/query_server", "results/continual_self_edits"
CHANGES = {
    "a row": (
        f"{SYNTHETIC}/EM_SFT/sft_best1of5_iter1.jsonl",
        lambda rows: set_item(rows[1], "completion", "worse"),
        {"rank_iter1: rows imitated"},
    ),
    "a prompt": (
        f"{SYNTHETIC}/EM_SFT/alternate_prompts/sft_best1of5_iter0_prompt-long.jsonl",
        lambda rows: set_item(rows[0], "prompt", ""),
        {"rank_iter0_prompt-long: rows imitated"},
    ),
    "a row more": (
        f"{SYNTHETIC}/EM_SFT/sft_best1of5_iter0.jsonl",
        lambda rows: rows.append(rows[0]),
        {"rank_iter0: rows imitated"},
    ),
    "the order of rows": (
        f"{SYNTHETIC}/EM_SFT/sft_best1of5_iter0.jsonl",
        lambda rows: rows.reverse(),
        {"rank_iter0: rows imitated"},
    ),
    "a measured mean": (
        f"{MEASURED}/train/rank_iter1.json",
        lambda run: set_item(run["articles"][0]["completions"][1]["stats"], "adapter_mean", 0.6),
        {"rank_iter1: rows imitated", "rank_iter1: its own means"},
    ),
    "a verdict after": (
        f"{MEASURED}/eval/iter2.json",
        lambda run: set_item(verdicts(run, 1)[0], "adapter_correct", False),
        {
            "iter2: correct after, %",
            "iter2: correct by question, %",
            "iter2: correct if not blank, %",
            "iter2: its own means",
        },
    ),
    "a verdict before": (
        f"{MEASURED}/eval/base.json",
        lambda run: set_item(verdicts(run, 0)[0], "baseline_correct", True),
        {"base: correct before the update, %", "base: its own means"},
    ),
    "an answer after": (
        f"{MEASURED}/alternate_prompts/eval/iter2_prompt-long.json",
        lambda run: set_item(verdicts(run, 1)[0], "adapter_answer", ""),
        {"iter2_prompt-long: blank after, %"},
    ),
    "an answer before": (
        f"{MEASURED}/alternate_prompts/eval/iter1_prompt-long.json",
        lambda run: set_item(verdicts(run, 1)[0], "baseline_answer", "\n"),
        {"all evaluation: blank before, %"},
    ),
    "a stated mean": (
        f"{MEASURED}/eval/naive.json",
        lambda run: set_item(run["overall"], "mean_gain", 0.4998),
        {"naive: its own means"},
    ),
    "a question": (
        f"{MEASURED}/alternate_prompts/train/rank_iter1_prompt-long.json",
        lambda run: verdicts(run, 0).append({**verdicts(run, 0)[0], "baseline_correct": False}),
        {"rank_iter1_prompt-long: questions", "rank_iter1_prompt-long: its own means"},
    ),
    "the order of passages": (
        f"{MEASURED}/eval/gpt4_1.json",
        lambda run: run["articles"].reverse(),
        {"result files with the same passages"},
    ),
    "a passage that was written about": (
        f"{SYNTHETIC}/eval/iter1_val.json",
        lambda records: set_item(records[0], "context", "Another."),
        {"edit files with the same passages"},
    ),
    "a self-edit": (
        f"{SYNTHETIC}/eval/gpt4_1_val.json",
        lambda records: set_item(records[0], "completions", ["one\ntwo\nthree"]),
        {"gpt4_1_val: documents per edit"},
    ),
    "a mean of a continual run": (
        f"{CONTINUAL}/run1/summary_8.json",
        lambda run: set_item(run["mean_over_sequences"][1], 0, 0.3002),
        {"continual: means as published"},
    ),
    "a deviation of a continual run": (
        f"{CONTINUAL}/run0/summary_7.json",
        lambda run: set_item(run["std_over_sequences"][1], 0, 0.51),
        {"continual: deviations as published"},
    ),
    "the development set": (
        "data/squad_val.json",
        lambda records: records.reverse(),
        {"passages as drawn from SQuAD"},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_one_change_makes_those_checks_unequal_that_it_concerns(release, name):
    path, change, concerned = CHANGES[name]
    checked = released(release(path, change))
    assert unequal(checked) == concerned and checked["all_equal"] is False


def test_without_a_development_set_its_check_is_left_out(release):
    folder = release()
    (folder / "data" / "squad_val.json").unlink()
    checked = released(folder)
    assert checked["all_equal"] and "passages as drawn from SQuAD" not in {check["name"] for check in checked["checks"]}


@pytest.mark.parametrize("path", [path for path in files() if "run" not in path and "squad" not in path])
def test_a_file_that_is_missing_is_named(release, path):
    folder = release()
    (folder / path).unlink()
    with pytest.raises(
        InputError, match=r"there is no file .*; pass the folder that holds `data` and `results`"
    ) as error:
        released(folder)
    assert str(error.value).startswith(f"there is no file {folder / path};")


def test_continual_runs_that_are_missing_or_do_not_belong_together_are_named(release):
    folder = release()
    runs = sorted((folder / CONTINUAL).glob("run*/*.json"))
    shape = {"n_datapoints": 0, "mean_over_sequences": [[]], "std_over_sequences": [[]]}
    runs[0].write_text(json.dumps(summary(0.1, 1) | shape))
    with pytest.raises(InputError, match=r"run0/summary_7\.json: n_datapoints is not that of .*overall_results\.json"):
        released(folder)
    for run in runs:
        run.unlink()
    with pytest.raises(InputError, match=r"there is no file .*summary_\*\.json"):
        released(folder)


@pytest.mark.parametrize(
    ("path", "change", "expected_words"),
    [
        ("train/rank_iter0", lambda run: run["articles"].clear(), "has no articles, or one without completions"),
        ("eval/iter1", lambda run: run["articles"][0]["completions"].clear(), "has no articles, or one without"),
        (
            "eval/base",
            lambda run: [verdicts(run, index).clear() for index in (0, 1)],
            "has no questions in any of its completions",
        ),
    ],
)
def test_a_file_with_too_little_in_it_is_named(release, path, change, expected_words):
    folder = release(f"{MEASURED}/{path}.json", change)
    with pytest.raises(InputError) as error:
        released(folder)
    assert f"{path}.json {expected_words}" in str(error.value)


def test_a_folder_that_is_no_release_is_named(tmp_path):
    with pytest.raises(InputError, match=f"there is no folder {tmp_path}/data/synthetic_data; pass the folder"):
        released(tmp_path)
    (tmp_path / "data" / "synthetic_data").mkdir(parents=True)
    with pytest.raises(InputError, match=f"there is no folder {tmp_path}/results/query_server; pass the folder"):
        released(tmp_path)


def test_what_seal_released_agrees_with_what_it_published(shared):
    checked = released(shared / "data" / "seal_released")
    assert unequal(checked) == set() and checked["all_equal"] is True
    assert len({check["name"] for check in checked["checks"]}) == len(checked["checks"]) == 76
    assert json.loads(json.dumps(checked)) == checked


# The table

EQUAL = {"name": "iter2: correct after, %", "expected": 47.0, "found": 47.0, "equal": True}
DIFFERS = {
    "name": "alternate_prompts_base_val_prompt-self-qa: documents per edit",
    "expected": [13.7, 12.0, 100],
    "found": [13.6, 12.0, 100],
    "equal": False,
}


@pytest.fixture
def lines(monkeypatch):
    file = io.StringIO()
    summary = {"checks": [EQUAL, DIFFERS], "all_equal": False}
    monkeypatch.setattr(screen, "out", Console(file=file, width=80, markup=False))
    for table in tables(summary):
        screen.print_table(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_check_is_a_row_with_both_numbers_and_the_verdict(lines):
    (row,) = [line for line in lines if line.startswith("iter2")]
    assert row.split()[-3:] == ["47.0", "47.0", "equal"]


def test_a_check_that_differs_is_counted_and_said_to(lines):
    assert "SEAL's released data: 1 of 2 checks agree" in lines
    (row,) = [line for line in lines if line.endswith("DIFFERS")]
    assert "13.7 / 12.0 / 100" in row and "13.6 / 12.0 / 100" in row


def test_the_table_fits_80_columns_and_nothing_is_cut(lines):
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
