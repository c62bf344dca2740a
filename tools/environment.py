"""Makes `.venv` from the requirements files, with the project in it, and builds the frontend with what it holds.

Does nothing when both are up to date.

Runs on the interpreter that the machine has, before anything is installed: the standard library alone, and no syntax
that keeps an old Python 3 from saying that it is too old.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)
KNOWN = tuple(f"python3.{minor}" for minor in (14, 13, 12, 11))
BUILD, LOCK, PROJECT = (ROOT / name for name in ("requirements-build.txt", "requirements.txt", "pyproject.toml"))


class Failed(Exception):
    """Ends the program with its message."""


def interpreter() -> str:
    """A Python that is new enough: the one that runs this, or a newer one on the PATH."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for name in KNOWN:
        found = shutil.which(name)
        if found is not None:
            return found
    running = ".".join(str(part) for part in sys.version_info[:2])
    raise Failed(
        f"Python 3.11 or newer is needed and {sys.executable} is {running}: install one, "
        "or name it with `make PYTHON=/path/to/python3 …`"
    )


def wanted() -> str:
    """What the environment should be made from."""
    digest = hashlib.sha256(str(VENV).encode())
    for path in (BUILD, LOCK, PROJECT):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def run(*command: object) -> None:
    """Run a step; what it prints is shown where it fails."""
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise Failed(f"`{' '.join(str(part) for part in command)}` failed (status {done.returncode}); see above")


def make(stamp: Path, digest: str) -> None:
    """Install everything, by hash, and remember what it was made from."""
    python = VENV / "bin" / "python"
    print("Making the environment in .venv …", flush=True)
    # From nothing: packages that gave way to others may have shared files with them.
    run(interpreter(), "-m", "venv", "--clear", VENV)
    run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", BUILD)
    uv = VENV / "bin" / "uv"
    run(uv, "pip", "install", "--quiet", "--require-hashes", "-r", LOCK)
    run(uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    stamp.write_text(digest)


def main() -> None:
    """Make the environment and the frontend, unless they are there."""
    stamp = VENV / ".made-from"
    digest = wanted()
    try:
        if not (stamp.exists() and stamp.read_text() == digest):
            make(stamp, digest)
    except Failed as failed:
        sys.exit(f"error: {failed}")
    # In the environment's own Python: what it builds with is there.
    built = subprocess.run([VENV / "bin" / "python", "-m", "tools.frontend"], cwd=ROOT, check=False)
    sys.exit(built.returncode)


if __name__ == "__main__":
    main()
