"""A run is a directory you can read, resume and re-run.

    config.json      version, kind and command of the run, its resolved config, and what it found of the machine
    trials.sqlite    one row per trial (or other noun), a batch per transaction, and all files that are read back: the
                     source of truth, with a checksum for every batch and file
    tasks.json       what it learns and is examined on: a copy for people, as are the other files here
    metrics.jsonl    one line per stage, written anew from the trials
    updates/<id>/    PEFT adapters, each written whole or not at all; the database has their checksums
    summary.json     the results
    report.html      what people look at
    lock             held by the process that is working on the run

A run resumes only under the config that started it, and in one process at a time. Other files belong to the workflow
that writes them. To look at a run writes nothing.
"""

from selfedit.store.database import DATABASE
from selfedit.store.listing import list_runs
from selfedit.store.metrics import StoredBatch, reward_reliability
from selfedit.store.nouns import NOUNS, dump, parse
from selfedit.store.run import CONFIG, MACHINE, REPORT, Run, read_json

__all__ = [
    "CONFIG",
    "DATABASE",
    "MACHINE",
    "NOUNS",
    "REPORT",
    "Run",
    "StoredBatch",
    "dump",
    "list_runs",
    "parse",
    "read_json",
    "reward_reliability",
]
