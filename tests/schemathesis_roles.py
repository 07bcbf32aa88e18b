"""Makes three roles in a fresh sandbox and runs Schemathesis as each of them; see schemathesis.sh."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error

from schemathesis_api import ANSWER_SEC, Api, sign_in, wait_for

CHECKS = ",".join([
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
])
# Operations that are left out, and why.
LEFT_OUT = {}
# Operations that are asked as somebody else of the same kind, who signs in anew each time, and why.
BY_THE_DOUBLE = {
    "logout": "it ends the session everything else is asked with",
    "endSession": "its id is known from the list of sessions",
    "endOtherSessions": "the API client's sessions are its owner's, too",
}
# The part of the time each role gets.
PARTS = {"an owner": 2, "an employee with few permissions": 1, "an API client": 1}
# How long a run may take beyond its time: for what it was just asking, and to tell.
GRACE_SEC = 2 * ANSWER_SEC
PHONE = "+972501234567"
LINE = "100000000000001"
PASSWORD = "correct horse"


def drawflow():
    """A flow with every kind of trigger."""
    kinds = [("trigger_message", {"keywords": []}), ("send_text", {"text": "echo {{trigger.text}}"}),
             ("trigger_api", {"auth": {"mode": "none"}}), ("trigger_lead_api", {"auth": {"mode": "none"}}),
             ("trigger_outbound", {})]
    data = {}
    for number, (kind, about) in enumerate(kinds, 1):
        first, second = number == 1, number == 2
        to = [{"node": "2", "output": "input_1"}] if first else []
        outputs = {} if second else {"output_1": {"connections": to}}
        inputs = {"input_1": {"connections": [{"node": "1", "input": "output_1"}]}} if second else {}
        data[str(number)] = {"id": number, "name": kind, "data": about, "class": kind, "html": "", "typenode": False,
                             "inputs": inputs, "outputs": outputs, "pos_x": 0, "pos_y": 0}
    return {"drawflow": {"Home": {"data": data}}}


def person(username):
    return {"username": username, "password": PASSWORD, "email": f"{username}@example.com", "displayName": username}


def login(username):
    return "/api/auth/login", {"username": username, "password": PASSWORD}


def account(admin, username):
    """The owner of a new account."""
    made = admin.post("/api/users", {**person(username), "role": "user"})
    owner = sign_in(admin.base, *login(username))
    owner.id = made["id"]
    return owner


def furnish(owner):
    """Things to ask for: a line, a flow, a lead, an appointment, a conversation, a template and its group, an employee,
    a task."""
    owner.post("/api/settings/whatsapp", {"phoneNumberId": LINE, "wabaId": "200000000000002", "accessToken": "t",
                                          "displayPhoneNumber": "+1 555 000 1111", "isPrimary": True})
    flow = owner.post("/api/flows", {"name": "Echo", "status": "active", "drawflowData": drawflow()})
    wait_for("the flow", lambda: any(row["id"] == flow["id"] for row in owner.get("/api/flows")))
    owner.post("/api/leads", {"phone": PHONE, "name": "Dana"})
    appointment = owner.post("/api/calendar/appointments", {
        "serviceName": "Cut", "start": "2031-03-04T10:00:00Z", "durationMinutes": 30, "timezone": "UTC",
        "resourceId": "chair", "customerName": "Dana", "phone": PHONE})
    customer = f"/sandbox/customers/{PHONE.strip('+')}/messages"
    Api(owner.base).post(customer, {"phoneNumberId": LINE, "text": "hello"})
    talk = wait_for("a conversation", lambda: owner.get("/api/conversations"))[0]
    body = {"type": "BODY", "text": "Your order was sent."}
    template = {"name": "sent", "category": "UTILITY", "language": "en", "components": [body]}
    template = owner.post("/api/templates", template)
    group = owner.post("/api/templates/groups", {"name": "Sent", "templates": [{"name": "sent", "language": "en"}]})
    named = owner.post("/api/employees", {**person("named"), "permissions": ["inbox"]})
    owner.post("/api/tasks", {"title": "Call back", "conversationId": talk["id"]})
    bodies = {"updateTemplateGroup": {"id": group["id"]}, "approveTemplate": {"id": template["id"]},
              "changeAppointment": {"id": appointment["id"]},
              "triggerOutboundFlow": {"flowId": flow["id"], "phone": PHONE},
              "createTask": {"conversationId": talk["id"], "assigneeId": named["id"]},
              "actOnDelivery": {"phoneNumberId": LINE}}
    return {"flowId": flow["id"], "conversation": talk["id"], "contactId": talk["contactId"], "bodies": bodies}


def known_ids(owner, document, things):
    """What paths may name, each parameter: what a read of the list above it shows, or what was made; and what bodies
    may."""
    ids = {}
    for path in document["paths"]:
        if "{" not in path or path.startswith("/api/admin/"):
            continue
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        above = path.split("/{")[0]
        found = {"flowId": things["flowId"], "contactId": things["contactId"], "aggregate": "conversation",
                 "id": things["conversation"]}
        if "get" in document["paths"].get(above, {}):
            try:
                rows = owner.get(above)
            except urllib.error.HTTPError:
                rows = []
            row = rows[0] if isinstance(rows, list) and rows else {}
            found.update({key: row[key] for key in ("id", "phone", "name") if isinstance(row.get(key), str)})
        if above == "/api/users":
            found["id"] = owner.id
        if above == "/api/contacts":
            found["id"] = things["contactId"]
        ids[path] = {name: found[name] for name in names if name in found}
    return {"paths": ids, "bodies": things["bodies"]}


class Cast:
    """Who asks, each with how their double signs in. They are made when their turn comes, for those before may change
    people; their doubles before anybody asks."""

    def __init__(self, admin, owner):
        self.admin, self.owner = admin, owner
        double = account(admin, "double")
        self.doubles = {"an owner": login("double"), "an API client": self.credentials(double),
                        "an employee with few permissions": self.employee(double, "double-employee")}

    def one(self, role):
        """The one."""
        if role == "an owner":
            return self.owner
        hired = role == "an employee with few permissions"
        path, body = self.employee(self.owner, "employee") if hired else self.credentials(self.owner)
        return sign_in(self.owner.base, path, body)

    def employee(self, owner, username):
        owner.post("/api/employees", {**person(username), "permissions": ["leads"]})
        return login(username)

    def credentials(self, owner):
        access = owner.post("/api/settings/api-access", {})
        self.admin.send("PUT", f"/api/users/{owner.id}", {"apiAccessApproved": True})
        body = {"clientId": access["clientId"], "apiKey": access["apiKey"], "ttlSec": 86400}
        return "/api/auth/api-token", body


def command(api, seconds):
    """Schemathesis as somebody. Nothing is made smaller that was found: that takes up to five minutes."""
    found = [sys.executable, "-m", "schemathesis.cli", "run", f"{api.base}/openapi.json", "--url", api.base,
             "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--max-time", str(max(seconds, 1)),
             "--no-shrink", "--seed", "20261128", "--generation-database", "none", "--suppress-health-check", "all",
             "--request-timeout", str(ANSWER_SEC), "--max-failures", "25", "--warnings", "off", "--no-color"]
    for operation in LEFT_OUT:
        found += ["--exclude-operation-id", operation]
    return found


def run(role, api, ids, double, seconds):
    """One run as somebody; whether it found nothing. Ends in time, whatever the product does."""
    path, body = double
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "FLOWBOT_IDS": json.dumps(ids),
                   "FLOWBOT_TOKEN": api.token,
                   "FLOWBOT_DOUBLE": json.dumps({"base": api.base, "path": path, "body": body}),
                   "FLOWBOT_BY_THE_DOUBLE": json.dumps(list(BY_THE_DOUBLE))}
    began = time.monotonic()
    process = subprocess.Popen(command(api, seconds), env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    try:
        told, _ = process.communicate(timeout=seconds + GRACE_SEC)
    except subprocess.TimeoutExpired:
        process.kill()
        print(process.communicate()[0])
        sys.exit(f"schemathesis: as {role} no end was reached within {seconds} s and {GRACE_SEC} s more")
    if process.returncode != 0:
        print(told)
        print(f"schemathesis: as {role} something does not fit the document", flush=True)
        return False
    if not api.is_signed_in():
        print(f"schemathesis: the session of {role} ended in the middle of the run: what ended it has to be asked by a "
              "double, or left out", flush=True)
        return False
    lines = [line.strip() for line in told.splitlines()]
    cases = [line for line in lines if re.search(r"Tested:|Selected:|generated|found no", line)]
    print(f"schemathesis: as {role} nothing was found in {time.monotonic() - began:.0f} s ({'; '.join(cases)})",
          flush=True)
    return True


def main():
    base, deadline = sys.argv[1], time.monotonic() + int(sys.argv[2])
    document = Api(base).get("/openapi.json")
    admin = sign_in(base, "/api/auth/login", {"username": "admin", "password": "admin-password"})
    owner = account(admin, "owner")
    things = furnish(owner)
    ids = known_ids(owner, document, things)
    cast, results, parts = Cast(admin, owner), [], sum(PARTS.values())
    for role, part in PARTS.items():
        left = max(deadline - time.monotonic(), 0)
        results.append(run(role, cast.one(role), ids, cast.doubles[role], int(left * part / parts)))
        parts -= part
    sys.exit(0 if all(results) else 1)


try:
    main()
except OSError as trouble:
    sys.exit(f"schemathesis: the product does not answer as it should: {trouble}")
