"""An example for each schema of the OpenAPI document, by its name there: one webhook and what became of it."""

from typing import Any

from dispatcher.webhooks.target_headers import MASK

_ADA = {"id": "u-17", "name": "Ada Lovelace"}

_NEW_WEBHOOK: dict[str, Any] = {
    "name": "Tell the service desk",
    "event_type": "operation_executed",
    "target_url": "https://desk.contoso.example/hooks/portal",
    "items": {"ids": ["Restart"]},
    "payload_template": {"title": "#operation_type: #status", "errors": "#total_errors"},
    "headers": {"X-Team": "endpoint"},
    "rate_limit": 5,
}

_WEBHOOK: dict[str, Any] = {
    "id": "wh_5f1c0d8e2b7a4963aa10c7de",
    **_NEW_WEBHOOK,
    "headers": {"X-Team": MASK},
    "status": "enabled",
    "disabled_reason": None,
    "created_on": "2026-11-23T10:15:04.120Z",
    "created_by": _ADA,
    "updated_on": "2026-11-23T10:17:41.003Z",
    "updated_by": _ADA,
}

_SECRET = "whsec_bm90IGEgc2VjcmV0LCBhbiBleGFtcGxlIQ=="  # noqa: S105 - an example

_ATTEMPT: dict[str, Any] = {
    "id": "msg_8c1e60b2f4d94f1b-1-1",
    "message_id": "msg_8c1e60b2f4d94f1b",
    "run": 1,
    "attempt": 1,
    "status": "failed",
    "duration_ms": 412,
    "response_code": 503,
    "executed_on": "2026-11-23T10:20:00.507Z",
    "error": "the target answered 503 Service Unavailable",
    "next_attempt_at": None,
}

_WAITING: dict[str, Any] = {
    **_ATTEMPT,
    "id": "msg_8c1e60b2f4d94f1b-1-2",
    "attempt": 2,
    "status": "pending",
    "duration_ms": None,
    "response_code": None,
    "executed_on": None,
    "error": None,
    "next_attempt_at": "2026-11-23T10:20:05.919Z",
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "NewWebhook": _NEW_WEBHOOK,
    "WebhookChange": {"name": "Tell both desks", "rate_limit": None},
    "WebhookView": _WEBHOOK,
    "CreatedWebhook": {**_WEBHOOK, "status": "disabled", "secret": _SECRET},
    "WebhookList": {"items": [_WEBHOOK], "next_cursor": None},
    "RotatedSecret": {"secret": _SECRET},
    "TestResult": {
        "status": "successful",
        "response_code": 200,
        "duration_ms": 93,
        "response_body": "ok",
        "error": None,
        "request": {
            "url": "https://desk.contoso.example/hooks/portal",
            "headers": {
                "user-agent": "Portal-Webhooks/1",
                "x-team": MASK,
                "content-type": "application/json",
                "webhook-id": "msg_test5f1c0d8e2b7a4963aa10c7de44",
                "webhook-event": "operation_executed",
                "webhook-attempt": "1",
            },
            "body": '{"title":"#operation_type: #status","errors":"#total_errors"}',
            "truncated": False,
        },
        "response": {"headers": {"content-type": "text/plain"}, "body": "ok", "truncated": False},
    },
    "MetricsView": {
        "successful": 1_204,
        "pending": 3,
        "in_progress": 1,
        "failed": 12,
        "total": 1_220,
        "success_rate": 0.990131,
    },
    "BucketView": {
        "start": "2026-11-23T10:00:00.000Z",
        "successful": 61,
        "failed": 1,
        "attempts": 70,
        "p50_ms": 88.0,
        "p95_ms": 240.5,
        "p99_ms": 412.0,
    },
    "AttemptView": _ATTEMPT,
    "AttemptList": {"items": [_WAITING, _ATTEMPT], "next_cursor": None},
    "AttemptDetailsView": {
        **_ATTEMPT,
        "request": {
            "url": "https://desk.contoso.example/hooks/portal",
            "headers": {"content-type": "application/json", "webhook-attempt": "1"},
            "body": '{"title":"Restart: Completed","errors":"0"}',
            "truncated": False,
        },
        "response": {"headers": {"retry-after": "2"}, "body": "busy", "truncated": False},
    },
    "MessageView": {
        "message_id": "msg_8c1e60b2f4d94f1b",
        "status": "pending",
        "runs": 1,
        "event_type": "operation_executed",
        "workspace_id": None,
        "created_on": "2026-11-23T10:20:00.480Z",
        "finished_on": None,
        "attempts": [_WAITING, _ATTEMPT],
    },
    "AuditList": {
        "items": [
            {
                "id": "aud_0d4b7e1f9a2c5e8833bb71f0",
                "time": "2026-11-23T10:17:41.003Z",
                "by": _ADA,
                "action": "updated",
                "changed": ["name", "rate_limit"],
                "message_id": None,
                "reason": None,
                "messages": None,
                "since": None,
                "until": None,
            }
        ],
        "next_cursor": None,
    },
    "ResourceList": {
        "items": [{"id": "Restart", "name": "Restart", "url": "https://portal.example/operations/restart"}],
        "next_cursor": None,
    },
    "RecoverySpan": {"since": "2026-11-23T08:00:00Z", "until": "2026-11-23T10:00:00Z"},
    "Recovered": {"queued": 12},
    "Resent": {"message_id": "msg_8c1e60b2f4d94f1b", "run": 2},
    "ProblemDetails": {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "Correct target_url and send the request again.",
        "errors": [
            {"field": "target_url", "detail": "begins with http:// or https://", "pointer": "#/target_url"},
        ],
    },
}
