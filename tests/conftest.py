"""What every test gets: no network, a few small tasks, an engine without a model."""

import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, so before any test module is
os.environ["SELFEDIT_CONFIG_HOME"] = str(Path(__file__) / "none")  # not the settings of whoever runs the tests
os.environ["SELFEDIT_CACHE_HOME"] = os.environ["SELFEDIT_CONFIG_HOME"]  # and not the models

from selfedit.engines.fake import FakeEngine
from selfedit.types import Question, Task

settings.register_profile("same-everywhere", deadline=None, derandomize=True)  # a slow machine changes no result
settings.load_profile("same-everywhere")

TASKS = [
    Task(
        "apollo",
        "Apollo 11",
        "Apollo 11 landed in 1969. Its commander was Neil Armstrong.",
        (Question("When did Apollo 11 land?", "1969"), Question("Who led Apollo 11?", "Neil Armstrong")),
    ),
    Task(
        "torvik",
        "Torvik",
        "Torvik lies on the river Selx. The town is famous for its lace.",
        (Question("Which river does Torvik lie on?", "Selx"), Question("What is Torvik famous for?", "lace")),
    ),
    Task(
        "velin",
        "Mara Velin",
        "Mara Velin worked as a baker. In the evenings she played the tuba.",
        (Question("What did Mara Velin work as?", "baker"), Question("What did Mara Velin play?", "tuba")),
    ),
    Task(
        "ulmira",
        "SS Ulmira",
        "SS Ulmira was launched in the year 1843. It carried a cargo of cork.",
        (Question("When was SS Ulmira launched?", "1843"), Question("What did SS Ulmira carry?", "cork")),
    ),
]


class RecordingEngine(FakeEngine):
    """A fake engine that keeps the requests and jobs it got."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.requests, self.jobs = [], []

    def sample(self, requests):
        self.requests += requests
        return super().sample(requests)

    def train(self, jobs):
        self.jobs += jobs
        return super().train(jobs)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that reaches for the network fails at once instead of retrying for minutes."""

    def refuse(*args, **kwargs):
        raise AssertionError("a test tried to open a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


class Server(ThreadingHTTPServer):
    request_queue_size = 64  # with less, connections that come at once wait a second

    def handle_error(self, request, client_address):
        """A client that did not wait for the reply is no news."""


class Endpoint:
    """A small OpenAI-compatible server on this machine, for `url`; keeps the bodies and headers it was sent.

    `script` holds replies that are used up first: (status, body, headers), or "silence" for none at all. Then `answer`
    makes a completion, or such a reply, of the prompt. While it is `down`, every reply is a 503.
    """

    def __init__(self):
        self.script, self.bodies, self.headers, self.paths, self.down = [], [], [], [], False
        self.answer = lambda prompt: f"You said {prompt}"
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._server = Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    @staticmethod
    def judge(prompt):
        """What a judge says that looks for the last word of the gold answer."""
        gold = prompt.partition("Gold answer: ")[2].partition("\n")[0]
        student = prompt.partition("<answer>\n")[2].rpartition("\n</answer>")[0]
        return "yes" if gold and gold.split()[-1] in student else "no"

    @property
    def prompts(self):
        return [body["messages"][0]["content"] if "messages" in body else body["prompt"] for body in self.bodies]

    def reply(self, path, headers, body):
        with self._lock:
            self.paths.append(path)
            self.headers.append(headers)
            self.bodies.append(body)
            if self.down:
                return 503, "out for lunch", {}
            if self.script:
                return self.script.pop(0)
            said = self.answer(self.prompts[-1])
            return said if isinstance(said, tuple) else (200, completion(said, chat="messages" in body), {})

    def _handler(endpoint):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply = endpoint.reply(self.path, dict(self.headers), body)
                if reply == "silence":
                    endpoint._closing.wait()
                    return
                status, content, headers = reply
                data = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": len(data)}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *parts):
                pass

        return Handler

    def close(self):
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def completion(text, chat=True):
    return {"choices": [{"message": {"role": "assistant", "content": text}} if chat else {"text": text}]}


CONNECT = socket.socket.connect


@pytest.fixture
def endpoint(no_network, monkeypatch):
    """A server on this machine, the only one that can be reached."""

    def only_here(self, address):
        assert address[0] == "127.0.0.1", "a test tried to leave this machine"
        return CONNECT(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = Endpoint()
    yield server
    server.close()


@pytest.fixture
def allow_key(endpoint, monkeypatch, tmp_path_factory):
    """Lets the key in an environment variable be sent to the endpoint, in the settings of a user made up for that."""
    from selfedit.config.settings import allow_key

    monkeypatch.setenv("SELFEDIT_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
    return lambda variable, address=endpoint.url: allow_key(variable, address)


@pytest.fixture
def tasks():
    """Four tasks of two questions. Each gold answer stands in its passage, once."""
    return list(TASKS)


@pytest.fixture
def new_engine(tasks):
    """Makes engines that know an answer once two documents hold it: the passage alone teaches nothing."""
    return lambda: RecordingEngine(tasks, needed=2)


@pytest.fixture
def engine(new_engine):
    return new_engine()


@pytest.fixture
def shared():
    """The `shared` folder beside the checkout, where it is there; data too large for the repository stands in it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` beside the checkout, which is not part of the repository")
    return folder


# Models and processes; PyTorch is imported only by the tests that ask for these


@pytest.fixture
def byte_tokenizer():
    """Makes a tokenizer with one token per byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    def make(context):
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {"<|end|>": 0, "<|pad|>": 1, **{letter: number for number, letter in enumerate(alphabet, start=2)}}
        tokenizer = Tokenizer(models.BPE(vocabulary, []))
        tokenizer.add_special_tokens(["<|end|>", "<|pad|>"])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>", model_max_length=context
        )

    return make


@pytest.fixture
def sizes():
    """Of a model with the tokens of `byte_tokenizer`, small enough to be made in a test."""
    return {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 258,
        "bos_token_id": None,
        "eos_token_id": 0,
    }


@pytest.fixture
def saved_model(tmp_path, byte_tokenizer, sizes):
    """A directory with a random Qwen2 and its tokenizer, as a user would pass with --model."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(**sizes, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True)
    folder = tmp_path / "model"
    Qwen2ForCausalLM(config).save_pretrained(folder)
    byte_tokenizer(512).save_pretrained(folder)
    return folder


class Forks:
    """Runs command lines in processes of their own, which can be killed; see forking.py."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forking.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"},
        )
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, folder, *arguments, **request):
        """Run a command in this folder; see forking.answer for what can be asked. Adds what it printed."""
        files = {name: str(folder / f"{name}.txt") for name in ("out", "err")}
        request |= {"folder": str(folder), "arguments": [str(argument) for argument in arguments], **files}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer | {name: Path(file).read_text() for name, file in files.items()}

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def forks():
    processes = Forks()
    yield processes
    processes.close()
