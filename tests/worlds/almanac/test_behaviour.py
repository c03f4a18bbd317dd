"""What is taught passes its own probe; no single answer passes them; what probes hold out is not in pre-training."""

import json
import re
from collections import Counter
from itertools import islice
from random import Random

import pytest

from selfedit.domains.knowledge import prompts
from selfedit.worlds.almanac import behaviour
from selfedit.worlds.almanac.behaviour import BEHAVIOURS, MAKERS, Probe, documents_of, passes, probes, says
from selfedit.worlds.almanac.parts import END
from selfedit.worlds.almanac.world import entries, split_of

KNOWN = list(islice(entries("pretrain", 0), 30))
COUNT = 60
PROBES = {name: probes(name, KNOWN, COUNT, seed=1) for name in BEHAVIOURS}


def documents(count, seed=0):
    rng, fresh = Random(seed), entries("pretrain", seed + 1, outright=0.3)
    made = (document for entry in fresh for document in documents_of(entry, rng.choice(KNOWN), rng))
    return list(islice(made, count))


DOCUMENTS = documents(2000)
TEXTS = ["".join(text for text, _ in parts) for parts in DOCUMENTS]

each_behaviour = pytest.mark.parametrize("name", BEHAVIOURS)


def share(name, answer):
    """Of the probes of a behaviour, how many an answer passes: a text, or what makes one from a probe."""
    return sum(passes(probe, answer(probe) if callable(answer) else answer) for probe in PROBES[name]) / COUNT


def test_every_behaviour_has_a_maker_and_a_place_in_the_mixture():
    assert set(MAKERS) == set(BEHAVIOURS)
    assert sum(weight for _, weight in behaviour.MIXTURE) == pytest.approx(1)


@each_behaviour
def test_the_gold_answer_passes(name):
    assert share(name, lambda probe: probe.gold) == 1


@each_behaviour
def test_what_is_taught_passes(name):
    rng = Random(0)
    for entry in islice(entries("pretrain", 3, outright=0.3), 200):
        probe = MAKERS[name](name, rng.choice(KNOWN) if name in behaviour.OF_KNOWN else entry, rng, False)
        assert passes(probe, f" {probe.gold}"), probe


@each_behaviour
def test_an_empty_answer_and_an_echo_fail(name):
    assert share(name, "") == share(name, " \n") == 0
    assert share(name, lambda probe: probe.prompt) == 0


@pytest.mark.parametrize("answer", behaviour.REFUSALS)
def test_who_refuses_everything_passes_refusal_only(answer):
    assert [name for name in BEHAVIOURS if share(name, answer)] == ["refusal"]


def test_who_never_knows_passes_unknown_only():
    assert [name for name in BEHAVIOURS if share(name, behaviour.UNKNOWN)] == ["unknown"]


@each_behaviour
def test_who_says_one_thing_always_fails(name):
    if name not in ("refusal", "unknown"):
        assert max(share(name, probe.gold) for probe in PROBES[name][:20]) < 0.4


@each_behaviour
def test_the_same_arguments_give_the_same_probes(name):
    assert probes(name, KNOWN, 12, seed=1) == PROBES[name][:12] != probes(name, KNOWN, 12, seed=2)
    assert len({probe.prompt for probe in PROBES[name]}) > 0.6 * COUNT


def test_the_same_seed_gives_the_same_documents():
    assert documents(50) == DOCUMENTS[:50] != documents(50, seed=1)


@pytest.mark.parametrize("name", ["unknown", "pressure_wrong", "injection", "choice", "format_word"])
def test_probes_are_about_entries_of_the_exam_split(name):
    for probe in PROBES[name]:
        topic = re.search(r"(?:Topic: |Passage:\n)(.+)", probe.prompt)
        assert topic and split_of(topic[1]) == "exam"


def test_no_act_of_a_probe_is_in_pre_training():
    text = "\n".join(TEXTS)
    acts = [act for name in ("HARMFUL", "SAME_VERB", "SAME_OBJECT") for act in getattr(behaviour, name)]
    held = [f"{verb} {what}" for verb, what in acts if behaviour.held_out(verb, what)]
    assert len(held) > 100 and not [act for act in held if says(text, act)]
    for probe in PROBES["refusal"] + PROBES["look_alike"]:
        assert any(says(probe.prompt, act) for act in held)


def test_the_last_wordings_are_for_probes_only():
    text = "\n".join(TEXTS)
    last = [behaviour.HOW_TO[-1].split("{")[0], behaviour.INSIST[-1].split("{")[0]]
    last += [behaviour.INJECTIONS[-1].split("{")[0]]
    last += [f"System: {wordings.split('|')[-1].split('{')[0]}" for wordings in behaviour.SYSTEMS.values()]
    assert not [wording for wording in last if wording in text]
    asked = "\n".join(probe.prompt for of_name in PROBES.values() for probe in of_name)
    assert all(wording in asked for wording in last)


def test_harm_follows_from_neither_the_verb_nor_the_object_alone():
    harmful, harmless = set(behaviour.HARMFUL), set(behaviour.SAME_VERB) | set(behaviour.SAME_OBJECT)
    assert not harmful & harmless
    for verb, what in harmful:
        assert any(verb == other for other, _ in harmless) and any(what == other for _, other in harmless)


def test_documents_are_short_and_teach_the_answers():
    assert max(map(len, TEXTS)) < 1500
    for parts in DOCUMENTS:
        assert [weight for _, weight in parts[1::2]] == [1.0] * (len(parts) // 2)
        assert all(weight <= 0.3 and text.endswith(":") for text, weight in parts[::2])
        assert not parts[-1][0].endswith(END) and all(text.startswith(f"{END}\n") for text, _ in parts[2::2])


def test_a_closed_book_exam_is_never_answered_with_not_knowing():
    unknown = [parts[0][0] for parts in DOCUMENTS if parts[1][0] == f" {behaviour.UNKNOWN}"]
    assert unknown and all("or say that you do not know" in prompt for prompt in unknown)
    assert behaviour.MAY_NOT_KNOW != prompts.EXAM


def test_options_differ_and_every_letter_is_as_frequent():
    for probe in PROBES["choice"]:
        assert len(set(re.findall(r"^(.+) \([ABCD]\)$", probe.prompt, re.MULTILINE))) == 4
    assert min(Counter(probe.expects for probe in PROBES["choice"]).values()) > COUNT / 8


def test_a_class_is_an_option_among_classes():
    """A fact replaced by its class would otherwise be found by being unlike the other options."""
    for entry in islice(entries("pretrain", 4, outright=1.0), 20):
        for claim in entry.claims:
            wrong = behaviour.wrong_values(entry, claim, 3, Random(0))
            if claim.key == "birthplace":
                assert all(value.endswith("land") for value in [claim.value, *wrong])


def test_an_injected_word_stands_in_what_is_read_and_not_in_the_answer():
    for probe in PROBES["injection"]:
        (word,) = probe.forbids
        assert says(probe.prompt, word) and not passes(probe, f"{probe.gold} {word}") and not passes(probe, word)


def test_sides_come_in_pairs_with_the_same_request_and_answer():
    for one, other in zip(PROBES["mirrored"][::2], PROBES["mirrored"][1::2], strict=True):
        assert one.prompt != other.prompt and not passes(one, other.gold)
        sides = [re.match(r"The (\w+) ", probe.gold)[1] for probe in (one, other)]
        assert one.gold.replace(*sides) == other.gold and one.prompt.replace(*sides) == other.prompt


@pytest.mark.parametrize(
    ("rule", "answer", "good"),
    [
        ("says", "She played the Harp.", True),
        ("says", "She played the harpsichord.", False),
        ("exactly", "Harp.", True),
        ("exactly", "the harp", False),
        ("sentence", "She played the harp.", True),
        ("sentence", "harp.", False),
        ("sentence", "SHE PLAYED THE HARP.", False),
        ("sentence", "1. She played the harp.", False),
        ("capitals", "SHE PLAYED THE HARP.", True),
        ("capitals", "SHE PLAYED THE HARP. Yes.", False),
        ("capitals", "SHE PLAYED.", False),
        ("letter", "She played the harp (B)", True),
        ("letter", "B.", True),
        ("letter", "She played the harp (C)", False),
        ("letter", "B is wrong", False),
        ("letter", "BB", False),
        ("list", "1. She played the harp.\n2. She worked as a baker.\n3. She was born in Torvik.", True),
        ("list", "1. She played the harp.\n2. She worked as a baker.", False),
        ("list", "1. She played the harp.\n2. She worked as a baker.\n3. She has harp.\n4. It is Torvik.", False),
        ("list", "1. She played the harp.\n2. She loved the harp.\n3. She was born in Torvik.", False),
        ("list", "1. harp\n2. baker\n3. Torvik", False),
        ("list", "1. She played the harp.\n2. She worked as a miller.\n3. She was born in Torvik.", False),
        ("list", "She played the harp.\nShe worked as a baker.\nShe was born in Torvik.", False),
    ],
)
def test_rules_are_strict(rule, answer, good):
    expects = ("B",) if rule == "letter" else ("harp", "baker", "Torvik")
    assert passes(Probe("", "", "", rule, expects), answer) is good


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (' {"played":"harp"}\n', True),
        ('{"played": "She played the harp."}', True),
        ('{"played": "She played the lyre."}', False),
        ('{"played": ["harp"]}', False),
        ('{"played": "harp", "played": "harp"}', False),
        ('{"played": "harp", "more": 1}', False),
        ('{"answer": "harp"}', False),
        ('[["played", "harp"]]', False),
        ('It is {"played": "harp"}', False),
        ("[" * 100_000, False),
    ],
)
def test_json_has_the_one_key(answer, good):
    assert passes(Probe("", "", "", "json", ("played", "harp")), answer) is good


def test_giving_way_to_what_is_wrong_fails():
    for name in ("pressure_wrong", "recall_wrong"):
        assert share(name, lambda probe: f"You are right: it was {probe.forbids[0]}.") == 0
        assert share(name, lambda probe: f"You are right: {probe.gold}") == 0


def test_a_value_in_json_may_hold_any_character():
    assert passes(Probe("", "", "", "json", ("said", 'a "b"')), json.dumps({"said": 'a "b"'}))
