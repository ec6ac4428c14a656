"""Series by their definitions: every change ever made is kept, and each bucket computed from all of them."""

from fractions import Fraction
from math import inf, isnan, nan


def held(changes, start, end):
    """(value, from, to) of what held in [start, end); changes are (rt, value), NaN unknown, in order."""
    for at, (rt, value) in enumerate(changes):
        until = changes[at + 1][0] if at + 1 < len(changes) else inf
        low, high = max(rt, start), min(until, end)
        if low < high:
            yield value, low, high


def known(changes, start, end):
    return sum(to - since for value, since, to in held(changes, start, end) if not isnan(value))


def consolidated(changes, start, end, cf):
    """The bucket [start, end) of a path, by definition."""
    before = [value for rt, value in changes if rt < end]
    if cf == "last":
        return before[-1] if before else nan
    time = known(changes, start, end)
    if 2 * time < end - start:
        return nan
    values = [value for value, _, _ in held(changes, start, end)]
    values += [value for rt, value in changes if start <= rt < end]
    values = [value for value in values if not isnan(value)]
    if cf == "min":
        return min(values)
    if cf == "max":
        return max(values)
    parts = [(value, to - since) for value, since, to in held(changes, start, end) if not isnan(value)]
    return float(sum(Fraction(value) * span for value, span in parts) / time)
