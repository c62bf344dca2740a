from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from dispatcher.events.models import MODELS
from dispatcher.events.reading import read_event
from dispatcher.events.resources import Resources
from dispatcher.events.simulator.portal import DEFAULT_ORGANIZATIONS, Portal, Published
from dispatcher.events.simulator.running import parse_rate
from dispatcher.events.types import DESCRIPTIONS, EventType

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def _events(seed: int, count: int, start: datetime = NOW) -> list[Published]:
    portal = Portal(seed)
    return [portal.next_event(start + timedelta(seconds=number)) for number in range(count)]


EVENTS = _events(1, 1500)


def test_the_same_seed_gives_the_same_events() -> None:
    assert _events(1, 300) == EVENTS[:300]


def test_ids_do_not_depend_on_the_clock() -> None:
    later = _events(1, 300, NOW + timedelta(days=3))
    assert [each.envelope["id"] for each in later] == [each.envelope["id"] for each in EVENTS[:300]]
    assert later[0].envelope["time"] == "2026-11-26T10:15:00.000Z"


def test_another_seed_gives_other_events_of_the_same_organizations() -> None:
    assert not {each.envelope["id"] for each in _events(2, 300)} & {each.envelope["id"] for each in EVENTS}
    assert Portal(1).organizations == Portal(2).organizations


def test_ids_are_unique() -> None:
    assert len({each.envelope["id"] for each in EVENTS}) == len(EVENTS)


@pytest.mark.parametrize("seed", range(20))
def test_every_type_comes_early(seed: int) -> None:
    assert {each.event_type for each in _events(seed, 40)} == set(EventType)


def test_events_are_what_models_and_reader_expect() -> None:
    for event in EVENTS:
        value = orjson.dumps(event.envelope)
        read = read_event(value, event.event_type)
        assert read.organization_id == event.organization_id
        assert read.organization_id in DEFAULT_ORGANIZATIONS
        MODELS[event.event_type].model_validate_json(value, strict=True)


def test_every_item_can_be_chosen() -> None:
    resources = Resources()
    for resource in Portal(1).resources():
        resources.apply(resource.key, resource.model_dump_json().encode())
    for event in EVENTS:
        kind = DESCRIPTIONS[event.event_type].resource_kind
        item = read_event(orjson.dumps(event.envelope)).item
        assert resources.get(event.organization_id, kind, item) is not None


def _data(event_type: EventType) -> list[dict[str, Any]]:
    return [each.envelope["data"] for each in EVENTS if each.event_type is event_type]


def test_an_operation_s_totals_are_those_of_its_devices() -> None:
    sizes = set()
    for data in _data(EventType.OPERATION_EXECUTED):
        results = Counter(each["workspace_operation_result"] for each in data["workspaces"])
        assert data["total_workspaces"] == len(data["workspaces"]) == results.total()
        assert data["total_warnings"] == results["Warning"]
        assert data["total_errors"] == results["Error"] + results["Timeout"]
        assert data["summary"] == {
            name: results[name.capitalize()] for name in ("completed", "warning", "error", "timeout", "cancelled")
        }
        failed = data["total_errors"]
        assert (data["status"] in {"Error", "Completed with errors"}) == bool(failed)
        assert len({each["workspace_id"] for each in data["workspaces"]}) == len(data["workspaces"])
        sizes.add(len(data["workspaces"]))
    assert {1, 40} <= sizes


def test_times_are_in_order() -> None:
    for event in EVENTS:
        data = event.envelope["data"]
        if event.event_type is EventType.OPERATION_EXECUTED:
            times = [data["created_at"], data["started_at"], data["finished_at"], event.envelope["time"]]
            assert times == sorted(times)
            for each in data["workspaces"]:
                of_device = [each["workspace_operation_startdate"], each["workspace_operation_enddate"]]
                assert [data["started_at"], *of_device, data["finished_at"]] == sorted(
                    [data["started_at"], *of_device, data["finished_at"]]
                )
            if data["fra_type"]:
                assert data["started_at"] <= data["fra_start"] <= data["fra_end"] <= data["finished_at"]


def test_remote_assistance_happens() -> None:
    assert {data["fra_type"] for data in _data(EventType.OPERATION_EXECUTED)} == {None, "Attended", "Unattended"}


def test_devices_arrive_alone_or_with_their_operation_as_well() -> None:
    whole = {data["operation_id"]: data for data in _data(EventType.OPERATION_EXECUTED)}
    both, alone = 0, 0
    for device in _data(EventType.OPERATION_EXECUTED_IN_WORKSPACE)[:-10]:
        operation = whole.get(device["operation_id"])
        if operation is None:
            alone += 1
            continue
        both += 1
        (entry,) = [each for each in operation["workspaces"] if each["workspace_id"] == device["workspace_id"]]
        assert entry.items() <= device.items()
        assert device["operation_status"] == operation["status"]
    assert both
    assert alone


def test_microservices_are_executed_by_operations() -> None:
    whole = {data["operation_id"]: data for data in _data(EventType.OPERATION_EXECUTED)}
    for data in _data(EventType.EXECUTED_MICROSERVICE)[:-10]:
        assert whole[data["operation_id"]]["microservice_id"] == data["microservice_id"]


def test_actions_are_those_of_their_types() -> None:
    assert {data["action"] for data in _data(EventType.OBJECT_CREATED)} == {"Creation"}
    assert {data["action"] for data in _data(EventType.OBJECT_MODIFIED)} == {"Modification"}
    assert {data["action"] for data in _data(EventType.OBJECT_DELETED)} == {"Deletion"}


def test_organizations_can_be_chosen() -> None:
    portal = Portal(1, {"org-acme": "Acme"})
    assert {portal.next_event(NOW).organization_id for _ in range(50)} == {"org-acme"}
    assert {resource.organization_id for resource in portal.resources()} == {"org-acme"}


@pytest.mark.parametrize(("text", "rate"), [("5", 5), ("20/s", 20), ("90/m", 1.5), ("1800/h", 0.5), (" 0.5/s ", 0.5)])
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "0/s", "-1/s", "5/d", "fast", "1e3/s", "٣/s"])
def test_not_rates(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(text)
