"""``python -m flightcheck.live``: the process that follows a run. `flightcheck.live.starting` starts it.

Reads its task from stdin, one JSON object in a line: ``folder`` of the run, ``process`` that trains; ``page``,
``terminal`` and ``lines`` (true where they are wanted), ``tensorboard`` (a folder), ``select`` and ``ignore`` (codes
of checks). A second line, or the end of stdin, says that the run is over. Its answers go to stdout, one JSON object a
line.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Become a process that nobody has to wait for, then follow."""
    if os.fork():
        os._exit(0)
    os.nice(19)  # what the training needs comes first
    from flightcheck.live.loop import follow

    try:
        follow(0, 1, 2)
    except Exception as e:
        if os.environ.get("FLIGHTCHECK_DEBUG"):
            raise
        print(f"flightcheck: the live view ended by a fault of ours ({type(e).__name__}: {e})", file=sys.stderr)
    os._exit(0)


if __name__ == "__main__":
    main()
