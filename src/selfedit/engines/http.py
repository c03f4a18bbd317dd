"""A sampler over any OpenAI-compatible endpoint: vLLM, llama.cpp, OpenAI and others. It carries judges and teachers.

What is not covered: adapters (only the base model of an endpoint is sampled) and streams. A parameter that a model does
not take is left out, or sent by its newer name. An answer without text, such as a refusal, is a blank one; thoughts are
no part of an answer, and one that did not end is asked for again with more room.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfedit.config import EndpointConfig
from selfedit.config.settings import host_of, is_loopback, key_for
from selfedit.engines.background import reason_of, run_async
from selfedit.engines.cache import AnswerCache, Body, is_text, key_of
from selfedit.engines.redact import forms, without_key
from selfedit.errors import EndpointDown, EngineError, InputError, SelfEditError, printable
from selfedit.thoughts import STILL_THINKING, UNFINISHED, without_thoughts
from selfedit.types import BASE, Failure, Prompt, Request, as_conversation

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

TRANSIENT = {408, 409, 429}
"""The statuses below 500 that say nothing about the request: timeout, conflict, too many requests."""

FIRST_WAIT, MAX_WAIT = 1.0, 300.0
"""Seconds before the second try, each further try waiting twice as long; no wait is longer, whatever is asked for."""

MAX_LOST = 8
"""After so many requests in a row without any answer the endpoint is taken to be down, and the rest is not asked."""

MAX_BYTES = 4_000_000
"""Of an answer: a hundred times the longest that models write. As JSON it can take thirty times as much in memory."""

KEY_LENGTH = 16
"""What is shorter may be a word, such as EMPTY or none: keys for servers that want any."""

MAX_SAID = 2000
"""Bytes of an error's text that are looked at."""

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


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server sent: its bytes up to a limit, and whether that was all."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    is_whole: bool


class RequestGroup:
    """What the requests of one list know of each other."""

    def __init__(self) -> None:
        self.over, self._lost = asyncio.Event(), 0

    def ended(self, answered: bool) -> None:
        """Count a request that was answered, or given up."""
        self._lost = 0 if answered else self._lost + 1
        if self._lost >= MAX_LOST:
            self.over.set()


class HttpSampler:
    """Asks `endpoint`, several requests at once; answers are kept in `cache`, where a folder is given.

    The key is read from the environment when requests are sent, and put into their headers only, if the user lets it go
    to this host (`config.settings`). `sleep` takes the seconds between tries; without one, they pass in the background.
    """

    def __init__(self, endpoint: EndpointConfig, cache: Path | None = None, sleep: Sleep | None = None) -> None:
        self.endpoint = endpoint
        self.url = endpoint.url.rstrip("/") + ("/chat/completions" if endpoint.chat else "/completions")
        self._cache, self._sleep = AnswerCache(cache), sleep
        self._refused: set[str] = set()  # parameters that this endpoint has said it does not take

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        """One text per request, without thoughts; equal requests are asked once. A Failure where every try failed, and,
        to be blamed on the model, where a thought did not end though it was given `thinking_tokens` more.

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
        prompt = {"messages": _messages(request.prompt)}
        return {
            "url": self.url,
            "model": self.endpoint.model,
            **(prompt if self.endpoint.chat else {"prompt": str(request.prompt)}),
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_new_tokens,
            "seed": request.seed % SEEDS,
        }

    def _send(self, bodies: Mapping[str, Body]) -> dict[str, str | Failure]:
        if not bodies:
            return {}
        key_for(self.endpoint)  # raises here, before anything is started
        found = run_async(partial(self._answer_all, bodies))
        failures = [one for one in found.values() if isinstance(one, Failure) and one.blame == "system"]
        if len(failures) == len(found):
            raise EndpointDown(failures[0].message)
        return found

    async def _answer_all(self, bodies: Mapping[str, Body]) -> dict[str, str | Failure]:
        """Each body's answer; as many at a time as the endpoint takes. Raises what no further request would mend."""
        call, left, found = RequestGroup(), iter(bodies.items()), dict[str, str | Failure]()

        async def work() -> None:
            for key, body in left:
                found[key] = await self._answer(call, client, key, body)

        try:
            async with self._client() as client, asyncio.TaskGroup() as group:
                for _ in range(min(self.endpoint.parallel, len(bodies))):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return found

    def _client(self) -> httpx2.AsyncClient:
        """Redirects are not followed: the key goes nowhere else. What is on this machine is asked without a proxy."""
        import httpx2

        key, parallel, host = key_for(self.endpoint), self.endpoint.parallel, host_of(self.url)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        try:
            assert httpx2.URL(self.url).host  # raises for some hosts that there cannot be
            return httpx2.AsyncClient(
                headers={**headers, **({"Authorization": f"Bearer {key}"} if key else {})},
                timeout=None,  # each try has a deadline for all of it
                limits=httpx2.Limits(max_connections=parallel, max_keepalive_connections=parallel),
                mounts={f"all://{host}": None} if is_loopback(self.url) else None,
            )
        except (ImportError, OSError, ValueError, httpx2.InvalidURL) as error:
            if isinstance(error, httpx2.InvalidURL):
                error = ValueError("an address is none")  # its own words may hold a proxy's password
            raise InputError(
                f"{self.url} cannot be asked: {error}; see HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE in the environment"
            ) from None

    async def _answer(self, call: RequestGroup, client: httpx2.AsyncClient, key: str, body: Body) -> str | Failure:
        """Try until there is an answer. The waits are drawn from the request, so that not all come back at once."""
        reason, tries = "not asked, because other requests had no answer either", 0
        while tries <= self.endpoint.retries and not call.over.is_set():
            outcome = await self._try(client, body)
            if isinstance(outcome, str) and outcome.startswith(UNFINISHED) and self.endpoint.thinking_tokens:
                room = body["max_tokens"] + self.endpoint.thinking_tokens
                outcome = await self._try(client, {**body, "max_tokens": room})
            tries += 1
            if isinstance(outcome, str):
                call.ended(answered=True)
                if outcome.startswith(UNFINISHED):  # not kept: it may be given more room another time
                    return Failure("policy", STILL_THINKING)
                self._cache.write(body, outcome)
                return outcome
            reason = outcome.reason
            if tries <= self.endpoint.retries:
                await self._wait(call, _pause(key, tries, outcome.seconds))
        call.ended(answered=False)
        return Failure(
            "system", f"no answer from {self.url} after {tries} {'try' if tries == 1 else 'tries'}: {reason}"
        )

    async def _wait(self, call: RequestGroup, seconds: float) -> None:
        if self._sleep:
            self._sleep(seconds)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(call.over.wait(), seconds)

    async def _try(self, client: httpx2.AsyncClient, body: Body) -> str | Retry:
        import httpx2

        sent = self._sent(body)
        try:
            async with asyncio.timeout(self.endpoint.timeout):
                async with client.stream("POST", self.url, content=json.dumps(sent)) as response:
                    reply = await _read(response)
        except TimeoutError:
            return Retry(f"no whole answer within {self.endpoint.timeout:g} s")
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            return Retry(self._shown(reason_of(error)))
        if reply.status in TRANSIENT or reply.status >= 500:
            return Retry(self._said(reply), _retry_after(reply.headers.get("retry-after", "")))
        if self._learns_from(reply, sent):
            return await self._try(client, body)
        if not 200 <= reply.status < 300:
            raise self._refusal(reply)
        answer, key = _completion(reply), key_for(self.endpoint)
        if isinstance(answer, str) and len(key) >= KEY_LENGTH and any(form in answer for form in forms(key)):
            return Retry("its answer repeats the key that it was sent")  # and is not kept in a run
        return answer

    def _sent(self, body: Body) -> Body:
        """The body without its url, and without what the endpoint has refused."""
        refused = self._refused
        named = {NEWER_NAMES[name] if name in refused & NEWER_NAMES.keys() else name: v for name, v in body.items()}
        return {name: value for name, value in named.items() if name != "url" and name not in refused}

    def _learns_from(self, reply: Reply, sent: Body) -> bool:
        """Whether it refuses a parameter that was sent and can be spared; from here on it is."""
        text = reply.data[:MAX_SAID].decode(errors="replace")
        if reply.status not in (400, 422) or not UNSUPPORTED.search(text):
            return False
        error = _json(reply)
        error = error.get("error") if isinstance(error, dict) else None
        named = error.get("param") if isinstance(error, dict) else None
        known = [name for name in (*NEWER_NAMES, *OPTIONAL) if name in sent]
        found = named if named in known else next((one for one in known if re.search(rf"\b{one}\b", text)), None)
        if found is None:
            return False
        if found not in self._refused:  # which another request may have learned meanwhile
            log.info("%s does not take %s: it is not sent any more", self.url, found)
        self._refused.add(found)
        return True

    def _refusal(self, reply: Reply) -> SelfEditError:
        said, variable = self._said(reply), self.endpoint.key_env
        if reply.status in (401, 403):
            if os.environ.get(variable) and not key_for(self.endpoint):
                host = host_of(self.url)
                return InputError(
                    f"{self.url} wants a key ({said}), and you have not allowed {variable} to be sent there; if that "
                    f"is who gave it to you: selfedit keys allow {variable} {host}"
                )
            return InputError(f"{self.url} wants another key ({said}); set it in the environment variable {variable}")
        if reply.status == 404:
            model = self.endpoint.model
            return InputError(f"{self.url} is not there, or has no model {model!r} ({said}); correct url or model")
        return EngineError(f"{self.url} does not take such requests ({said}); see what the server and the model allow")

    def _said(self, reply: Reply) -> str:
        return f"{reply.status}: {self._shown(_complaint(reply)) or 'no reason given'}"

    def _shown(self, text: str) -> str:
        """Somebody else's words on one short line, without our key: some servers repeat what they were given."""
        return printable(without_key(" ".join(text[:MAX_SAID].split()), key_for(self.endpoint)))[:200]


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    """As chat endpoints take them. Few go on with an answer that was begun, so how it should begin is left out."""
    said = as_conversation(prompt)
    turns = [message for user, answer in said.examples for message in (("user", user), ("assistant", answer))]
    return [{"role": role, "content": text} for role, text in [*turns, ("user", said.user)]]


async def _read(response: httpx2.Response) -> Reply:
    """As it comes, not decompressed: a small answer can be compressed from a large one, and none was asked for."""
    data = bytearray()
    async with aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            data += chunk
            if len(data) > MAX_BYTES:
                break
    return Reply(response.status_code, response.headers, bytes(data[:MAX_BYTES]), len(data) <= MAX_BYTES)


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


def _complaint(reply: Reply) -> str:
    """The message in an error's JSON, which has no one form, or else the whole text."""
    found = _json(reply)
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    return found if isinstance(found, str) else reply.data[:MAX_SAID].decode(errors="replace")


def _completion(reply: Reply) -> str | Retry:
    """The completion without thoughts, or from UNFINISHED on where it was cut off in them. A message without content is
    blank. Servers that part thoughts from the answer have them in fields of their own.
    """
    if not reply.is_whole:
        return Retry(f"its answer is longer than {MAX_BYTES / 1e6:g} MB")
    if (encoding := reply.headers.get("content-encoding", "identity").lower()) != "identity":
        return Retry(f"its answer is compressed ({printable(encoding)[:20]}), which was not asked for")
    try:
        choice = _json(reply)["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
    except (LookupError, TypeError):
        text = 0
    if isinstance(text, list):  # of parts, some of which are thoughts
        text = "".join(str(part.get("text") or "") for part in text if isinstance(part, dict))
    if not isinstance(text, str | None):
        return Retry("it answered with something that is no completion")
    if not is_text(text := text or ""):
        return Retry("its answer has half characters in it, which are no text")
    said = without_thoughts(text)
    if said is None or (not said.strip() and choice.get("finish_reason") == "length"):
        return UNFINISHED + text.strip().removeprefix(UNFINISHED)
    return said


def _json(reply: Reply) -> Any:
    try:
        return json.loads(reply.data)
    except (ValueError, RecursionError):
        return None
