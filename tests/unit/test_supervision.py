import asyncio
import os
import signal

import pytest
import structlog

from dispatcher.background import Background
from dispatcher.errors import ConfigurationError, DispatcherError
from dispatcher.supervision import Ended, Part, Supervisor, supervise


class Service:
    """Writes down what is done with it."""

    def __init__(self, name: str, journal: list[str]) -> None:
        self.name = name
        self.journal = journal
        self.ended = asyncio.Event()
        self.end_with: Exception | None = None
        self.fail_to_start: Exception | None = None
        self.hangs_at_stop = False

    async def start(self) -> str:
        if self.fail_to_start is not None:
            raise self.fail_to_start
        self.journal.append(f"start {self.name}")
        return f"address of {self.name}"

    async def wait(self) -> None:
        await self.ended.wait()
        if self.end_with is not None:
            raise self.end_with

    async def stop(self) -> None:
        if self.hangs_at_stop:
            await asyncio.Event().wait()
        self.journal.append(f"stop {self.name}")


@pytest.fixture
def journal() -> list[str]:
    return []


async def test_layers_start_in_order_and_stop_in_the_opposite_order(journal: list[str]) -> None:
    async def body(supervisor: Supervisor) -> None:
        assert await supervisor.start(Service("broker", journal)) == "address of broker"
        await supervisor.start_all([Service("sender", journal)])
        supervisor.end()

    await supervise(body)
    assert journal == ["start broker", "start sender", "stop sender", "stop broker"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_everything_and_is_no_error(journal: list[str], number: signal.Signals) -> None:
    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(Service("relay", journal))
        os.kill(os.getpid(), number)

    await supervise(body)
    assert journal == ["start relay", "stop relay"]


async def test_a_signal_while_something_starts_stops_what_had_started(journal: list[str]) -> None:
    async def for_ever() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            journal.append("start was cancelled")

    async def nothing() -> None:
        journal.append("never stopped, because never started")

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(Service("broker", journal))
        await supervisor.start(Part("slow", for_ever, nothing))

    await supervise(body)
    assert journal == ["start broker", "start was cancelled", "stop broker"]


async def test_a_service_that_ends_ends_the_process_with_its_reason(journal: list[str]) -> None:
    ending = Service("matcher", journal)
    ending.end_with = DispatcherError("the broker ended by itself; start again")

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(Service("broker", journal))
        await supervisor.start(ending)
        ending.ended.set()

    with pytest.raises(DispatcherError, match="the broker ended by itself; start again"):
        await supervise(body)
    assert journal[-2:] == ["stop matcher", "stop broker"]


async def test_an_unforeseen_error_is_logged_whole_and_shown_in_one_line(journal: list[str]) -> None:
    ending = Service("matcher", journal)
    ending.end_with = ValueError("seven")

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(ending)
        ending.ended.set()

    with structlog.testing.capture_logs() as logs, pytest.raises(Ended, match="the matcher ended: ValueError: seven"):
        await supervise(body)
    assert logs[0] == {"event": "ended", "service": "matcher", "log_level": "error", "exc_info": True}


async def test_a_service_that_returns_too_early_is_an_error(journal: list[str]) -> None:
    async def body(supervisor: Supervisor) -> None:
        service = Service("relay", journal)
        service.ended.set()
        await supervisor.start(service)

    with pytest.raises(Ended, match="the relay ended by itself"):
        await supervise(body)


async def test_a_service_that_is_broken_off_from_within_is_an_error(journal: list[str]) -> None:
    class BrokenOff(Background):
        name = "recorder"

        async def _run(self) -> None:
            raise asyncio.CancelledError

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(Service("broker", journal))
        await supervisor.start(BrokenOff())

    with pytest.raises(Ended, match="recorder was broken off"):
        await supervise(body)
    assert journal == ["start broker", "stop broker"]


async def test_a_service_that_cannot_start_stops_those_of_its_layer_and_below(journal: list[str]) -> None:
    failing = Service("portal", journal)
    failing.fail_to_start = ConfigurationError("DISPATCHER_HTTP_PORT: is taken")

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(Service("broker", journal))
        await supervisor.start_all([Service("sender", journal), failing])

    with pytest.raises(ConfigurationError, match="is taken"):
        await supervise(body)
    assert journal == ["start broker", "start sender", "stop sender", "stop broker"]


async def test_an_unforeseen_error_at_the_start_names_the_service(journal: list[str]) -> None:
    failing = Service("relay", journal)
    failing.fail_to_start = OSError("no more files")

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(failing)

    with structlog.testing.capture_logs(), pytest.raises(Ended, match="the relay cannot start: OSError: no more files"):
        await supervise(body)


async def test_the_work_of_a_service_goes_on_until_it_is_stopped(journal: list[str]) -> None:
    class Worker(Service):
        async def start(self) -> str:
            self.work = asyncio.create_task(self.ended.wait())
            return await super().start()

        async def wait(self) -> None:
            await asyncio.gather(self.work)

        async def stop(self) -> None:
            assert not self.work.cancelled()
            self.ended.set()
            await self.work
            await super().stop()

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(Worker("recorder", journal))
        supervisor.end()

    await supervise(body)
    assert journal == ["start recorder", "stop recorder"]


async def test_whoever_ignores_hanging_up_goes_on(journal: list[str]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def body(supervisor: Supervisor) -> None:
            await supervisor.start(Service("relay", journal))
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)

        with structlog.testing.capture_logs() as logs:
            await supervise(body)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert [line["signal"] for line in logs] == ["SIGTERM"]


async def test_what_does_not_stop_is_given_up_in_time(journal: list[str]) -> None:
    supervisor = Supervisor()
    stuck = Service("stuck", journal)
    stuck.hangs_at_stop = True
    await supervisor.start(Service("broker", journal))
    await supervisor.start(stuck)
    started = asyncio.get_running_loop().time()
    with structlog.testing.capture_logs() as logs:
        await supervisor.stop(within=0.1)
    assert asyncio.get_running_loop().time() - started < 2
    assert journal[-1] == "stop broker"
    assert logs[0]["service"] == "stuck"


async def test_what_has_time_of_its_own_may_take_longer_than_the_others(journal: list[str]) -> None:
    class Slow(Service):
        async def stop(self) -> None:
            await asyncio.sleep(0.8)
            await super().stop()

    supervisor = Supervisor()
    await supervisor.start(Service("lock", journal))
    await supervisor.start(Slow("broker", journal), own_seconds=60)
    assert supervisor.own_seconds == 60
    with structlog.testing.capture_logs() as logs:
        await supervisor.stop(within=0.1)
    assert journal[2:] == ["stop broker", "stop lock"]
    assert logs == []


async def test_what_was_starting_may_end_what_it_began_in_its_own_time(journal: list[str]) -> None:
    async def for_ever() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.8)
            journal.append("its process has ended")

    async def nothing() -> None:
        pass

    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(Part("broker", for_ever, nothing), own_seconds=60)

    await supervise(body)
    assert journal == ["its process has ended"]


async def test_says_when_it_begins_to_stop(journal: list[str]) -> None:
    async def body(supervisor: Supervisor) -> None:
        await supervisor.start(Service("relay", journal))
        supervisor.end()

    await supervise(body, stopping=lambda _: journal.append("stopping"))
    assert journal == ["start relay", "stopping", "stop relay"]
