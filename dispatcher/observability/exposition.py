"""What ``/metrics`` answers: this process's metrics, and those of the processes beside it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import aiohttp
from prometheus_client import REGISTRY, CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from dispatcher.observability.metrics import PROCESS_UP

_ANSWERS_WITHIN = aiohttp.ClientTimeout(total=2.0)

Beside = Callable[[], Mapping[str, str | None]]
"""The processes beside this one: by name, the URL of their metrics while they run."""


@dataclass(frozen=True, slots=True)
class Exposition:
    """In Prometheus's text format.

    What other processes tell has the label ``process``: as series of their own, their counters may begin anew when one
    of them is replaced. Nothing is shared between processes, so that counting costs no more than it does in one.
    """

    beside: Beside = dict

    async def text(self) -> bytes:
        """Everything; a process that does not answer is left out, and ``dispatcher_process_up`` says so."""
        addresses = self.beside()
        if not addresses:
            return generate_latest(REGISTRY)
        async with aiohttp.ClientSession(timeout=_ANSWERS_WITHIN, trust_env=False) as session:
            told = await asyncio.gather(*(_asked(session, address) for address in addresses.values()))
        PROCESS_UP.clear()
        for name, answer in zip(addresses, told, strict=True):
            PROCESS_UP.labels(name).set(answer is not None)
        return merged(REGISTRY, {name: answer for name, answer in zip(addresses, told, strict=True) if answer})


def merged(own: CollectorRegistry, others: Mapping[str, str]) -> bytes:
    """The metrics of a registry and of other processes, whose texts are given by name, as one text."""
    families = {family.name: family for family in own.collect()}
    for process, text in others.items():
        for family in text_string_to_metric_families(text):
            into = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            into.samples += [sample._replace(labels={**sample.labels, "process": process}) for sample in family.samples]
    return generate_latest(_Families(families.values()))


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


async def _asked(session: aiohttp.ClientSession, address: str | None) -> str | None:
    if address is None:
        return None
    try:
        async with session.get(address) as response:
            return await response.text() if response.ok else None
    except (aiohttp.ClientError, TimeoutError):
        return None
