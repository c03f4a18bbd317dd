"""Servers that send too much, too slowly or nonsense: a sentence, by the deadline, and within the memory."""

import base64
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import repeat

import pytest

from selfedit.config import EndpointConfig
from selfedit.engines.cache import AnswerCache
from selfedit.engines.http import MAX_BYTES, HttpSampler
from selfedit.errors import EndpointDown, InputError
from selfedit.types import BASE, Request

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT = f"its answer is longer than {MAX_BYTES // 10**6} MB"


def read_request(connection):
    """All of it: a connection that is closed on unread bytes is reset, and what was sent on it may be lost."""
    data = b""
    while True:
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if length and len(body) >= int(length[1]):
            return
        received = connection.recv(65536)
        if not received:
            raise ConnectionError
        data += received


@pytest.fixture
def hostile(endpoint):
    """Starts a server that sends these pieces to whoever connects, one every `pause` seconds; gives its url."""
    servers, over = [], threading.Event()

    def start(pieces, pause=0.0):
        listening = socket.create_server(("127.0.0.1", 0))
        servers.append(listening)

        def serve():
            try:
                connection, _ = listening.accept()
                with connection:
                    read_request(connection)
                    for piece in pieces:
                        connection.sendall(piece)
                        if over.wait(pause):
                            break
            except OSError:
                pass  # the client has gone

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/v1"

    yield start
    over.set()
    for server in servers:
        server.close()


def ask(url, cache=None, timeout=5.0):
    endpoint = EndpointConfig(url=url, model="m", timeout=timeout, retries=0)
    return HttpSampler(endpoint, cache).sample([Request(BASE, "a")])


def whole(body, head=HEAD):
    return [head + b"Content-Length: %d\r\n\r\n" % len(body), body]


MEGABYTE = b"y" * 2**20
SLOW = {
    "body": [HEAD + b"Content-Length: 100000\r\n\r\n", *repeat(b" ", 999)],
    "headers": [HEAD + b"X: ", *repeat(b"a", 999)],
    "100 continue": repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 99_999),
    "silence": repeat(b"", 999),
}


@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW)
def test_what_does_not_end_is_ended(hostile, pieces):
    began = time.monotonic()
    with pytest.raises(EndpointDown, match=r"no whole answer within 0\.2 s"):
        ask(hostile(pieces, 0.005), timeout=0.2)
    assert time.monotonic() - began < 5


LARGE = {
    "announced": ([HEAD + b"Content-Length: 1000000000\r\n\r\n", *repeat(MEGABYTE, 999)], LIMIT),
    "endless": ([CHUNKED, *repeat(b"100000\r\n" + MEGABYTE + b"\r\n", 999)], LIMIT),
    "headers": ([HEAD, *(b"X-%d: " % i + b"a" * 999 + b"\r\n" for i in range(2000))], "Receive buffer too long"),
    "bomb": (whole(gzip.compress(bytes(2**24)), HEAD + b"Content-Encoding: gzip\r\n"), "is compressed \\(gzip\\)"),
}


@pytest.mark.parametrize(("pieces", "said"), LARGE.values(), ids=LARGE)
def test_what_is_too_large_is_not_read(hostile, pieces, said):
    with pytest.raises(EndpointDown, match=said):
        ask(hostile(pieces))


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"message":{"content":"yes \\ud800"}}]}',
        b'{"choices":[{"message":{"content":' + b"9" * 10_000 + b"}}]}",
        b'{"choices":[{"message":{"content":NaN}}]}',
        b'{"choices":' + b"[" * 100_000,
        b'{"choices":[{"message":{"content":"\xff"}}]}',
    ],
    ids=["half a character", "digits", "nan", "deep", "no utf-8"],
)
def test_what_is_no_text_is_never_kept(hostile, tmp_path, body):
    with pytest.raises(EndpointDown, match=r"no completion|half characters"):
        ask(hostile(whole(body)), tmp_path)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("damage", ["[" * 100_000, '{"text": "\\ud800"}', "a folder", "a pipe"])
def test_a_kept_answer_that_was_tampered_with_is_asked_for_again(tmp_path, damage):
    answers, body = AnswerCache(tmp_path), {"model": "m"}
    answers.write(body, "one")
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    if damage.startswith("a "):
        path.unlink()
        path.mkdir() if damage == "a folder" else os.mkfifo(path)
    else:
        path.write_text(json.dumps({"request": body, **json.loads(damage)}) if damage[0] == "{" else damage)
    assert answers.read(body) is None


def test_words_of_a_server_steer_no_terminal_and_hold_no_key(hostile, monkeypatch, allow_key):
    key = "sk-do-not-show-0123456789"
    said = json.dumps({"error": {"message": f"\x1b]0;PWNED\x07 \u202e {key[:-2]}"}}).encode()
    url = hostile(whole(said, HEAD.replace(b"200 OK", b"401 No")))
    monkeypatch.setenv("OPENAI_API_KEY", key)
    allow_key("OPENAI_API_KEY", url)
    with pytest.raises(InputError) as raised:
        ask(url)
    assert r"(401: \x1b]0;PWNED\x07 \u202e ...);" in str(raised.value)


def test_an_answer_with_the_key_in_it_is_not_kept(hostile, monkeypatch, allow_key, tmp_path):
    key = "sk-do-not-show-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    for answer in (f"yes {key}", base64.b64encode(f"Bearer {key}".encode()).decode()):
        url = hostile(whole(json.dumps({"choices": [{"text": answer}]}).encode()))
        allow_key("OPENAI_API_KEY", url)
        with pytest.raises(EndpointDown, match="its answer repeats the key"):
            ask(url, tmp_path)
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize("proxy", ["http://me:PASS/WORD@proxy", "http://me:PASSWORD@proxy:port"])
def test_a_proxys_password_is_not_shown(monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(InputError, match="ALL_PROXY") as raised:
        ask("http://api.example.com")
    assert "PASS" not in str(raised.value)


def test_a_proxy_that_cannot_be_used_is_the_users_to_mend(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:9")
    with pytest.raises(InputError, match="see HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE in the environment"):
        ask("http://api.example.com")


def test_what_is_on_this_machine_is_asked_without_a_proxy(hostile, monkeypatch):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert ask(hostile(whole(b'{"choices":[{"text":"yes"}]}'))) == ["yes"]


WAITING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
from selfedit.cli.main import run
from selfedit.config import EndpointConfig
from selfedit.engines import http
from selfedit.types import BASE, Request
sampler = http.HttpSampler(EndpointConfig(url=sys.argv[1], model="m", timeout=60))
try:
    sampler.sample([Request(BASE, str(number)) for number in range(20)])
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def test_ctrl_c_ends_the_process_at_once(hostile):
    asked = threading.Event()

    def silence():
        asked.set()
        yield from repeat(b"", 9999)

    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, hostile(silence(), 0.01)], stdout=subprocess.PIPE, env={**os.environ}
    )
    assert asked.wait(30)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert out == b"stopped\n" and process.returncode == 0
    assert time.monotonic() - began < 10  # the request alone would take a minute
