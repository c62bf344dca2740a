"""What ``/metrics`` says, to be asked by name and labels."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Samples = Mapping[str, Mapping[Labels, float]]


def samples(text: str) -> Samples:
    """Every sample: by its name, then by its labels. The same series twice is an error."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            of_name = found.setdefault(sample.name, {})
            labels = frozenset(sample.labels.items())
            assert labels not in of_name, f"{sample.name}{sample.labels} stands there twice"
            of_name[labels] = sample.value
    return found


def total(found: Samples, name: str, **labels: str) -> float:
    """The sum of the samples that have these labels, whichever others they have."""
    return sum(value for own, value in found.get(name, {}).items() if labels.items() <= dict(own).items())
