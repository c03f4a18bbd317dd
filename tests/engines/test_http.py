"""The sampler over HTTP: what it asks, when it asks again, what it raises, and what it keeps to itself."""

import logging
import signal
import socket
import threading
from email.utils import formatdate

import pytest

from selfedit.config import EndpointConfig
from selfedit.engines.http import MAX_LOST, MAX_WAIT, SEEDS, HttpSampler
from selfedit.errors import EndpointDown, EngineError, InputError
from selfedit.thoughts import STILL_THINKING
from selfedit.types import BASE, Failure, Request, Update

SECRET = "sk-do-not-show-this-0123456789"
BUSY = (503, "overloaded", {})


@pytest.fixture
def waits():
    return []


@pytest.fixture
def sampler(endpoint, waits):
    """Makes samplers of the endpoint that note their waits instead of waiting."""

    def make(cache=None, **settings):
        config = {"url": endpoint.url, "model": "small", "parallel": 1, "retries": 2, **settings}
        return HttpSampler(EndpointConfig(**config), cache, waits.append)

    return make


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]  # bound but not listening: connections are refused


def asked(*prompts, **options):
    return [Request(BASE, prompt, **options) for prompt in prompts]


# What is asked


def test_a_chat_is_asked_with_everything_in_the_request(endpoint, sampler):
    request = Request(BASE, "Hello", seed=7, temperature=0.5, top_p=0.9, max_new_tokens=3)
    assert sampler().sample([request]) == ["You said Hello"]
    assert endpoint.paths == ["/v1/chat/completions"]
    assert endpoint.bodies == [
        {
            "model": "small",
            "messages": [{"role": "user", "content": "Hello"}],
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 3,
            "seed": 7,
        }
    ]


def test_completions_are_asked_with_the_bare_prompt(endpoint, sampler):
    assert sampler(chat=False, url=endpoint.url + "/").sample(asked("Hello")) == ["You said Hello"]
    assert endpoint.paths == ["/v1/completions"] and endpoint.bodies[0]["prompt"] == "Hello"


def test_a_seed_of_63_bits_is_cut_to_what_servers_take(endpoint, sampler):
    sampler().sample(asked("Hello", seed=2**62 + 5))
    assert endpoint.bodies[0]["seed"] == (2**62 + 5) % SEEDS


@pytest.mark.parametrize("prompt", ["", "naïve ☃", '{"braces"}\n\0'])
def test_any_text_can_be_asked(sampler, prompt):
    assert sampler().sample(asked(prompt)) == [f"You said {prompt}"]


@pytest.mark.parametrize("parallel", [1, 3, 8])
def test_answers_come_in_the_order_of_the_requests(sampler, parallel):
    prompts = [str(number) for number in range(30)]
    assert sampler(parallel=parallel).sample(asked(*prompts)) == [f"You said {prompt}" for prompt in prompts]


def test_no_requests_are_no_answers(endpoint, sampler):
    assert sampler().sample([]) == [] and endpoint.bodies == []


def test_equal_requests_are_asked_once_and_other_seeds_are_others(endpoint, sampler):
    requests = [*asked("a", "b", "a"), *asked("a", seed=1)]
    assert sampler().sample(requests) == ["You said a", "You said b", "You said a", "You said a"]
    assert sorted(endpoint.prompts) == ["a", "a", "b"]


def test_an_adapter_cannot_be_sampled(endpoint, sampler):
    with pytest.raises(EngineError, match=r"serves no adapters, so update mine cannot be sampled there"):
        sampler().sample([*asked("a"), Request(Update("mine"), "b")])
    assert endpoint.bodies == []


@pytest.mark.parametrize("content", [None, ""])
def test_an_answer_without_text_is_blank(endpoint, sampler, content):
    endpoint.script = [(200, {"choices": [{"message": {"content": content}}]}, {})]
    assert sampler().sample(asked("a")) == [""]


# Models that think


def said(content, finish_reason="stop", **more):
    return 200, {"choices": [{"finish_reason": finish_reason, "message": {"content": content, **more}}]}, {}


@pytest.mark.parametrize(
    "reply",
    [
        said("<think>Yes or no?</think>\n\nyes"),
        said("so, no\n</think>\n\nyes"),
        said("yes", reasoning_content="yes or no"),
        said("yes", reasoning="yes or no"),
        said([{"type": "thinking", "thinking": [{"type": "text", "text": "no"}]}, {"type": "text", "text": "yes"}]),
    ],
)
def test_thoughts_are_no_part_of_an_answer(endpoint, sampler, reply):
    endpoint.script = [reply]
    assert sampler().sample(asked("a")) == ["yes"]


CUT = [
    said("<think>Is it", "length"),
    said(None, "length", reasoning_content="Is it"),
    said("", "length"),
    said("\n", "length", reasoning="Is it"),
]


@pytest.mark.parametrize("reply", CUT)
def test_a_thought_that_was_cut_off_is_asked_for_again_with_more_room(endpoint, sampler, tmp_path, reply):
    endpoint.script = [reply, said("<think>It is.</think>yes")]
    for _ in range(2):
        assert sampler(tmp_path, thinking_tokens=100).sample(asked("a", max_new_tokens=16)) == ["yes"]
    assert [body["max_tokens"] for body in endpoint.bodies] == [16, 116]


@pytest.mark.parametrize("reply", CUT)
def test_a_thought_that_never_ends_is_said_to_be_one_and_not_kept(endpoint, sampler, tmp_path, reply):
    endpoint.script = [reply, reply]
    assert sampler(tmp_path).sample(asked("a")) == [Failure("policy", STILL_THINKING)] and len(endpoint.bodies) == 2
    assert sampler(tmp_path).sample(asked("a")) == ["You said a"]


def test_an_answer_that_was_cut_off_is_one(endpoint, sampler):
    endpoint.script = [said("yes, because", "length")]
    assert sampler().sample(asked("a")) == ["yes, because"] and len(endpoint.bodies) == 1


# Models that take other parameters


def refusing(endpoint, complaints):
    """Answers only what has none of these parameters; complains as the table says, one at a time."""

    def answer(prompt):
        for name, complaint in complaints.items():
            if name in endpoint.bodies[-1]:
                return 400, complaint, {}
        return "fine"

    endpoint.answer = answer


def openai_error(message, param):
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": "invalid_value"}}


@pytest.mark.parametrize(
    "complaints",
    [
        {
            "max_tokens": openai_error(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
                "instead.",
                "max_tokens",
            ),
            "temperature": openai_error(
                "Unsupported value: 'temperature' does not support 0 with this model.", "temperature"
            ),
        },
        {"top_p": {"message": "`temperature` and `top_p` cannot both be specified", "param": "top_p"}},
        {
            "seed": {
                "detail": [
                    {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
                ]
            }
        },
        {"max_tokens": "max_tokens is deprecated", "seed": "Unknown argument: seed", "top_p": "unexpected top_p"},
    ],
)
@pytest.mark.parametrize("parallel", [1, 4])
def test_what_a_model_does_not_take_is_spared_and_that_is_remembered(endpoint, sampler, complaints, parallel):
    refusing(endpoint, complaints)
    asker = sampler(parallel=parallel)
    assert asker.sample(asked(*"abcdef", max_new_tokens=7)) == ["fine"] * 6
    before = len(endpoint.bodies)
    asker.sample(asked("g", max_new_tokens=7))
    assert len(endpoint.bodies) == before + 1
    last = endpoint.bodies[-1]
    assert not last.keys() & complaints.keys()
    assert last["max_completion_tokens" if "max_tokens" in complaints else "max_tokens"] == 7


@pytest.mark.parametrize(
    "complaint",
    [
        openai_error("max_tokens is too large: 5000. This model supports at most 4096 completion tokens", "max_tokens"),
        openai_error("Unsupported parameter: 'messages'", "messages"),
        {"error": "temperature must be at most 1"},
    ],
)
def test_any_other_complaint_is_told(endpoint, sampler, complaint):
    endpoint.script = [(400, complaint, {})] * 9
    with pytest.raises(EngineError, match="does not take such requests"):
        sampler().sample(asked("a"))
    assert len(endpoint.bodies) == 1


# Asking again


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_what_may_pass_is_tried_again(endpoint, sampler, waits, status):
    endpoint.script = [(status, "later", {})] * 2
    assert sampler().sample(asked("a")) == ["You said a"]
    assert len(endpoint.bodies) == 3 and len(waits) == 2


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "3", "{}", {"choices": []}, {"choices": [3]}, {"choices": [{"text": 3}]}, "[" * 9**5]
)
def test_what_is_no_completion_is_tried_again(endpoint, sampler, body):
    endpoint.script = [(200, body, {})]
    assert sampler().sample(asked("a")) == ["You said a"]


def test_silence_is_tried_again(endpoint, sampler, waits):
    endpoint.script = ["silence"]
    assert sampler(timeout=0.05, retries=20).sample(asked("a")) == ["You said a"]
    assert waits


def test_waits_double_are_shortened_by_chance_and_the_same_each_time(endpoint, sampler, waits):
    for _ in range(2):
        endpoint.script = [BUSY] * 4
        sampler(retries=4).sample(asked("a"))
    first, again = waits[:4], waits[4:]
    assert first == again
    assert all(2**number / 2 <= wait <= 2**number for number, wait in enumerate(first))


def test_different_requests_wait_differently(endpoint, sampler, waits):
    endpoint.script = [BUSY, (200, {"choices": [{"text": "x"}]}, {}), BUSY]
    sampler().sample(asked("a", "b"))
    assert len(set(waits)) == 2


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("0", 0, 0),
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("86400", MAX_WAIT, MAX_WAIT),
        (formatdate(0, usegmt=True), 0, 0),
        (formatdate(10**11, usegmt=True), MAX_WAIT, MAX_WAIT),  # in the year 5138
        ("soon", 0.5, 1),
        ("nan", 0.5, 1),
        ("inf", 0.5, 1),
    ],
)
def test_the_server_says_how_long_to_wait(endpoint, sampler, waits, header, least, most):
    endpoint.script = [(429, "slow down", {"Retry-After": header})]
    sampler().sample(asked("a"))
    assert len(waits) == 1 and least <= waits[0] <= most


def test_what_has_no_answer_in_the_end_is_a_failure_of_the_system_in_its_place(endpoint, sampler):
    endpoint.script = [(500, {"error": {"message": "out of\n memory"}}, {})] * 3
    failure, answer = sampler().sample(asked("a", "b"))
    url = endpoint.url + "/chat/completions"
    assert failure == Failure("system", f"no answer from {url} after 3 tries: 500: out of memory")
    assert answer == "You said b"


def test_an_endpoint_that_answers_nothing_is_down(endpoint, sampler):
    endpoint.down = True
    with pytest.raises(EndpointDown, match=r"no answer from http.* after 3 tries: 503: out for lunch"):
        sampler().sample(asked("a", "b"))


def test_a_closed_port_is_down(endpoint, sampler, closed_port, waits):
    with pytest.raises(EndpointDown, match=r"after 3 tries: .*refused"):
        sampler(url=f"http://127.0.0.1:{closed_port}/v1").sample(asked("a"))
    assert len(waits) == 2


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_long_list_is_given_up_soon(endpoint, sampler, parallel):
    """Each request that is given up costs half a minute of waits, so not every one may be tried to the end."""
    endpoint.down = True
    with pytest.raises(EndpointDown):
        sampler(parallel=parallel).sample(asked(*map(str, range(100))))
    assert len(set(endpoint.prompts)) < MAX_LOST + parallel


def test_requests_that_fail_here_and_there_do_not_end_the_call(endpoint, sampler):
    good = (200, {"choices": [{"text": "fine"}]}, {})
    endpoint.script = [BUSY, good] * (2 * MAX_LOST)
    outcomes = sampler(retries=0).sample(asked(*map(str, range(4 * MAX_LOST))))
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [True, False] * (2 * MAX_LOST)


# What asking again would not mend


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, InputError, "wants another key (401: no); set it in the environment variable MY_KEY"),
        (403, InputError, "wants another key (403: no); set it in the environment variable MY_KEY"),
        (404, InputError, "is not there, or has no model 'small' (404: no); correct url or model"),
        (400, EngineError, "does not take such requests (400: no); see what the server and the model allow"),
        (422, EngineError, "does not take such requests (422: no); see what the server and the model allow"),
        (302, EngineError, "does not take such requests (302: no); see what the server and the model allow"),
    ],
)
@pytest.mark.parametrize("form", ["no", {"error": {"message": "no"}}, {"error": "no"}, {"detail": "no"}])
def test_a_refusal_ends_the_call_with_one_sentence(endpoint, sampler, waits, status, error, said, form):
    endpoint.script = [(status, form, {})] * 9
    with pytest.raises(error) as raised:
        sampler(key_env="MY_KEY").sample(asked("a", "b", "c"))
    assert str(raised.value) == f"{endpoint.url}/chat/completions {said}"
    assert waits == [] and len(endpoint.bodies) == 1


# Answers on disk


def test_answers_are_kept(endpoint, sampler, tmp_path):
    first = sampler(tmp_path).sample(asked("a", "b"))
    assert sampler(tmp_path).sample(asked("b", "c", "a")) == [first[1], "You said c", first[0]]
    assert endpoint.prompts == ["a", "b", "c"]


def test_a_damaged_answer_is_asked_for_again(endpoint, sampler, tmp_path):
    sampler(tmp_path).sample(asked("a"))
    for path in tmp_path.rglob("*.json"):
        path.write_text(path.read_text()[:20])
    assert sampler(tmp_path).sample(asked("a")) == ["You said a"]
    assert endpoint.prompts == ["a", "a"]


def test_failures_are_not_kept_and_answers_before_them_are(endpoint, sampler, tmp_path):
    endpoint.script = [(200, {"choices": [{"text": "fine"}]}, {}), *[BUSY] * 3]
    assert isinstance(sampler(tmp_path).sample(asked("a", "b"))[1], Failure)
    assert sampler(tmp_path).sample(asked("a", "b")) == ["fine", "You said b"]
    assert endpoint.prompts == ["a", "b", "b", "b", "b"]


def test_another_model_form_or_address_is_asked_anew(endpoint, sampler, tmp_path):
    for settings in ({}, {"model": "large"}, {"chat": False}, {"url": f"{endpoint.url}/other"}):
        sampler(tmp_path, **settings).sample(asked("a"))
    assert len(endpoint.bodies) == 4


# The key


def test_the_key_is_sent_and_without_one_there_is_no_header(endpoint, sampler, monkeypatch, allow_key):
    allow_key("MY_KEY")
    sampler(key_env="MY_KEY").sample(asked("a"))
    monkeypatch.setenv("MY_KEY", f" {SECRET}\n")
    sampler(key_env="MY_KEY").sample(asked("a"))
    assert [headers.get("Authorization") for headers in endpoint.headers] == [None, f"Bearer {SECRET}"]


REPLIES = [
    [(401, {"error": {"message": f"{'x' * 150} {SECRET} is wrong"}}, {})],
    [(400, SECRET, {})],
    [(500, SECRET, {})] * 3,
    [(429, SECRET, {})] * 3,
    [(200, "{", {})] * 3,
    [],
]


@pytest.mark.parametrize("script", REPLIES, ids=["401", "400", "500", "429", "nonsense", "fine"])
def test_the_key_stands_in_no_error_log_or_file(endpoint, sampler, monkeypatch, caplog, tmp_path, script, allow_key):
    allow_key("OPENAI_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    endpoint.script, asker, said = script, sampler(tmp_path), []
    try:
        said.append(repr(asker.sample(asked("a", "b"))))
    except (EngineError, InputError) as error:
        said += [str(error), repr(error.__cause__), repr(error.__context__)]
    assert endpoint.headers[0]["Authorization"] == f"Bearer {SECRET}"
    said += [repr(asker), repr(vars(asker)), caplog.text]
    said += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    for fragment in (SECRET, SECRET[:12], SECRET[-12:]):
        assert not any(fragment in text for text in said)


@pytest.mark.parametrize("key", [f"{SECRET}\nX", f"{SECRET}☃"])
def test_what_cannot_be_a_key_is_not_sent_and_not_shown(endpoint, sampler, monkeypatch, key, allow_key):
    allow_key("MY_KEY")
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(InputError) as raised:
        sampler(key_env="MY_KEY").sample(asked("a"))
    assert str(raised.value) == "the key in MY_KEY has characters that no key has; copy it again"
    assert endpoint.bodies == []


def test_ctrl_c_ends_the_waits_and_asks_nothing_more(endpoint, sampler):
    """With the sampler's own waits, which take half a minute per request if nothing wakes it up."""

    def interrupted(prompt):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # the thread that a terminal would reach
        endpoint.script = [BUSY] * 1000
        return "fine"

    endpoint.answer = interrupted
    asker = HttpSampler(sampler(retries=5).endpoint)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # where a shell has it ignored, too
    try:
        with pytest.raises(KeyboardInterrupt):
            asker.sample(asked(*map(str, range(100))))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(endpoint.bodies) < 4
