"""A sampler over any OpenAI-compatible endpoint: vLLM, llama.cpp, OpenAI and others. It carries judges and teachers.

What is not covered: adapters (only the base model of an endpoint is sampled) and streams. A parameter that a model does
not take is left out, or sent by its newer name. An answer without text, such as a refusal, is a blank one; thoughts are
no part of an answer, and one that did not end is asked for again with more room.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfedit.config import EndpointConfig
from selfedit.engines.cache import AnswerCache, Body, key_of
from selfedit.errors import EndpointDown, EngineError, InputError, SelfEditError
from selfedit.thoughts import UNFINISHED, without_thoughts
from selfedit.types import BASE, Failure, Request

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

TRANSIENT = {408, 409, 429}
"""The statuses below 500 that say nothing about the request: timeout, conflict, too many requests."""

FIRST_WAIT, MAX_WAIT = 1.0, 300.0
"""Seconds before the second try, each further try waiting twice as long; no wait is longer, whatever is asked for."""

MAX_LOST = 8
"""After so many requests in a row without any answer the endpoint is taken to be down, and the rest is not asked."""

POLL_SECONDS = 0.5
"""Seconds: a wait without a limit can miss Ctrl-C, when that comes just before it."""

SEEDS = 2**31
"""Seeds are taken modulo this: some servers keep them in 32 bits."""

NEWER_NAMES = {"max_tokens": "max_completion_tokens"}
OPTIONAL = ("temperature", "top_p", "seed")
"""What some models refuse: OpenAI's o-series and gpt-5 take the newer name only, and no temperature."""

UNSUPPORTED = re.compile(
    r"unsupported|n[o']t support|deprecated|cannot both|extra|unknown|unrecogni[sz]ed|unexpected",
    re.IGNORECASE,
)
"""What servers say of a parameter that they do not take; they say other things of a value that is too large."""

Sleep = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Retry:
    """A try that failed in a way that may pass; `seconds` is how long the server asked to be left alone."""

    reason: str
    seconds: float | None = None


class RequestGroup:
    """What the threads that answer one list of requests know of each other."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._lock, self._lost = threading.Lock(), 0

    def ended(self, answered: bool) -> None:
        """Count a request that was answered, or given up."""
        with self._lock:
            self._lost = 0 if answered else self._lost + 1
            if self._lost >= MAX_LOST:
                self.over.set()


class HttpSampler:
    """Asks `endpoint`, several requests at once; answers are kept in `cache`, where a folder is given.

    The key is read from the environment when a request is sent, and put into the headers of requests only.
    `sleep` takes the seconds between tries; the one that is used if none is given wakes up when the call is over.
    """

    def __init__(self, endpoint: EndpointConfig, cache: Path | None = None, sleep: Sleep | None = None) -> None:
        self.endpoint = endpoint
        self.url = endpoint.url.rstrip("/") + ("/chat/completions" if endpoint.chat else "/completions")
        self._cache, self._sleep = AnswerCache(cache), sleep
        self._refused: set[str] = set()  # parameters that this endpoint has said it does not take

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        """One text per request, without thoughts; equal requests are asked once. A Failure where every try failed.

        A text that begins with `thoughts.UNFINISHED` is a thought that did not end, given `thinking_tokens` as well.

        Raises EndpointDown where every request that was sent failed, EngineError for an adapter and for requests that
        the endpoint does not take, InputError for its address, its model's name or its key.
        """
        bodies = [self._body(request) for request in requests]
        keys = [key_of(body) for body in bodies]
        distinct = dict(zip(keys, bodies, strict=True))
        cached = {key: text for key, body in distinct.items() if (text := self._cache.read(body)) is not None}
        answers = cached | self._send({key: body for key, body in distinct.items() if key not in cached})
        return [answers[key] for key in keys]

    def _body(self, request: Request) -> Body:
        if request.update != BASE:
            raise EngineError(f"{self.url} serves no adapters, so update {request.update.id} cannot be sampled there")
        prompt = {"messages": [{"role": "user", "content": request.prompt}]}
        return {
            "url": self.url,
            "model": self.endpoint.model,
            **(prompt if self.endpoint.chat else {"prompt": request.prompt}),
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_new_tokens,
            "seed": request.seed % SEEDS,
        }

    def _send(self, bodies: Mapping[str, Body]) -> dict[str, str | Failure]:
        if not bodies:
            return {}
        call = RequestGroup()
        with self._client() as client, ThreadPoolExecutor(min(self.endpoint.parallel, len(bodies))) as pool:
            try:
                futures = {key: pool.submit(self._answer, call, client, key, body) for key, body in bodies.items()}
                pending = set(futures.values())
                while pending:
                    done, pending = wait(pending, POLL_SECONDS, FIRST_EXCEPTION)
                    for future in done:
                        future.result()  # raises what no further request would mend
            finally:
                call.over.set()
                pool.shutdown(wait=False, cancel_futures=True)
        found = {key: future.result() for key, future in futures.items()}
        failures = [outcome for outcome in found.values() if isinstance(outcome, Failure)]
        if len(failures) == len(found):
            raise EndpointDown(failures[0].message)
        return found

    def _client(self) -> httpx2.Client:
        import httpx2

        key, parallel = self._key(), self.endpoint.parallel
        return httpx2.Client(
            headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})},
            timeout=self.endpoint.timeout,
            limits=httpx2.Limits(max_connections=parallel, max_keepalive_connections=parallel),
        )

    def _key(self) -> str:
        key = os.environ.get(self.endpoint.key_env, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise InputError(f"the key in {self.endpoint.key_env} has characters that no key has; copy it again")
        return key

    def _answer(self, call: RequestGroup, client: httpx2.Client, key: str, body: Body) -> str | Failure:
        """Try until there is an answer. The waits are drawn from the request, so that not all come back at once."""
        reason, tries = "not asked, because other requests had no answer either", 0
        while tries <= self.endpoint.retries and not call.over.is_set():
            outcome = self._try(call, client, body)
            if isinstance(outcome, str) and outcome.startswith(UNFINISHED) and self.endpoint.thinking_tokens:
                room = body["max_tokens"] + self.endpoint.thinking_tokens
                outcome = self._try(call, client, {**body, "max_tokens": room})
            tries += 1
            if isinstance(outcome, str):
                if not outcome.startswith(UNFINISHED):  # it may be given more room another time
                    self._cache.write(body, outcome)
                call.ended(answered=True)
                return outcome
            reason = outcome.reason
            if tries <= self.endpoint.retries:
                (self._sleep or call.over.wait)(_pause(key, tries, outcome.seconds))
        call.ended(answered=False)
        return Failure("system", f"no answer from {self.url} after {tries} tries: {reason}")

    def _try(self, call: RequestGroup, client: httpx2.Client, body: Body) -> str | Retry:
        import httpx2

        sent = self._sent(body)
        try:
            response = client.post(self.url, content=json.dumps(sent))
        except httpx2.RequestError as error:
            return Retry(str(error) or type(error).__name__)
        if response.status_code in TRANSIENT or response.status_code >= 500:
            return Retry(self._said(response), _retry_after(response.headers.get("retry-after", "")))
        if self._learns_from(response, sent):
            return self._try(call, client, body)
        if not response.is_success:
            call.over.set()  # at once: the other requests would be refused as well
            raise self._refusal(response)
        text = _text_of(response)
        return Retry("it answered with something that is no completion") if text is None else text

    def _sent(self, body: Body) -> Body:
        """The body without its url, and without what the endpoint has refused."""
        refused = self._refused
        named = {NEWER_NAMES[name] if name in refused & NEWER_NAMES.keys() else name: v for name, v in body.items()}
        return {name: value for name, value in named.items() if name != "url" and name not in refused}

    def _learns_from(self, response: httpx2.Response, sent: Body) -> bool:
        """Whether it refuses a parameter that was sent and can be spared; from here on it is."""
        if response.status_code not in (400, 422) or not UNSUPPORTED.search(response.text):
            return False
        error = _json(response)
        error = error.get("error") if isinstance(error, dict) else None
        named = error.get("param") if isinstance(error, dict) else None
        known = [name for name in (*NEWER_NAMES, *OPTIONAL) if name in sent]
        found = (
            named if named in known else next((one for one in known if re.search(rf"\b{one}\b", response.text)), None)
        )
        if found is None:
            return False
        log.info("%s does not take %s: it is not sent any more", self.url, found)
        self._refused.add(found)
        return True

    def _refusal(self, response: httpx2.Response) -> SelfEditError:
        said, name = self._said(response), self.endpoint.key_env
        if response.status_code in (401, 403):
            return InputError(f"{self.url} wants another key ({said}); set it in the environment variable {name}")
        if response.status_code == 404:
            model = self.endpoint.model
            return InputError(f"{self.url} is not there, or has no model {model!r} ({said}); correct url or model")
        return EngineError(f"{self.url} does not take such requests ({said}); see what the server and the model allow")

    def _said(self, response: httpx2.Response) -> str:
        """The status and the server's own words in one short line. Some servers repeat the key that they were given."""
        text, key = " ".join(_complaint(response).split()), self._key()
        return f"{response.status_code}: {(text.replace(key, '...') if key else text)[:200] or 'no reason given'}"


def _pause(key: str, tries: int, retry_after: float | None) -> float:
    """What the server asked for, or exponential back-off of which a random half is left out."""
    if retry_after is not None:
        return min(retry_after, MAX_WAIT)
    jitter = random.Random(f"{key}:{tries}").uniform(0.5, 1.0)
    return float(min(FIRST_WAIT * 2 ** (tries - 1), MAX_WAIT) * jitter)


def _retry_after(header: str) -> float | None:
    """Retry-After: a number of seconds or a date (RFC 9110, 10.2.3). None where it is neither."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _complaint(response: httpx2.Response) -> str:
    """The message in an error's JSON, which has no one form, or else the whole text."""
    found = _json(response)
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    return found if isinstance(found, str) else response.text


def _text_of(response: httpx2.Response) -> str | None:
    """The completion without thoughts, or from UNFINISHED on where it was cut off in them. None where the body is none;
    a message without content is blank. Servers that part thoughts from the answer have them in fields of their own.
    """
    try:
        choice = _json(response)["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
    except (LookupError, TypeError):
        return None
    if isinstance(text, list):  # of parts, some of which are thoughts
        text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
    if text is not None and not isinstance(text, str):
        return None
    said = without_thoughts(text or "")
    if said is None or (not said.strip() and choice.get("finish_reason") == "length"):
        return UNFINISHED + (text or "").strip().removeprefix(UNFINISHED)
    return said


def _json(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None
