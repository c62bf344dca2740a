"""``dispatcher`` commands with a test's settings, as a person types them on a terminal of 80 columns."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from dispatcher.settings import Settings
from tests.support.dispatcher import environment, run


@dataclass(frozen=True)
class Command:
    """Runs commands in ``directory``."""

    settings: Settings
    directory: Path

    def __call__(self, *arguments: str, **changed: object) -> subprocess.CompletedProcess[str]:
        """Run one to its end; ``changed`` replaces settings, None leaves one out."""
        settings = self.settings
        given = {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "KAFKA_PREFIX": settings.kafka_prefix,
            "TOPICS_FILE": settings.topics_file,
            "DATA_DIR": settings.data_dir,
            "CLICKHOUSE_URL": settings.clickhouse_url,
            "CLICKHOUSE_HTTP_PORT": settings.clickhouse_http_port,
            "AUTH_SECRET": settings.auth_secret and settings.auth_secret.get_secret_value(),
            "ENCRYPTION_KEY": settings.encryption_key and settings.encryption_key.get_secret_value(),
            **changed,
        }
        set_ones = {name: value for name, value in given.items() if value is not None}
        return run(*arguments, env={**environment(**set_ones), "COLUMNS": "80"}, cwd=self.directory)
