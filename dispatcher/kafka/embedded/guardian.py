"""Runs a program that must not outlive the process that started this script, however that process ends.

A script of its own, run by ``python -I -S``: it imports nothing but the standard library, so that it is small.

    guardian.py GRACE LOCK COMMAND…

COMMAND runs until it ends, or until this script's standard input is closed or its parent is gone; then it is asked
to end, and after GRACE seconds killed. It inherits the file descriptor LOCK, and so a lock that is held through it
lasts until everything has ended. Its process id is the one line printed.
"""

import os
import select
import subprocess
import sys

_LOOK_EVERY = 0.5


def main(grace: float, lock: int, command: list[str]) -> int:
    """Run ``command``; its exit status, negative for a signal."""
    parent = os.getppid()
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, pass_fds=(lock,))
    sys.stdout.write(f"{program.pid}\n")
    sys.stdout.close()
    while program.poll() is None:
        closed, _, _ = select.select([0], [], [], _LOOK_EVERY)
        # A process that the parent forked can keep the pipe open, so that alone is not enough to know.
        if closed or os.getppid() != parent:
            program.terminate()
            try:
                return program.wait(grace)
            except subprocess.TimeoutExpired:
                program.kill()
                return program.wait()
    return program.returncode


if __name__ == "__main__":
    sys.exit(abs(main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
