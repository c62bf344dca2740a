"""An event as the dispatcher sees it: what it is about, and the values that take its variables' places in messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dispatcher.events.text import escaped, text_of
from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.observability.trace_context import TraceContext

MAX_IDENTIFIER_CHARACTERS = 1_024
"""A longer one identifies nothing: it travels in the headers of records, which have to fit beside all else there."""

OF_THE_WORKSPACE = frozenset(
    {
        "workspace_id",
        "workspace_name",
        "workspace_last_user",
        "workspace_reporting_group_id",
        "workspace_reporting_group_name",
        "workspace_operation_result",
        "workspace_operation_startdate",
        "workspace_operation_enddate",
    }
)
"""A device's variables that its own entry of ``workspaces`` holds; all others are its operation's."""

OF_THE_OPERATION = {
    "operation_status": "status",
    "operation_flow_id": "flow_id",
    "operation_microservice_id": "microservice_id",
    "operation_fra_type": "fra_type",
    "operation_fra_start": "fra_start",
    "operation_fra_end": "fra_end",
}
"""A device's variables that its operation has under another name."""

_DISPLAY_NAMES = {event_type: escaped(about.display_name) for event_type, about in DESCRIPTIONS.items()}


class Variables(dict[str, bytes]):
    """Name (without #) → the value's text, escaped for the inside of a JSON string, in UTF-8.

    Texts are made when they are first asked for and kept, so that all webhooks of an event share the work. A name
    that the event has no value for has the empty text.
    """

    __slots__ = ("_data", "_time", "_type")

    def __init__(self, event_type: EventType, time: str, data: Mapping[str, Any]) -> None:
        super().__init__()
        self._type = event_type
        self._time = time
        self._data = data

    def __missing__(self, name: str) -> bytes:
        if name == "event_type":
            text = _DISPLAY_NAMES[self._type]
        elif name == "timestamp":
            text = escaped(self._time)
        else:
            text = escaped(text_of(self._data.get(name)))
        self[name] = text
        return text


class _DeviceVariables(Variables):
    """The variables of one of an operation's devices; what it has in common with the others is made once."""

    __slots__ = ("_operation",)

    def __init__(self, operation: Variables, workspace: Mapping[str, Any]) -> None:
        super().__init__(EventType.OPERATION_EXECUTED_IN_WORKSPACE, "", workspace)
        self._operation = operation

    def __missing__(self, name: str) -> bytes:
        if name == "event_type" or name in OF_THE_WORKSPACE:
            return super().__missing__(name)
        text = self._operation[OF_THE_OPERATION.get(name, name)]
        self[name] = text
        return text


@dataclass(slots=True)
class Event:
    """Something that happened in an organization.

    ``time`` is the CloudEvents ``time`` as it stands, empty where there was none. ``operation_id`` and
    ``workspace_id`` are there for ``operation_executed_in_workspace``, and empty for types that are not about an
    operation on a device.
    """

    type: EventType
    id: str
    source: str
    time: str
    organization_id: str
    data: dict[str, Any]
    operation_id: str = ""
    workspace_id: str = ""
    incomplete: str = ""
    """Which of an operation's devices had to be left out and why; empty when none had."""
    trace: TraceContext | None = None
    _variables: Variables | None = field(default=None, repr=False, compare=False)

    @property
    def variables(self) -> Variables:
        """The values of the template variables."""
        if self._variables is None:
            self._variables = Variables(self.type, self.time, self.data)
        return self._variables

    @property
    def item(self) -> str:
        """What webhooks' items are matched on: the alert's, microservice's, entity type's or operation type's id."""
        return text_of(self.data.get(DESCRIPTIONS[self.type].item_variable))

    def devices(self) -> Iterator["Event"]:
        """What an executed operation did on each of its devices; nothing for other events.

        Each is an event of type ``operation_executed_in_workspace`` with the operation's ``id``, ``source`` and
        ``time``; its ``data`` are the device's entry of ``workspaces``.
        """
        if self.type is not EventType.OPERATION_EXECUTED:
            return
        operation = self.variables
        for workspace in self.data.get("workspaces") or ():
            yield Event(
                EventType.OPERATION_EXECUTED_IN_WORKSPACE,
                self.id,
                self.source,
                self.time,
                self.organization_id,
                workspace,
                self.operation_id,
                workspace["workspace_id"],
                trace=self.trace,
                _variables=_DeviceVariables(operation, workspace),
            )
