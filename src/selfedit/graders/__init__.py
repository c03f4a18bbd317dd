"""Every grader, by name. To add one: write its file, add its row."""

from selfedit.graders.attempts import Attempts
from selfedit.graders.calibrated import Calibrated
from selfedit.graders.exact import F1, Contains, Exact
from selfedit.protocols import Grader

GRADERS: dict[str, Grader] = {
    "exact": Exact(),
    "contains": Contains(),
    "f1": F1(),
    "calibrated": Calibrated(),
    "attempts": Attempts(),
}
