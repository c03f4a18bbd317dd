"""Every error this package raises on purpose.

SelfEditError
- InputError    something the user gave is wrong: a file, a key, a model (exit code 3)
  - ModelAbsent   the model is not here and cannot be fetched
  - OtherVersion  a run of a version that this one cannot read
- Refused       we could, but should not: another config's run, a file in the way (exit code 2)
- EngineError   an engine cannot work at all; a single item that failed is a Failure (exit code 1)
  - EndpointDown  a model elsewhere does not answer; a run stops, and can go on when it does
- BadEdit       the policy wrote something its domain cannot read; earns the floor reward
"""


class SelfEditError(Exception):
    """One sentence for a person: what is wrong, where, and what to do."""

    exit_code = 1


class InputError(SelfEditError, ValueError):
    exit_code = 3


class ModelAbsent(InputError):
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
