"""`xsadapter run` with few descriptors to have: run by test_server.py."""

import resource
import sys

from xsadapter.cli import main

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
    main(["run", *sys.argv[1:]], prog_name="xsadapter")
