"""Whether containers can be started here."""

import functools
import subprocess
import sys


@functools.cache
def docker_runs() -> bool:
    """Whether a Docker answers."""
    # In a process of its own: where Docker does not answer, its client leaves a socket open, which is a warning.
    asking = [sys.executable, "-c", "import docker; docker.from_env(timeout=5).ping()"]
    return subprocess.run(asking, capture_output=True, check=False).returncode == 0
