"""How good an edit was (`measured`), how good it looks without a try (`proxies`), and what credit it gets (`credit`).

To add one: write its file or function, add its row. From outside this package: `package.module:name` in the config.
"""

from selfedit.rewards.credit import CREDITS
from selfedit.rewards.measured import REWARDS
from selfedit.rewards.proxies import PROXIES

__all__ = ["CREDITS", "PROXIES", "REWARDS"]
