"""Operations: what is executed on devices, how it goes there, and what Portal tells about it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from dispatcher.events.simulator import names
from dispatcher.events.simulator.organization import Device, Named, Organization, new_id
from dispatcher.rfc3339 import rfc3339

_RESULTS = ("Completed", "Warning", "Error", "Timeout", "Cancelled")
_WEIGHTS_OF_RESULTS = (86, 5, 6, 2, 1)
_FAILURES = ("Error", "Timeout")


@dataclass(frozen=True, slots=True)
class Execution:
    """An operation on one device."""

    device: Device
    result: str
    started: datetime
    ended: datetime

    def variables(self) -> dict[str, Any]:
        """The device's entry of ``workspaces``."""
        return {
            **self.device.variables(),
            "workspace_operation_result": self.result,
            "workspace_operation_startdate": rfc3339(self.started),
            "workspace_operation_enddate": rfc3339(self.ended),
        }


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that has come to its end."""

    id: str
    type: str
    description: str
    started_by: str
    created: datetime
    started: datetime
    finished: datetime
    executions: tuple[Execution, ...]
    flow_id: str | None = None
    microservice: Named | None = None
    fra_type: str | None = None
    fra_start: datetime | None = None
    fra_end: datetime | None = None

    def _results(self) -> Counter[str]:
        return Counter(execution.result for execution in self.executions)

    @property
    def status(self) -> str:
        """How the operation ended, over all devices."""
        results = self._results()
        failed = sum(results[result] for result in _FAILURES)
        if results["Cancelled"] == len(self.executions):
            return "Cancelled"
        if failed == len(self.executions):
            return "Error"
        return "Completed with errors" if failed else "Completed"

    def _about(self) -> dict[str, Any]:
        """What the operation's event and those of its devices have in common."""
        return {
            "operation_id": self.id,
            "operation_type": self.type,
            "description": self.description,
            "started_by": self.started_by,
            "created_at": rfc3339(self.created),
            "started_at": rfc3339(self.started),
            "finished_at": rfc3339(self.finished),
        }

    def _context(self) -> dict[str, str | None]:
        return {
            "status": self.status,
            "flow_id": self.flow_id,
            "microservice_id": self.microservice.id if self.microservice else None,
            "fra_type": self.fra_type,
            "fra_start": rfc3339(self.fra_start) if self.fra_start else None,
            "fra_end": rfc3339(self.fra_end) if self.fra_end else None,
        }

    def as_operation_executed(self) -> dict[str, Any]:
        """The data of its ``operation_executed`` event."""
        results = self._results()
        return {
            **self._about(),
            **self._context(),
            "summary": {result.lower(): results[result] for result in _RESULTS},
            "total_workspaces": len(self.executions),
            "total_warnings": results["Warning"],
            "total_errors": sum(results[result] for result in _FAILURES),
            "workspaces": [execution.variables() for execution in self.executions],
        }

    def as_executed_in_workspaces(self) -> Iterator[dict[str, Any]]:
        """The data of an ``operation_executed_in_workspace`` event for each device."""
        context = {f"operation_{name}": value for name, value in self._context().items()}
        for execution in self.executions:
            yield {**self._about(), **context, **execution.variables()}

    def as_executed_microservice(self) -> Iterator[dict[str, Any]]:
        """The data of an ``executed_microservice`` event for each device."""
        microservice = self.microservice or Named("", "")
        for execution in self.executions:
            yield {
                "operation_id": self.id,
                "microservice_id": microservice.id,
                "microservice_name": microservice.name,
                "operation_startdate": rfc3339(execution.started),
                "operation_enddate": rfc3339(execution.ended),
                "operation_result": "Completed" if execution.result == "Warning" else execution.result,
                **execution.device.variables(),
            }


def simple_operation(random: Random, organization: Organization, now: datetime) -> Operation:
    """A restart or the like, on one device or many."""
    operation_type = random.choice(names.SIMPLE_OPERATIONS)
    devices = _devices(random, organization)
    return _operation(random, organization, now, operation_type, devices)


def flow(random: Random, organization: Organization, now: datetime) -> Operation:
    """A flow, run on a few devices."""
    chosen = random.choice(organization.flows)
    devices = random.sample(organization.devices, random.randint(1, 8))
    return _operation(random, organization, now, names.RUN_FLOW, devices, about=chosen.name, flow_id=chosen.id)


def microservice(random: Random, organization: Organization, now: datetime) -> Operation:
    """A microservice, run on a few devices."""
    chosen = random.choice(organization.microservices)
    devices = random.sample(organization.devices, random.randint(1, 5))
    return _operation(
        random, organization, now, names.RUN_MICROSERVICE, devices, about=chosen.name, microservice=chosen
    )


def remote_assistance(random: Random, organization: Organization, now: datetime) -> Operation:
    """Somebody helped the user of a device from afar."""
    kind = random.choice(("Attended", "Unattended"))
    ended = now - timedelta(seconds=random.uniform(0.5, 3))
    began = ended - timedelta(minutes=random.uniform(2, 40))
    return _operation(
        random,
        organization,
        now,
        names.REMOTE_ASSISTANCE,
        [random.choice(organization.devices)],
        about=kind.lower(),
        session=(began, ended),
        fra_type=kind,
        fra_start=began,
        fra_end=ended,
    )


def _devices(random: Random, organization: Organization) -> list[Device]:
    """Mostly few devices, sometimes a whole reporting group."""
    if random.random() < 0.1:
        group = random.choice(organization.groups)
        return [device for device in organization.devices if device.group is group] or [organization.devices[0]]
    return random.sample(organization.devices, random.choice((1, 1, 2, 3, 5, 8, 12, 40)))


def _operation(
    random: Random,
    organization: Organization,
    now: datetime,
    operation_type: str,
    devices: list[Device],
    *,
    about: str = "",
    session: tuple[datetime, datetime] | None = None,
    **more: Any,
) -> Operation:
    finished = now - timedelta(milliseconds=random.randint(20, 400))
    if session is None:
        session = (finished - timedelta(seconds=random.uniform(5, 60) + len(devices)), finished)
    started = session[0]
    where = devices[0].name if len(devices) == 1 else f"{len(devices)} devices"
    return Operation(
        id=f"op-{new_id(random)}",
        type=operation_type,
        description=f"{operation_type}{f' ({about})' if about else ''} on {where}",
        started_by=random.choice(organization.users).name,
        created=started - timedelta(seconds=random.uniform(0.2, 20)),
        started=started,
        finished=finished,
        executions=tuple(_execution(random, device, *session) for device in devices),
        **more,
    )


def _execution(random: Random, device: Device, earliest: datetime, latest: datetime) -> Execution:
    began, ended = sorted(random.uniform(0, 1) for _ in range(2))
    return Execution(
        device=device,
        result=random.choices(_RESULTS, _WEIGHTS_OF_RESULTS)[0],
        started=earliest + began * (latest - earliest),
        ended=earliest + ended * (latest - earliest),
    )
