"""Processes that get a share of a core each, as if the machine were slower and had more cores.

With few cores two processes only share them, and how a rate grows with processes cannot be seen. Where each may use a
tenth of a core, ten do not get into each other's way.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_PERIOD_US = 100_000
_V1 = Path("/sys/fs/cgroup/cpu")
_V2 = Path("/sys/fs/cgroup")
_OF_PROCESSORS = re.compile(r"^\d+:(?:\S*\bcpu\b\S*)?:(/.*)$", re.MULTILINE)


class NoShares(Exception):
    """This machine does not let us say how much of a core a process gets; the message says what it needs."""


@contextmanager
def share_of_a_core(processes: Iterable[int], share: float) -> Iterator[None]:
    """Give each of these processes, by id, so much of a core while the block runs.

    Linux's control groups do it: https://docs.kernel.org/scheduler/sched-bwc.html.

    Raises:
        NoShares: there are none, or we may not make one.
        ProcessLookupError: one has ended.
    """
    with ExitStack() as stack:
        for process in processes:
            stack.enter_context(_limited(process, round(_PERIOD_US * share)))
        yield


@contextmanager
def _limited(process: int, quota_us: int) -> Iterator[None]:
    first_version = (_V1 / "cpu.cfs_quota_us").exists()
    groups = _V1 if first_version else _V2
    own = groups / _group_of(process).lstrip("/")
    try:
        group = Path(tempfile.mkdtemp(prefix="dispatcher-bench-", dir=groups))
    except OSError as error:
        raise NoShares(f"control groups cannot be made ({error}): be root, on Linux") from error
    try:
        try:
            if first_version:
                (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (group / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
        except OSError as error:
            raise NoShares(f"a control group does not take a share of processors ({error})") from error
        (group / "cgroup.procs").write_text(str(process))
        yield
    finally:
        with suppress(ProcessLookupError):
            (own / "cgroup.procs").write_text(str(process))
        group.rmdir()


def _group_of(process: int) -> str:
    try:
        found = _OF_PROCESSORS.search(Path(f"/proc/{process}/cgroup").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NoShares("there are no control groups: they are Linux's") from error
    return found[1] if found else "/"
