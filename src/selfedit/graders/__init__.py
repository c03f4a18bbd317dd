"""Every grader, by name. To add one: write its file, add its row."""

from selfedit.graders.attempts import Attempts
from selfedit.graders.calibrated import Calibrated
from selfedit.graders.exact import F1, Contains, Exact
from selfedit.graders.phrase import Phrase
from selfedit.protocols import Grader

GRADERS: dict[str, Grader] = {
    "exact": Exact(),
    "contains": Contains(),
    "phrase": Phrase(),
    "f1": F1(),
    "calibrated": Calibrated(),
    "attempts": Attempts(),
}
