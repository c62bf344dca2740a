"""What a person needs to know once everything runs: where to look, and how to sign in."""

from dataclasses import dataclass
from textwrap import indent

from dispatcher.up.machine import Running

_ANY_ORGANIZATION = "org-example"


@dataclass(frozen=True, slots=True)
class Welcome:
    """``command`` is how the program is called here; ``organization`` one that has webhooks, if any has."""

    running: Running
    command: str
    organization: str | None

    def text(self, seconds: float) -> str:
        """Several lines; ``seconds`` is how long the start took."""
        width = max(len(label) for label, _ in self._rows())
        rows = "\n".join(f"{label:<{width}}  {what}" for label, what in self._rows())
        return f"\nReady after {seconds:.0f} s.\n\n{indent(rows, '  ')}\n\nCtrl-C stops everything; the data stays.\n"

    def _rows(self) -> list[tuple[str, str]]:
        running, command = self.running, self.command
        settings = running.assembly.settings
        organization = self.organization or _ANY_ORGANIZATION
        webhooks = f"{running.url}/api/v1/organizations/{organization}/webhooks"
        rows = [("Pages", running.url)]
        if self.organization is not None:
            rows.append(("Sign in", "on the first page, as one of the demonstration's people"))
        elif settings.auth_jwks_url is None:
            rows.append(("Sign in", "with a token, which this prints:"))
            rows.append(("", f"{command} token --organization {organization}"))
        else:
            rows.append(("Sign in", f"with a token of your identity provider, {settings.auth_jwks_url}"))
        rows.append(("API", f"{running.url}/api/v1, described at {running.url}/api/openapi.json"))
        if settings.auth_jwks_url is None:
            token = f"{command} token --organization {organization}"
            rows.append(("", f'curl -H "Authorization: Bearer $({token})" {webhooks}'))
        if self.organization is None:
            rows.append(("Events", f"{command} events simulate, or {command} events publish FILE"))
        if running.clickhouse_port is not None:
            sql = "SELECT status, count() FROM messages GROUP BY status"
            rows.append(("SQL", f"curl 'http://127.0.0.1:{running.clickhouse_port}/?database=webhooks' -d '{sql}'"))
        rows.append(("Metrics", f"{running.url}/metrics"))
        rows.append(("Kafka", running.assembly.clients.bootstrap_servers))
        rows.append(("Data", str(settings.data_dir.absolute())))
        return rows
