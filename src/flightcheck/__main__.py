"""``python -m flightcheck``."""

import sys

from flightcheck.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
