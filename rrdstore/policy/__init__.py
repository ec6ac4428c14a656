"""Which commits stay: a policy of one line, the rings that follow it, and the oracle of both; pure.

Nothing here knows a store: a commit is a retention time (int microseconds, UTC) and a number.
"""

from rrdstore.policy.draw import Row, draw
from rrdstore.policy.forecast import Forecast, forecast
from rrdstore.policy.grammar import BRANCH_DEFAULT, DEFAULT, parse
from rrdstore.policy.plan import Plan, plan
from rrdstore.policy.policy import Count, Every, Last, Policy, Spread, Tier
from rrdstore.policy.reason import Reason
from rrdstore.policy.step import Step
from rrdstore.policy.tiers import Fill, Rings

__all__ = [
    "BRANCH_DEFAULT",
    "DEFAULT",
    "Count",
    "Every",
    "Fill",
    "Forecast",
    "Last",
    "Plan",
    "Policy",
    "Reason",
    "Rings",
    "Row",
    "Spread",
    "Step",
    "Tier",
    "draw",
    "forecast",
    "parse",
    "plan",
]
