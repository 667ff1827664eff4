"""`python3 -m launch`: see `launch.commands` for what it can do.

This file alone has to parse on every Python, in order to say which one is too old.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - any Python may be asked to run this
    sys.stderr.write(
        "Purser needs Python 3.11 or newer and this is Python "
        + sys.version.split()[0]
        + " ("
        + sys.executable
        + "): name another one with PYTHON=, as in `make up PYTHON=python3.12`.\n"
    )
    sys.exit(2)

from launch.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
