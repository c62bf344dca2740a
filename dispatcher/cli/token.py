"""``dispatcher token``: a bearer token for the API."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from dispatcher.cli.arguments import utf_8
from dispatcher.durations import parse_duration
from dispatcher.errors import ConfigurationError
from dispatcher.local_secrets import AUTH_SECRET_FILE, local_secrets
from dispatcher.portal.tokens import sign_token
from dispatcher.settings import load_settings

app = typer.Typer()


@app.command()
def token(
    *,
    user: Annotated[str, typer.Option(help="The user's id.", callback=utf_8)] = "admin",
    name: Annotated[str | None, typer.Option(help="The user's name; their id by default.", callback=utf_8)] = None,
    email: Annotated[str | None, typer.Option(help="The user's e-mail address.", callback=utf_8)] = None,
    organization: Annotated[
        list[str] | None,
        typer.Option(
            help="An organization's id, or id=name; once for each organization.", show_default=False, callback=utf_8
        ),
    ] = None,
    role: Annotated[
        str, typer.Option(help="The user's role in these organizations.", callback=utf_8)
    ] = "organization_admin",
    ttl: Annotated[
        str, typer.Option(help="How long the token is valid, such as 15m, 12h or 30d; a bare number is seconds.")
    ] = "12h",
) -> None:
    """Print a bearer token for the API, signed with DISPATCHER_AUTH_SECRET or the secret in DISPATCHER_DATA_DIR."""
    try:
        lifetime = parse_duration(f"{ttl}s" if ttl.isdecimal() else ttl)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ttl") from None
    if not lifetime:
        raise typer.BadParameter("a token that is valid for no time is of no use", param_hint="--ttl")
    for option, text in (("--user", user), ("--role", role)):
        if not text:
            raise typer.BadParameter("is empty; such a token opens nothing", param_hint=option)
    settings = load_settings()
    if settings.auth_jwks_url is not None:
        raise ConfigurationError(
            "DISPATCHER_AUTH_JWKS_URL is set: tokens come from your identity provider, and none is signed here"
        )
    secret = local_secrets(settings, generate=False).auth_secret
    if secret is None:
        raise ConfigurationError(
            f"there is no secret to sign with: set DISPATCHER_AUTH_SECRET, or DISPATCHER_DATA_DIR to the directory "
            f"where `dispatcher up` wrote {AUTH_SECRET_FILE} (looked in {settings.data_dir})"
        )
    signed = sign_token(
        settings,
        secret,
        user=user,
        name=name or user,
        email=email,
        organizations=dict(map(_organization, organization or ())),
        role=role,
        now=datetime.now(UTC),
        lifetime=lifetime,
    )
    typer.echo(signed)


def _organization(text: str) -> tuple[str, str]:
    id, _, label = text.partition("=")
    if not id:
        raise typer.BadParameter("give an organization's id, or id=name", param_hint="--organization")
    return id, label or id
