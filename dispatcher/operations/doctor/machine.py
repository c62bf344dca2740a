"""This machine: is there room for what is stored."""

import shutil
from pathlib import Path

from dispatcher.operations.doctor.finding import Finding, fine, notice, problem

_GIB = 1024**3
_LITTLE = 0.15
_HARDLY_ANY = 0.05
_ENOUGH_BYTES = 100 * _GIB

_REMEDY = "free some, or shorten what is kept: retention in topics.yaml"


def check_data_dir(directory: Path) -> Finding:
    """Room on the disk of ``DATA_DIR``, which need not be there yet."""
    there = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    usage = shutil.disk_usage(there)
    return judge_room(f"disk of {directory}", usage.free, usage.total)


def judge_room(subject: str, free: int, total: int) -> Finding:
    """Whether so many bytes of so many are enough."""
    if not total:
        return problem(subject, "has no room at all: that is no disk", "put it on a disk")
    share = free / total
    found = f"{free / _GIB:,.1f} of {total / _GIB:,.1f} GiB free ({share:.0%})"
    if share < _HARDLY_ANY and free < _ENOUGH_BYTES:
        return problem(subject, found, _REMEDY)
    if share < _LITTLE and free < _ENOUGH_BYTES:
        return notice(subject, found, _REMEDY)
    return fine(subject, found)
