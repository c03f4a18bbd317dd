"""`demo`, `train` and `resume`."""

import json
import multiprocessing
import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from selfedit import __version__

CONDITIONS = ["base", "passage_only", "own_edits", "after_rl", "in_context"]
OTHERS = [
    {"title": "Ulmira", "context": "SS Ulmira carried cork.", "questions": [{"question": "Cargo?", "answer": "cork"}]}
]


def trials(run):
    with closing(sqlite3.connect(run / "trials.sqlite")) as database:
        return database.execute("select * from items order by stage, step, position").fetchall()


# demo


def test_the_demo_shows_a_passage_its_notes_the_answers_and_the_table(cli, tiny, tmp_path):
    called = cli("demo", *tiny)
    assert called.code == 0
    for text in (
        "A passage it had never seen (one of middling score):",
        "Its notes before reinforcement:",
        "Its notes after reinforcement:",
    ):
        assert text in called.out
    for text in (
        "Answers: having learned the notes before, and after",
        "Questions answered correctly on 2 unseen passages",
        "Gain of reinforcement: ",
    ):
        assert text in called.said
    assert "Report: runs/demo-1/report.html" in called.out
    run = tmp_path / "here" / "runs" / "demo-1"
    assert {path.name for path in run.iterdir()} == {
        "config.json", "lock", "metrics.jsonl", "report.html", "summary.json", "tasks.json", "trials.sqlite", "updates"
    }  # fmt: skip
    assert max(map(len, called.out.splitlines())) <= 80


def test_the_demo_as_json_is_the_summary(cli, tiny, tmp_path):
    called = cli("demo", "--json", "-o", "run", *tiny)
    assert called.code == 0
    assert list(called.json) == ["run", *CONDITIONS, "rl_gain", "by_kind", "seconds"]
    assert called.json == {"run": "run", **json.loads((tmp_path / "here" / "run" / "summary.json").read_text())}
    assert "run folder: run" in called.err and "round-0: 4 of 4" in called.err


def test_the_demo_in_two_processes_does_the_same_and_leaves_none(cli, tiny):
    alone = cli("demo", "--json", "-o", "alone", *tiny)
    called = cli("demo", "--json", "-o", "shared", *tiny, "--set", "model.processes=2")
    assert called.code == 0 and multiprocessing.active_children() == []
    assert [called.json[name]["n"] for name in CONDITIONS] == [2] * len(CONDITIONS)
    assert called.json["passage_only"]["tokens"] == alone.json["passage_only"]["tokens"]


def test_a_dry_run_of_the_demo_has_the_keys_of_a_real_one(cli, tiny, tmp_path):
    called = cli("demo", "--dry-run", "--json", "-o", "run", *tiny)
    assert called.code == 0, called.err
    summary = json.loads((tmp_path / "here" / "run" / "summary.json").read_text())
    assert called.json == {"run": "run", **summary}
    assert list(summary) == [*CONDITIONS, "rl_gain", "by_kind", "seconds"]
    for name in CONDITIONS:
        assert summary[name].keys() == {"mean", "low", "high", "blank", "n", "failed", "tokens", "seconds"}
    assert summary["rl_gain"].keys() == {"mean", "low", "high"}
    config = json.loads((tmp_path / "here" / "run" / "config.json").read_text())
    assert (config["model"]["engine"], config["kind"], config["command"]) == ("fake", "train", "demo")
    assert cli("resume", "run").code == 0


def test_a_dry_run_can_begin_with_the_policy_of_another(cli, passages, tiny):
    assert (
        cli("train", "--data", passages, "--dry-run", "-o", "first", *tiny, "--set", "outer.credit=rest_em").code == 0
    )
    options = [*tiny, "--set", "outer.rounds=0", "--set", "outer.policy=first", "--dry-run"]
    called = cli("demo", "-o", "second", "--json", *options)
    assert called.code == 0, called.err
    assert "after_rl" in called.json
    asked = cli("ask", "first", "River?")
    assert asked.code == 3 and "holds no adapter: it was made by a dry run, which has no model" in asked.error


# train


def test_train_from_files(cli, passages, write, tiny):
    called = cli("train", "--data", passages, "--eval", write("eval.json", OTHERS), "-o", "run", "--json", *tiny)
    assert called.code == 0
    assert called.json["after_rl"]["n"] == 1


def test_train_without_passages_to_evaluate_on_gives_a_policy_and_no_table(cli, passages, tiny, tmp_path):
    called = cli("train", "--data", passages, "-o", "run", *tiny)
    assert called.code == 0 and "Report: run/report.html" in called.out and "Questions answered" not in called.out
    assert (tmp_path / "here" / "run" / "updates" / "round-0" / "adapter_model.safetensors").is_file()


def test_train_from_a_config_with_options_over_it(cli, passages, saved_model, write, tmp_path):
    write("config.toml", "seed = 5\n[model]\nname = '../model'\n[data]\ntrain = 'passages.json'\n[outer]\nrounds = 9\n")
    options = [
        *("--preset", "seal"),
        *("--set", "outer.rounds=1", "--set", "outer.edits_per_task=1", "--set", "outer.sampling.max_new_tokens=8"),
        *(
            "--set",
            "inner.epochs=1",
            "--set",
            "inner.rank=2",
            "--set",
            "outer.recipe.rank=2",
            "--set",
            "outer.repeats=1",
        ),
    ]
    assert cli("train", "config.toml", "-o", "run", *options).code == 0
    config = json.loads((tmp_path / "here" / "run" / "config.json").read_text())
    assert (config["seed"], config["outer"]["rounds"], config["command"]) == (5, 1, "train")
    assert (config["model"]["name"], config["data"]["train"]) == (str(saved_model), "passages.json")
    assert len(trials(tmp_path / "here" / "run")) == 2


def test_init_then_train(cli, passages, tiny):
    assert cli("init", "my.toml").code == 0
    assert cli("train", "my.toml", "--data", passages, "-o", "run", *tiny).code == 0


@pytest.mark.parametrize("name", ["7", "true", '"x".json', "a=b.json"])
def test_a_file_may_be_called_anything(cli, write, tiny, name):
    write(name, [{"title": "x", "context": "y"}])
    called = cli("train", "--data", name, "-m", "almanac")
    assert called.code == 3 and called.error.startswith(f"{name}: 'x' has no questions")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "train needs passages: a config file, or --data passages.json"),
        (["none.toml"], "there is no config file none.toml; `selfedit init` writes one to start from"),
        (["--data", "none.json"], "there is no file none.json"),
        (
            ["--data", "plain.json"],
            (
                "plain.json: 'x' has no questions, so nothing can be measured on it; give it some "
                "(to train, the model can write its own: --set outer.questions=own)"
            ),
        ),
        (["--data", "passages.json", "--eval", "plain.json"], "plain.json: 'x' has no questions"),
        (["broken.toml"], "broken.toml is not TOML: "),
        (["flat.toml"], "flat.toml: model is wrong: "),
        (["unknown.toml"], "unknown.toml: there is no key outer.round; did you mean rounds?"),
        (["--data", "passages.json", "--set", "iner.rank=3"], "the options: there is no key iner; did you mean inner?"),
        (["--data", "passages.json", "--set", "inner.rank=two"], "the options: inner.rank is wrong: "),
        (["--data", "passages.json", "--set", "inner.rank"], "--set takes key=value"),
        (
            ["--data", "passages.json", "--set", "exam.grader=regex"],
            "exam.grader is 'regex'; it can be exact",
        ),
        (["--data", "passages.json", "-m", "./none"], "./none is not a model directory: it has no config.json"),
        (["--data", "passages.json", "-m", "none"], "none could not be fetched from the model hub: "),
        (["--data", "passages.json", "--set", "model.device=abacus"], "model.device is 'abacus'; it can be auto, cpu"),
    ],
)
def test_what_is_wrong_with_the_input_is_one_sentence_that_names_it(cli, write, passages, arguments, said):
    write("plain.json", [{"title": "x", "context": "y"}])
    write("broken.toml", "[outer")
    write("flat.toml", "model = 'x'")
    write("unknown.toml", "[outer]\nround = 3\n[data]\ntrain = 'passages.json'\n")
    named = ["--set", "model.name=almanac"] if "--data" in arguments else []
    called = cli("train", *arguments, *named)
    assert called.code == 3 and called.error.startswith(said)


@pytest.mark.parametrize(
    ("key", "name", "names"),
    [
        ("outer.reward", "gian", "gain, accuracy, binary, solved, likelihood, learned, rubric"),
        ("outer.credit", "rest", "rest_em, best_by_advantage, top2, threshold, group_relative"),
        ("exam.grader", "regex", "exact, contains, phrase, f1, calibrated, attempts, judge"),
        ("domain.name", "chess", "knowledge, arc"),
        ("domain.prompt", "poem", "notes, "),
        ("model.engine", "steam", "local, fake"),
    ],
)
@pytest.mark.parametrize("command", ["demo", "train", "adapt"])
def test_a_name_that_no_table_has_is_refused_before_there_is_a_folder(
    cli, passages, handbook, tmp_path, command, key, name, names
):
    given = {"demo": [], "train": ["--data", passages, "-m", "almanac"], "adapt": [handbook, "-m", "almanac"]}[command]
    called = cli(command, *given, "-o", "run", "--set", f"{key}={name}")
    assert called.code == 3
    assert called.error.startswith(f"{key} is {name!r}; it can be {names}")
    assert called.error.endswith(", or package.module:name")
    assert not (tmp_path / "here" / "run").exists()


def test_passages_that_are_trained_on_are_not_evaluated_on(cli, passages):
    called = cli("train", "--data", passages, "--eval", passages, "-m", "almanac")
    assert called.code == 2
    assert called.error.startswith("all 2 tasks of data.train are also in data.eval, such as 'Torvik'; evaluate on")


def test_what_is_evaluated_on_is_not_trained_on(cli, passages, write, tmp_path, tiny):
    both = json.loads((tmp_path / "here" / passages).read_text())[:1]
    called = cli("train", "--data", passages, "--eval", write("eval.json", both), "-o", "run", "--dry-run", *tiny)
    assert called.code == 0 and "1 of data.train are also in data.eval, such as 'Torvik': not trained on" in called.err
    stored = json.loads((tmp_path / "here" / "run" / "tasks.json").read_text())
    assert [task["title"] for task in stored["train"]] == ["Mara"]


def test_a_passage_over_the_context_is_your_input_and_nothing_is_run(cli, write, tmp_path, tiny):
    long = {"title": "Long", "context": "It is a long way. " * 300, "questions": [{"question": "Q?", "answer": "far"}]}
    called = cli("train", "--data", write("long.json", [long]), *tiny, "-o", "run")
    said = (
        r"passage 'Long' is too long: the prompt has \d{4} tokens, and the model reads at most 512, its answer included"
    )
    assert called.code == 3 and re.match(said, called.error)
    assert not (tmp_path / "here" / "run").exists()


# resume


def test_a_run_is_not_resumed_under_another_config(cli, tiny):
    assert cli("demo", "-o", "run", *tiny).code == 0
    called = cli("demo", "-o", "run", *tiny, "--set", "inner.rank=4", "--set", "seed=1")
    assert called.code == 2
    assert called.error.startswith("run was started with another config; it differs in inner.rank, seed, tasks; choose")


def test_a_finished_run_is_shown_again(cli, tiny):
    first, again = cli("demo", "-o", "run", *tiny), cli("resume", "run")
    assert again.code == 0 and first.out.split("Policy")[0] == again.out.split("Policy")[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{", "run/config.json is damaged: "),
        (
            "config.json",
            {"version": __version__, "kind": "train", "inner": {"rank": "two"}},
            "run/config.json was changed since the run began, in command, ",
        ),
        ("trials.sqlite", "no database at all" * 99, "run/trials.sqlite is damaged: file is not a database"),
        (
            "updates/round-0/adapter_config.json",
            "{",
            "run/updates/round-0/adapter_config.json is not what the run wrote; ",
        ),
    ],
)
def test_a_damaged_run_is_your_input(cli, tiny, passages, write, name, content, said):
    assert cli("train", "--data", passages, "-o", "run", *tiny).code == 0
    write(f"run/{name}", content)
    called = cli("resume", "run")
    assert called.code == 3 and called.error.startswith(said)


@pytest.mark.parametrize("left", [[], ["config.json"]])
def test_a_folder_without_a_run_in_it_cannot_be_resumed(cli, write, left):
    write("run/notes.txt", "")
    for name in left:
        write(f"run/{name}", {"version": __version__, "kind": "train"})
    called = cli("resume", "run")
    assert called.code == 3 and called.error.startswith(
        "run is not a run" if not left else "run/trials.sqlite is missing; restore it"
    )


# Ctrl-C, two processes, a full disk: in processes of their own

MANY_BATCHES = [
    *(
        "--set",
        "max_adapters=2",
        "--set",
        "outer.rounds=1",
        "--set",
        "outer.tasks_per_round=4",
        "--set",
        "data.max_eval_tasks=2",
    ),
    *("--set", "outer.edits_per_task=2", "--set", "outer.sampling.max_new_tokens=40"),
]


@pytest.fixture(scope="module")
def whole(forks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert forks(folder, "demo", "-o", "run", *MANY_BATCHES)["code"] == 0
    return folder / "run"


def test_ctrl_c_saves_says_how_to_go_on_and_loses_nothing(forks, whole, tmp_path):
    marker = tmp_path / "runs" / "demo-1" / "updates" / "round-0"
    stopped = forks(tmp_path, "demo", *MANY_BATCHES, signal=signal.SIGINT, once=str(marker))
    assert stopped["code"] == 130 and stopped["out"] == "", stopped["err"]
    last = stopped["err"].rstrip("\n").split("\n")[-1]
    assert last == "stopped; what was finished is kept. Go on with: selfedit resume runs/demo-1"
    assert "Traceback" not in stopped["err"] and "error" not in stopped["err"]
    run = tmp_path / "runs" / "demo-1"
    stored = trials(run)
    assert 0 < len(stored) < len(trials(whole))
    assert forks(tmp_path, *last.partition("selfedit ")[2].split())["code"] == 0
    assert trials(run) == trials(whole)
    for name in ("adapter_model.safetensors", "card.json"):
        path = Path("updates") / "round-0" / name
        assert (run / path).read_bytes() == (whole / path).read_bytes()


def test_the_second_process_on_a_run_is_refused(forks, cli, tiny, tmp_path):
    """While this process holds the run, another is refused; when it has let go, it is not."""
    from selfedit.store import Run

    assert cli("demo", "-o", "run", *tiny).code == 0
    here = tmp_path / "here"
    with Run.resume(Path("run")):
        for command in (["resume", "run"], ["demo", "-o", "run", *tiny]):
            other = forks(here, *command)
            assert other["code"] == 2 and other["out"] == ""
            last = other["err"].rstrip("\n").split("\n")[-1]
            assert last == "error: another process is working on run; wait for it, or choose another folder"
        assert forks(here, "runs", "show", "run")["code"] == 0
    assert forks(here, "resume", "run")["code"] == 0


@pytest.mark.parametrize("largest", [1_000, 70_000, 300_000])
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_space(forks, whole, tmp_path, largest):
    full = forks(tmp_path, "demo", "-o", "run", *MANY_BATCHES, largest_file=largest)
    assert full["code"] == 3 and full["out"] == "" and "Traceback" not in full["err"]
    last = full["err"].rstrip("\n").split("\n")[-1]
    assert last.startswith("error: cannot write ") and "run" in last and "free some space" in last
    done = forks(tmp_path, "demo", "-o", "run", *MANY_BATCHES)
    assert done["code"] == 0, done["err"]
    assert trials(tmp_path / "run") == trials(whole)
