"""Which commits stay: a policy of one line, the rings that follow it, and the oracle of both; pure.

Nothing here knows a store: a commit is a retention time (int microseconds, UTC) and a number.
"""

from rrdstore.policy.draw import Row, draw
from rrdstore.policy.forecast import CHANGE, Forecast, TierForecast, forecast
from rrdstore.policy.grammar import BRANCH_DEFAULT, DEFAULT, parse
from rrdstore.policy.plan import Plan, plan
from rrdstore.policy.policy import Count, Every, Last, Policy, Spread, Tier
from rrdstore.policy.reason import Reason
from rrdstore.policy.replay import Gap, Replay, replay
from rrdstore.policy.spelling import PERIODS, Spelled, Spelling, spelled
from rrdstore.policy.step import UNITS, Step
from rrdstore.policy.tiers import Fill, Rings

__all__ = [
    "BRANCH_DEFAULT",
    "CHANGE",
    "DEFAULT",
    "PERIODS",
    "UNITS",
    "Count",
    "Every",
    "Fill",
    "Forecast",
    "Gap",
    "Last",
    "Plan",
    "Policy",
    "Reason",
    "Replay",
    "Rings",
    "Row",
    "Spelled",
    "Spelling",
    "Spread",
    "Step",
    "Tier",
    "TierForecast",
    "draw",
    "forecast",
    "parse",
    "plan",
    "replay",
    "spelled",
]
