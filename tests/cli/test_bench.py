import pytest

from selfedit.bench.plan import BenchOptions


def test_help_has_the_shapes_and_an_example(cli):
    said = cli("bench", "--help").said
    assert "qwen2.5-7b" in said and "selfedit bench --json" in said


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--shape", "bert"], "there is no shape 'bert'; the shapes are embedded"),
        (["--baseline-edits", "0"], "nothing to measure with 0 edits"),
        (["--adapters", "0"], "nothing to measure with 0 edits"),
        (["--edits", "missing.json"], "there is no file missing.json"),
        (["--epochs", "0"], "inner.epochs is wrong"),
    ],
)
def test_bad_input_is_one_sentence(cli, arguments, problem):
    called = cli("bench", *arguments)
    assert called.code == 3 and problem in called.error


def test_a_gpu_that_is_not_there_is_named(cli, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    called = cli("bench", "--device", "cuda")
    assert called.code == 3 and called.error.startswith("--device is cuda")


def test_too_few_edits_in_a_file(cli, write):
    record = {"title": "T", "context": "C.", "questions": [{"question": "Q?", "answer": "C"}], "completions": ["N."]}
    called = cli("bench", "--edits", write("edits.json", [record]))
    assert called.code == 3 and "holds 1 edits and 128 are asked for" in called.error


def test_the_embedded_model_is_measured(cli, monkeypatch):
    monkeypatch.setattr("selfedit.bench.run.matmul_rate", lambda device, dtype: 1e9)
    monkeypatch.setattr("selfedit.bench.run.profiled", lambda work, device: {})
    arguments = ["--adapters", 1, "--baseline-edits", 1, "--seal-edits", 1, "--epochs", 1]
    called = cli("bench", *arguments, "--json")
    assert called.code == 0
    assert called.json["machine"]["matmul_gflops"] > 0 and called.json["embedded"]["ratio_seal"] > 0
    assert called.json["embedded"].keys() >= {"accuracy", "arms", "profile", "flops_share", "ratio_trainer"}


def test_the_tables_fit_a_hundred_columns(cli, monkeypatch):
    spread = {"median": 12.345, "mean": 12.345, "low": 10.123, "high": 123.456}
    arm = {"edits": 128, "calls": 2, **dict.fromkeys(("seconds_per_edit", "train_seconds", "answer_seconds"), spread)}
    arm |= {"updates_per_second": 0.01, "ratio": 100.0, "train_gflops": 123456.7}
    arms = {"seal": arm, "engine_128": arm}
    interval = {"mean": 0.01, "low": -0.5, "high": 0.5, "n": 10}
    result = {
        **{"flops_share": 0.5, "floor_seconds": 0.1, "floor_share": 0.4, "matmul_gflops": 120.0, "arms": arms},
        **{"peak_memory_mb": dict.fromkeys(arms, 12345.6), "skipped": {}},
        "accuracy": {"share": dict.fromkeys(arms, 0.5), "engine_minus_seal": interval},
        "profile": {"adapters": 32, "seconds": {"base products": 1.0}, "share": {"base products": 1.0}},
    }
    asked = []

    def measure(names, options, progress):
        asked.append(options)
        return {"embedded": result}

    monkeypatch.setattr("selfedit.cli.bench.measure", measure)
    monkeypatch.setattr("selfedit.cli.screen.out.width", 100)
    out = cli("bench", "--rank", 8).out
    assert asked == [BenchOptions(rank=8)] and "12.345" in out and "engine, 128" in out
    lines = [line for line in out.splitlines() if "points" not in line and "GFLOP/s;" not in line]
    assert max(map(len, lines)) <= 100 and "…" not in out
