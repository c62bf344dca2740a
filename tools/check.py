"""Everything that `make check` holds against the tree; all of it runs, then the first failure decides.

Nothing here needs a network.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import frontend

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
COMMANDS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("dispatcher", "schemas", "check"),
)
FRONTEND = (
    ("node", "node_modules/@biomejs/biome/bin/biome", "ci", "--error-on-warnings", "--colors=off"),
    ("node", "node_modules/typescript/bin/tsc"),
    ("node", "--test", "--test-reporter=dot"),
)
PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


def of_roles() -> list[Requirement]:
    """What pyproject.toml asks for to run the roles against servers."""
    return [Requirement(line) for line in _pyproject()["project"]["dependencies"]]


def declared() -> list[Requirement]:
    """What pyproject.toml asks for, the tools of developers included."""
    content = _pyproject()
    project = content["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
        *(line for group in content["dependency-groups"].values() for line in group),
    ]
    return [Requirement(line) for line in lines]


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins_of(text: str) -> dict[str, list[str]]:
    """The versions that a requirements file chooses, by name; several where they differ by platform."""
    pins: dict[str, list[str]] = {}
    for line in text.splitlines():
        if (pin := PIN.match(line)) is not None:
            pins.setdefault(canonicalize_name(pin[1]), []).append(pin[2])
    return pins


def stale_lock() -> list[str]:
    """Why requirements.txt is not what pyproject.toml asks for."""
    text = (ROOT / "requirements.txt").read_text()
    pins = pins_of(text)
    problems = [
        f"requirements.txt has no {requirement}; run make lock"
        for requirement in declared()
        if not any(
            requirement.specifier.contains(version) for version in pins.get(canonicalize_name(requirement.name), ())
        )
    ]
    if "://" in text:
        problems.append("requirements.txt names a host; write it with make lock")
    return problems


def stale_runtime_lock() -> list[str]:
    """Why requirements-runtime.txt, which the image is made from, is not what roles need of requirements.txt."""
    text = (ROOT / "requirements-runtime.txt").read_text()
    tested, shipped = pins_of((ROOT / "requirements.txt").read_text()), pins_of(text)
    problems = [
        f"requirements-runtime.txt has {name} {', '.join(versions)} and requirements.txt "
        f"{', '.join(tested.get(name, ['none']))}; run make lock"
        for name, versions in shipped.items()
        if not set(versions) <= set(tested.get(name, ()))
    ]
    problems += [
        f"requirements-runtime.txt has no {name}; run make lock" for name in sorted(needed(of_roles()) - shipped.keys())
    ]
    if "://" in text:
        problems.append("requirements-runtime.txt names a host; write it with make lock")
    return problems


def needed(requirements: Iterable[Requirement]) -> set[str]:
    """The names of these packages and of all that they need on this machine, by what is installed."""
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(requirement, frozenset[str]()) for requirement in requirements]
    while waiting:
        requirement, extras = waiting.pop()
        environments = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is not None and not any(requirement.marker.evaluate(each) for each in environments):
            continue
        name = canonicalize_name(requirement.name)
        wanted = frozenset(requirement.extras)
        if (name, wanted) not in seen:
            seen.add((name, wanted))
            found.add(name)
            waiting += [(Requirement(line), wanted) for line in requires(name) or ()]
    return found


def hosts_in_npm_lock() -> list[str]:
    """Why npm's lock would not work with another registry, or lacks a hash."""
    packages = json.loads((frontend.FRONTEND / "package-lock.json").read_text())["packages"]
    return [
        f"frontend/package-lock.json: {name} {problem}"
        for name, package in packages.items()
        if name
        for problem, found in (("names a host", "resolved" in package), ("has no hash", "integrity" not in package))
        if found
    ]


def passes(command: Sequence[str], cwd: Path = ROOT) -> bool:
    """Run a program of ``.venv``; whether it found nothing."""
    print("$", *command, f"(in {cwd.name})" if cwd != ROOT else "", flush=True)
    return subprocess.run([BIN / command[0], *command[1:]], cwd=cwd, check=False).returncode == 0


def main() -> None:
    """Run all checks; exit non-zero when one fails."""
    failed = [" ".join(command) for command in COMMANDS if not passes(command)]
    try:
        frontend.install()
    except frontend.Failed as reason:
        failed.append(str(reason))
    else:
        failed += [" ".join(command) for command in FRONTEND if not passes(command, frontend.FRONTEND)]
    problems = [*stale_lock(), *stale_runtime_lock(), *hosts_in_npm_lock()]
    for problem in problems:
        print(problem)
    if problems:
        failed.append("the locks")
    if failed:
        sys.exit(f"error: failed: {', '.join(failed)}")
    print("All checks passed.")


if __name__ == "__main__":
    main()
