"""Writes the requirements files: the newest versions that pyproject.toml allows, for every platform, with hashes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")
# No index is named in the files: they work with whichever the machine is configured for.
COMPILE = (
    *("pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-header", "--no-emit-index-url"),
)


def main() -> None:
    """Write the files; the later ones follow the first, so that what is tested is what is shipped."""
    for arguments in (
        ("pyproject.toml", "--extra", "embedded", "--group", "dev", "--output-file", "requirements.txt"),
        ("pyproject.toml", "--constraint", "requirements.txt", "--output-file", "requirements-runtime.txt"),
        ("requirements-build.in", "--constraint", "requirements.txt", "--output-file", "requirements-build.txt"),
        ("requirements-deploy.in", "--constraint", "requirements.txt", "--output-file", "requirements-deploy.txt"),
    ):
        subprocess.run([UV, *COMPILE, *arguments], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
