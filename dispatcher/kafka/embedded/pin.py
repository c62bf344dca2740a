"""Writes ``jars.txt`` anew: ``python -m dispatcher.kafka.embedded.pin > dispatcher/kafka/embedded/jars.txt``.

To move to another Kafka, change the versions here, run that, and let the tests of the embedded broker pass.
"""

import hashlib
import sys

_KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
_LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"  # of the version of log4j-core that Kafka asks for


def main() -> None:
    """Resolve what Kafka needs at run time and print each jar with its checksum."""
    import jgo  # noqa: PLC0415  # an optional dependency

    jars = {
        f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}": artifact.resolve()
        for root in (_KAFKA, _LOGGING)
        for artifact in jgo.resolve(root)
    }
    lines = [
        "# What Apache Kafka needs: group:artifact:version and SHA-256. Written by dispatcher.kafka.embedded.pin.",
        *(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for name, path in sorted(jars.items())),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
