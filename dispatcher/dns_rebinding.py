"""By which host a browser asks: any website may make a name of its own point here, and ask as if it were ours."""

import ipaddress


def name_in(host: str) -> str:
    """The name or the address in a request's ``Host``, in lower case and without a port."""
    name = host.partition("]")[0].strip("[") if host.startswith("[") else host
    return (name.partition(":")[0] if name.count(":") == 1 else name).lower().removesuffix(".")


def asked_by_address(host: str) -> bool:
    """Whether a page in somebody's browser could not have asked by making a name of its own point here."""
    name = name_in(host)
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
