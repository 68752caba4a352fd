"""``python -m flightcheck``."""

import sys

from flightcheck.cli.main import entry

if __name__ == "__main__":
    sys.exit(entry())
