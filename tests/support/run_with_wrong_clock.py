"""``dispatcher`` on a machine whose clock is wrong: ``python -P run_with_wrong_clock.py FILE …``.

The seconds in FILE are added to the time of day, and may be others while it runs. Clocks that only count do not jump.
"""

import sys
import time
from pathlib import Path


def main() -> None:
    off, right = Path(sys.argv.pop(1)), time.time
    time.time = lambda: right() + float(off.read_text())
    # Whoever imports the function by its name must get this one.
    from dispatcher.cli import main as dispatcher  # noqa: PLC0415

    dispatcher()


if __name__ == "__main__":
    main()
