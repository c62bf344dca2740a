"""The people of a demonstration, who sign in to the pages at a click."""

from dispatcher.events.simulator.portal import DEFAULT_ORGANIZATIONS
from dispatcher.portal.auth import ORGANIZATION_ADMIN, Caller, Membership

_CONTOSO = "org-contoso"


def demo_people() -> tuple[Caller, ...]:
    """An Organization Admin of one organization, one of all of them, and somebody without the role."""

    def of(organization: str, role: str = ORGANIZATION_ADMIN) -> Membership:
        return Membership(name=DEFAULT_ORGANIZATIONS[organization], role=role)

    return (
        Caller(sub="demo-ada", name="Ada Moreau", email="ada@contoso.example", organizations={_CONTOSO: of(_CONTOSO)}),
        Caller(
            sub="demo-priya",
            name="Priya Raman",
            email="priya@provider.example",
            organizations={id: of(id) for id in DEFAULT_ORGANIZATIONS},
        ),
        Caller(
            sub="demo-tom",
            name="Tom Berg",
            email="tom@contoso.example",
            organizations={_CONTOSO: of(_CONTOSO, "technician")},
        ),
    )
