"""The three-way merge of dicts of places: what a merge of two branches must come to."""

Values = dict[str, bytes]


def merged_values(base: Values, ours: Values, theirs: Values) -> Values | None:
    """The three-way merge of three dicts of places; None for a conflict."""
    for left, right in ((ours, theirs), (theirs, ours)):
        for path in base:
            if path not in left and path in right and path.count("/") == 1:
                below = path + "/"
                was = {known: value for known, value in base.items() if known.startswith(below)}
                if {known: value for known, value in right.items() if known.startswith(below)} != was:
                    # One side has removed a directory in which the other has changed something.
                    return None
    found: Values = {}
    for path in base.keys() | ours.keys() | theirs.keys():
        was, left_value, right_value = base.get(path), ours.get(path), theirs.get(path)
        if left_value == was:
            left_value = right_value
        elif right_value not in {was, left_value}:
            return None
        if left_value is not None:
            found[path] = left_value
    return found
