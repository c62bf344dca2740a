"""JSON as RFC 8259 has it: no NaN or Infinity, no member twice, nothing that only some readers understand."""

import json
import math
from collections import Counter
from typing import Any, NoReturn


class NotJson(ValueError):
    """The text is not JSON, or not JSON that every reader would understand alike."""


def read_strict_json(text: bytes) -> Any:
    """The value that the text holds.

    Raises:
        NotJson: the message says where and why.
    """
    try:
        value = json.loads(
            text.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise NotJson(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise NotJson("nested too deeply") from None
    except NotJson:
        raise
    except ValueError:
        raise NotJson("it holds a number with thousands of digits") from None
    return value


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        times = Counter(name for name, _ in members)
        twice = next(name for name, count in times.items() if count > 1)
        raise NotJson(f"the member {json.dumps(twice)} occurs twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotJson(f"the number {text} is too large")
    return number
