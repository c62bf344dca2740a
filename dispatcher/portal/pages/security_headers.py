"""What browsers are told not to do with a page."""

from collections.abc import Mapping

_PERMISSIONS = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")

_ALWAYS = {
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{name}=()" for name in _PERMISSIONS),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


HTTPS_ONLY = {"Strict-Transport-Security": f"max-age={365 * 24 * 3600}"}
"""For every answer where people come by https; whether that holds for sub-domains is not ours to say."""


def security_headers(style_nonce: str | None = None) -> Mapping[str, str]:
    """For an answer of ours; ``style_nonce`` lets through the style elements of an editor that makes its own."""
    styles = f" 'nonce-{style_nonce}'" if style_nonce else ""
    policy = (
        "default-src 'none'; script-src 'self'; "
        f"style-src 'self'{styles}; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return {**_ALWAYS, "Content-Security-Policy": policy}
