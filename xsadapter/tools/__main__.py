"""`python -m xsadapter.tools MODE ...`: the same as the program `xsadapter-xenstore`."""

from xsadapter.tools import main

if __name__ == "__main__":
    main()
