"""What Schemathesis sends, made a little more likely to find something."""

import json
import os
import urllib.error
from collections import Counter

import schemathesis
from schemathesis_api import Api, sign_in

IDS = json.loads(os.environ["FLOWBOT_IDS"])
TOKEN = os.environ["FLOWBOT_TOKEN"]
DOUBLE = json.loads(os.environ["FLOWBOT_DOUBLE"])
# What ends sessions, asked as somebody of the same kind: it would end the one everything else is asked with.
BY_THE_DOUBLE = json.loads(os.environ["FLOWBOT_BY_THE_DOUBLE"])
calls = Counter()


class Double:
    """Somebody who signs in again as often as needed."""

    def __init__(self):
        self.api = None

    def token(self):
        if self.api is None or not self.api.is_signed_in():
            self.api = sign_in(DOUBLE["base"], DOUBLE["path"], DOUBLE["body"])
        return self.api.token

    def session(self):
        """The id of their own session, if they may know."""
        try:
            return next((row["id"] for row in self.api.get("/api/auth/sessions") if row["current"]), None)
        except urllib.error.HTTPError:
            return None


double = Double()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every second call names something that is there, unless it would take it away. Three of four calls are new ones:
    with the same Idempotency-Key they would be refused, or not even looked at."""
    operation = case.operation
    calls[operation.label] += 1
    number = calls[operation.label]
    if number % 4:
        case.headers.pop("Idempotency-Key", None)
    name = (operation.definition.raw or {}).get("operationId")
    if operation.method.upper() != "DELETE" and number % 2 == 0:
        case.path_parameters.update(IDS["paths"].get(operation.path, {}))
        if isinstance(case.body, dict):
            known = IDS["bodies"].get(name, {})
            case.body.update({field: value for field, value in known.items() if field in case.body})
    by_the_double = name in BY_THE_DOUBLE
    case.cookies.pop("wdf_token", None)
    case.headers["Authorization"] = f"Bearer {double.token() if by_the_double else TOKEN}"
    if by_the_double and case.path_parameters and number % 2 == 0:
        case.path_parameters["id"] = double.session() or case.path_parameters["id"]
