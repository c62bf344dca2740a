"""Settings, ``topics.yaml``, and the secrets: all that can be checked without asking anybody but a key server."""

import difflib
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta

import aiohttp
from dotenv import dotenv_values
from pydantic import ValidationError

from dispatcher.errors import ConfigurationError
from dispatcher.kafka.topics import Topics
from dispatcher.local_secrets import LocalSecrets
from dispatcher.operations.doctor.finding import Finding, fine, notice, problem
from dispatcher.operations.wording import counted, span
from dispatcher.portal.api.problems import Problem
from dispatcher.portal.auth import JWKS_ALGORITHMS, check_authentication_settings
from dispatcher.portal.jwks import Jwks
from dispatcher.settings import PREFIX, Settings, env_file_readable
from dispatcher.validation import problems_of
from dispatcher.webhooks.vault import HOW_TO_MAKE_A_KEY, Vault

_OF_TESTS = f"{PREFIX}TEST_"


def read_settings() -> tuple[Settings | None, list[Finding]]:
    """The settings, and what is wrong with each of them; None where they cannot be used."""
    try:
        return Settings(), []
    except ValidationError as error:
        return None, [
            problem(_variable(where), what, f"correct or unset {_variable(where)}")
            for where, what in problems_of(error)
        ]


def _variable(where: tuple[int | str, ...]) -> str:
    return f"{PREFIX}{'_'.join(str(part) for part in where[:1]).upper()}"


def environment_with_file(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that the settings are read from, the ``.env`` file's included.

    Raises:
        ConfigurationError: that file cannot be read.
    """
    file = Settings.model_config.get("env_file")
    with env_file_readable():
        from_file = dotenv_values(str(file)) if file else {}
    return {**{name: value or "" for name, value in from_file.items()}, **environment}


def check_names(environment: Iterable[str]) -> list[Finding]:
    """Variables with our prefix that are no settings: a misspelt one has no effect."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    given = {name for name in environment if name.startswith(PREFIX) and not name.startswith(_OF_TESTS)}
    findings = []
    for name in sorted(given - known):
        similar = difflib.get_close_matches(name, known, n=1)
        findings.append(
            notice(name, "is no setting, and has no effect", f"set {similar[0]}" if similar else f"unset {name}")
        )
    if given & known:
        findings.append(fine("settings", f"{counted(len(given & known), 'variable')} set, all can be read"))
    else:
        findings.append(fine("settings", "no variable is set: the defaults hold"))
    return findings


def check_schedule(topics: Topics) -> Finding:
    """What ``topics.yaml`` says of retries."""
    whole = span(sum(topics.schedule.delays, timedelta()).total_seconds())
    attempts = counted(topics.schedule.attempts, "attempt")
    return fine("retry schedule", f"{attempts}, the last {whole} after the first")


def check_encryption_key(secrets: LocalSecrets, *, embedded: bool) -> tuple[Vault | None, Finding]:
    """What decrypts webhooks, if it can be used."""
    key = secrets.encryption_key
    if key is None:
        if embedded:
            return None, notice("encryption key", "there is none yet", "`dispatcher up` makes one when it first starts")
        return None, problem(
            "encryption key",
            "DISPATCHER_ENCRYPTION_KEY is not set, and webhooks are kept encrypted",
            f"set it to the installation's key; a new installation makes one with {HOW_TO_MAKE_A_KEY}",
        )
    try:
        vault = Vault(key.get_secret_value())
    except ConfigurationError as error:
        return None, problem("encryption key", str(error), "set DISPATCHER_ENCRYPTION_KEY to the installation's keys")
    keys = len([part for part in key.get_secret_value().split(",") if part.strip()])
    return vault, fine("encryption key", f"{counted(keys, 'key')}, the first encrypts")


async def check_authentication(settings: Settings, *, embedded: bool) -> Finding:
    """How the portal verifies tokens; a provider of keys is asked for them."""
    try:
        check_authentication_settings(settings)
    except ConfigurationError as error:
        if embedded and settings.auth_secret is None:
            return notice("sign-in", "there is no secret yet", "`dispatcher up` makes one when it first starts")
        return problem("sign-in", "the portal cannot start", str(error))
    if settings.auth_jwks_url is None:
        return fine("sign-in", "tokens are verified with a secret (HS256)")
    url = str(settings.auth_jwks_url)
    async with aiohttp.ClientSession() as session:
        keys = Jwks(url, session, time.monotonic)
        try:
            found = [name for name in sorted(JWKS_ALGORITHMS) if await keys.find(name, None)]
        except Problem:
            return problem(
                "sign-in", f"{url} does not answer with keys", "correct DISPATCHER_AUTH_JWKS_URL, or start the provider"
            )
    return fine("sign-in", f"tokens are verified with the keys at {url} ({', '.join(found) or 'several'})")
