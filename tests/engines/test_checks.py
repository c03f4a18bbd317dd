"""What every engine refuses to train."""

import pytest

from selfedit.engines.checks import check_weights
from selfedit.engines.fake import FakeEngine
from selfedit.errors import InputError
from selfedit.types import BASE, Example, Job, Recipe


def job(weight, **recipe):
    return Job(BASE, (Example("q", "liked"), Example("q", "other", weight)), Recipe(**recipe), 0)


def test_negative_weights_are_followed_for_more_than_an_epoch_only_with_a_clip():
    with pytest.raises(
        InputError, match=r"2 epochs with ratio_clip = 0 .* set epochs to 1 and tokens to 0, or ratio_clip above 0"
    ):
        check_weights(job(-0.5, epochs=2, kl=0.1))
    with pytest.raises(InputError, match="90 tokens with ratio_clip = 0"):
        check_weights(job(-0.5, epochs=1, tokens=90))
    for fine in (job(-0.5, epochs=1), job(-0.5, epochs=2, ratio_clip=0.2), job(0.5, epochs=2)):
        check_weights(fine)


def test_engines_ask_for_it(tasks):
    with pytest.raises(InputError, match="negative weights"):
        FakeEngine(tasks).train([job(-0.5)])
