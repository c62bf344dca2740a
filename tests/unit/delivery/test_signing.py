import base64
import hmac
import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from dispatcher.delivery.signing import sign
from dispatcher.webhooks.secrets import key_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_vector_of_standard_webhooks() -> None:
    signature = sign([key_of(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.dictionaries(st.text(), st.text()))
def test_the_official_library_verifies_what_either_key_signed(content: dict[str, str]) -> None:
    other = "whsec_" + "b" * 32
    body = json.dumps(content).encode()
    now = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([key_of(SECRET), key_of(other)], "msg_1", now, body),
    }
    for secret in (SECRET, other):
        assert Webhook(secret).verify(body, headers) == content


@given(st.binary(max_size=200), st.binary(max_size=100))
def test_signatures_are_those_of_hmac_whatever_the_key(key: bytes, body: bytes) -> None:
    signed = hmac.digest(key, b"msg_1.1614265330." + body, "sha256")
    for _ in range(2):
        assert sign([key], "msg_1", 1614265330, body) == f"v1,{base64.b64encode(signed).decode()}"
