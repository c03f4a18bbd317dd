"""Every error this package raises on purpose.

SelfEditError
- InputError    something the user gave is wrong: a file, a key, a model (exit code 3)
  - ModelAbsent   the model is not here and cannot be fetched
  - NoRun         a folder that is none of ours
  - OtherVersion  a run of a version that this one cannot read
- Refused       we could, but should not: another config's run, a file in the way (exit code 2)
- EngineError   an engine cannot work at all; a single item that failed is a Failure (exit code 1)
  - EndpointDown  a model elsewhere does not answer; a run stops, and can go on when it does
- BadEdit       the policy wrote something its domain cannot read; earns the floor reward
"""

import re
from collections.abc import Callable

_STEERS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
"""Control characters, marks that reverse the writing or have no width, halves of characters. Not the two joiners of
emoji and of many scripts (U+200C, U+200D)."""


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def printable(text: str, keep: str = "", escaped: Callable[[str], str] = _escaped) -> str:
    r"""On one line, with what would steer a terminal, reverse the writing or not be encoded as its escape: \x1b.

    The characters of `keep` stay as they are.
    """
    return _STEERS.sub(lambda found: found[0] if found[0] in keep else escaped(found[0]), text)


class SelfEditError(Exception):
    """One sentence for a person: what is wrong, where, and what to do. Whatever it quotes, it can be printed."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class InputError(SelfEditError, ValueError):
    exit_code = 3


class ModelAbsent(InputError):
    pass


class NoRun(InputError):
    pass


class OtherVersion(InputError):
    pass


class Refused(SelfEditError):
    exit_code = 2


class EngineError(SelfEditError, RuntimeError):
    pass


class EndpointDown(EngineError):
    pass


class BadEdit(SelfEditError, ValueError):
    pass
