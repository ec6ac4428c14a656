"""`python -m xsadapter.tools MODE ...`: the same as the program `xsadapter-xenstore`."""

import sys

from xsadapter.tools import main

if __name__ == "__main__":
    sys.argv[0] = "xsadapter-xenstore"
    main()
