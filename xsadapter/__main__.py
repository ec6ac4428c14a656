"""`python -m xsadapter`: the same as the program `xsadapter`."""

from xsadapter.cli import main

if __name__ == "__main__":
    main(prog_name="xsadapter")
