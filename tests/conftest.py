"""What all tests share: how hypothesis runs.

In CI the examples are the same each time, so that a red run is a change's own; elsewhere they are new each time.
No deadline: the machine may be busy, and no test of ours judges by time.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "here")
