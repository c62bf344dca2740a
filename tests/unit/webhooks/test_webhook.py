from dispatcher.webhooks.webhook import Webhook
from tests.support.webhooks import a_webhook


def test_its_template_knows_the_variables_of_its_event_type() -> None:
    webhook = a_webhook(payload_template={"a": "#operation_type #alert_name"})
    assert webhook.template.render({"operation_type": b"Restart"}) == b'{"a":"Restart #alert_name"}'
    assert webhook.template is webhook.template


def test_a_copy_with_another_template_compiles_that() -> None:
    webhook = a_webhook()
    assert webhook.template
    other = webhook.model_copy(update={"payload_template": {}})
    assert other.template.verbatim == b"{}"


def test_a_compiled_template_changes_neither_equality_nor_what_is_written() -> None:
    compiled, other = a_webhook(), a_webhook()
    assert compiled.template
    assert compiled == other
    assert Webhook.model_validate_json(compiled.model_dump_json()) == other
