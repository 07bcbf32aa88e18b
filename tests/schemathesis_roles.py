"""Makes three roles in a fresh sandbox and runs Schemathesis as each of them; see schemathesis.sh."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

CHECKS = ",".join([
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
])
# Operations that are left out, and why.
LEFT_OUT = {
    "logout": "it ends the session everything else is asked with",
}
PHONE = "+972501234567"
LINE = "100000000000001"


class Api:
    """The product, as somebody."""

    def __init__(self, base, token=None):
        self.base, self.token = base, token

    def send(self, method, path, body=None):
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer, json.loads(answer.read() or b"null")

    def get(self, path):
        return self.send("GET", path)[1]

    def post(self, path, body=None):
        return self.send("POST", path, body)[1]

    def signed_in(self, username, password):
        answer, _ = self.send("POST", "/api/auth/login", {"username": username, "password": password})
        return Api(self.base, answer.headers["set-cookie"].split(";")[0].split("=", 1)[1])

    def is_signed_in(self):
        try:
            return bool(self.get("/api/auth/me"))
        except urllib.error.HTTPError:
            return False


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


def wait_for(what, look):
    """Looks until there is something to see."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"schemathesis: waited in vain for {what}")


def account(admin, username):
    """The owner of a new account with a line, a flow, a lead and a conversation."""
    user = {"username": username, "password": "correct horse", "email": f"{username}@example.com",
            "displayName": username, "role": "user"}
    made = admin.post("/api/users", user)
    owner = Api(admin.base).signed_in(username, "correct horse")
    owner.id = made["id"]
    return owner


def furnish(owner):
    """Things to ask for."""
    owner.post("/api/settings/whatsapp", {"phoneNumberId": LINE, "wabaId": "200000000000002", "accessToken": "t",
                                          "displayPhoneNumber": "+1 555 000 1111", "isPrimary": True})
    flow = owner.post("/api/flows", {"name": "Echo", "status": "active", "drawflowData": drawflow()})
    wait_for("the flow", lambda: any(row["id"] == flow["id"] for row in owner.get("/api/flows")))
    owner.post("/api/leads", {"phone": PHONE, "name": "Dana"})
    customer = f"/sandbox/customers/{PHONE.strip('+')}/messages"
    Api(owner.base).post(customer, {"phoneNumberId": LINE, "text": "hello"})
    talk = wait_for("a conversation", lambda: owner.get("/api/conversations"))[0]
    return {"flowId": flow["id"], "conversation": talk["id"], "contactId": talk["contactId"]}


def client(admin, owner):
    """A client with a token of the owner's account."""
    access = owner.post("/api/settings/api-access")
    admin.send("PUT", f"/api/users/{owner.id}", {"apiAccessApproved": True})
    body = {"clientId": access["clientId"], "apiKey": access["apiKey"], "ttlSec": 86400}
    return Api(owner.base, Api(owner.base).post("/api/auth/api-token", body)["accessToken"])


def employee(owner, document):
    """Somebody who may see leads and nothing else."""
    if "post" not in document["paths"].get("/api/employees", {}):
        return None
    owner.post("/api/employees", {"username": "employee", "password": "correct horse", "email": "e@example.com",
                                  "displayName": "Employee", "permissions": ["leads"]})
    return Api(owner.base).signed_in("employee", "correct horse")


def known_ids(owner, document, things):
    """What the parameters of each path may name: what a read of the list above it shows, or what was made."""
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
        ids[path] = {name: found[name] for name in names if name in found}
    return ids


def run(role, api, ids, seconds):
    """One run as somebody; whether it found nothing."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{api.base}/openapi.json", "--url", api.base,
               "--header", f"Authorization: Bearer {api.token}", "--checks", CHECKS,
               "--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--max-time", str(seconds),
               "--seed", "20261128", "--generation-database", "none", "--suppress-health-check", "all",
               "--request-timeout", "20", "--max-failures", "25", "--warnings", "off", "--no-color"]
    for operation in LEFT_OUT:
        command += ["--exclude-operation-id", operation]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "FLOWBOT_IDS": json.dumps(ids)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stdout + done.stderr)
        print(f"schemathesis: as {role} something does not fit the document")
        return False
    if not api.is_signed_in():
        print(f"schemathesis: the session of {role} ended in the middle of the run: what ended it has to be left out")
        return False
    cases = [line.strip() for line in done.stdout.splitlines() if "generated" in line or "found no" in line]
    print(f"schemathesis: as {role} nothing was found ({'; '.join(cases)})")
    return True


def main():
    base, budget = sys.argv[1], int(sys.argv[2])
    document = Api(base).get("/openapi.json")
    admin = Api(base).signed_in("admin", "admin-password")
    owner = account(admin, "owner")
    things = furnish(owner)
    ids = known_ids(owner, document, things)
    roles = {"an owner": owner, "an employee with few permissions": employee(owner, document),
             "an API client": client(admin, owner)}
    if roles["an employee with few permissions"] is None:
        print("schemathesis: this document has no way to make employees; their run is left out")
    roles = {role: api for role, api in roles.items() if api}
    results = [run(role, api, ids, budget // len(roles)) for role, api in roles.items()]
    sys.exit(0 if all(results) else 1)


main()
