"""The errors that people see, and what the command line turns them into.

DispatcherError
├── ConfigurationError   a setting or a file is wrong: the message names it and says what to put there
├── KafkaUnavailable     no broker answers
│   └── NotAllowed       one does, and refuses its user what is asked
├── ClickHouseUnavailable  no ClickHouse answers
└── EmbeddedKafkaError   the embedded broker cannot start
"""


class DispatcherError(Exception):
    """Ends a command with its message as one clear line and exit status 1."""


class ConfigurationError(DispatcherError):
    """A setting, or a file that a setting names, cannot be used."""


class KafkaUnavailable(DispatcherError):
    """No broker answers at the configured address."""


class NotAllowed(KafkaUnavailable):
    """Kafka answers, and its user may not do what is asked; the message names the ACL that is missing."""


class ClickHouseUnavailable(DispatcherError):
    """No ClickHouse server answers at the configured URL."""


class EmbeddedKafkaError(DispatcherError):
    """The embedded broker cannot be installed, started or kept running."""
