"""What SEAL published about its released data, by the section of the spec that states it. Shares are in percent."""

from __future__ import annotations

ROUND_ROWS = 50
"""Passages per round of ReST-EM, and so pairs that are imitated (1.2)."""

QUESTIONS_PER_ROUND = {"rank_iter0_prompt-long": 251, "rank_iter1_prompt-long": 243}
"""Questions of a round's passages, where they are stated (1.2)."""

FIRST_ROUND = {"winners without gain": 10, "ties at the maximum": 22, "best of 5, %": 54.3}
"""Of `rank_iter0`: 10 of 50 winners gain nothing and 22 passages have a tie (1.1); the mean of the best (2.4)."""

DOCUMENTS = {
    "base_val": [8.6, 7.0, 57],
    "iter2_val": [7.9, 7.0, 19],
    "gpt4_1_val": [15.2, 14.0, 36],
    "naive_val": [1.0, 1.0, 1],
    "alternate_prompts/base/base_val_prompt-long": [18.6, 17.0, 66],
    "alternate_prompts/base/base_val_prompt-self-qa": [13.7, 12.0, 100],
}
"""Training documents per self-edit, the passage included: mean, median, maximum (1.3)."""

EVAL_PASSAGES, EVAL_QUESTIONS, EVAL_TITLES = 200, 974, 47
"""The evaluation subset (2.1)."""

SHUFFLE_SEED = 42
"""The subset is the first 200 passages of the development set after this shuffle (2.1)."""

EVAL_FILES = ("base", "iter1", "iter2", "gpt4_1", "naive")

UNTAUGHT = 32.7
"""The model without an update, as the run of its own self-edits measured it (2.4). Other runs vary (9.9)."""

AFTER = {
    "eval/naive": 33.5,
    "eval/base": 39.7,
    "eval/iter1": 42.7,
    "eval/gpt4_1": 46.3,
    "eval/iter2": 47.0,
    "alternate_prompts/eval/base_prompt-long": 49.3,
    "alternate_prompts/eval/iter1_prompt-long": 52.4,
    "alternate_prompts/eval/iter2_prompt-long": 54.4,
    "alternate_prompts/eval/base_prompt-self-qa": 37.3,
    "alternate_prompts/eval/iter1_prompt-self-qa": 42.8,
    "alternate_prompts/eval/iter2_prompt-self-qa": 48.7,
}
"""Correct after the update, mean over passages (2.4: table 2, and RL rounds x prompt)."""

AFTER_BY_QUESTION = {"eval/naive": 33.6, "eval/base": 40.7, "eval/iter1": 42.3, "eval/gpt4_1": 45.6, "eval/iter2": 46.7}
"""Correct after the update, mean over questions (2.4, micro averages)."""

BLANK = {
    "eval/naive": 0.5,
    "eval/base": 16.6,
    "eval/iter1": 15.0,
    "eval/gpt4_1": 7.9,
    "eval/iter2": 10.1,
    "alternate_prompts/eval/base_prompt-long": 8.0,
    "alternate_prompts/eval/iter2_prompt-long": 5.1,
    "alternate_prompts/eval/base_prompt-self-qa": 23.7,
    "alternate_prompts/eval/iter2_prompt-self-qa": 8.9,
}
"""Blank answers after the update (2.4, empty answers). Those of `rewrite`, `none` and CPT are not in the release."""

CORRECT_OF_NOT_BLANK = {"eval/base": 48.8, "eval/iter1": 49.8, "eval/iter2": 51.9, "eval/gpt4_1": 49.5}
"""Correct among the answers that are not blank (2.4, empty answers)."""

SEQUENCES = 64
"""Continual runs: 8 jobs of 8 sequences (4)."""
