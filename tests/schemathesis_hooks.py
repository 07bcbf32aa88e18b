"""What Schemathesis sends, made a little more likely to find something."""

import json
import os
from collections import Counter

import schemathesis

IDS = json.loads(os.environ["FLOWBOT_IDS"])
calls = Counter()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every second call names something that is there; what would take it away names nothing, and no password is
    changed, for it ends the session."""
    operation = case.operation
    if isinstance(case.body, dict):
        case.body.pop("password", None)
    calls[operation.label] += 1
    if operation.method.upper() != "DELETE" and calls[operation.label] % 2 == 0:
        case.path_parameters.update(IDS.get(operation.path, {}))
