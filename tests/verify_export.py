#!/usr/bin/env python3
"""verify_export.py EXPORT [PUBLIC_KEY_HEX]: checks a FlowBot audit export; needs python3 and openssl, nobody's word."""
import hashlib, json, os, subprocess, sys, tempfile

FIELDS = ("position aggregateType aggregateId sequence eventType eventVersion eventId recordedAtMicros payload metadata").split()
folder = tempfile.mkdtemp()
path = lambda name: os.path.join(folder, name)
sha = lambda data: hashlib.sha256(data).digest()

def need(what, holds):
    if not holds:
        sys.exit(f"NOT VALID: {what}")

def write(name, data):
    with open(path(name), "wb") as file:
        file.write(data)

def signed(text, signature):
    write("text", text.encode())
    write("signature", bytes.fromhex(signature))
    check = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", path("key"),
             "-in", path("text"), "-sigfile", path("signature")]
    return subprocess.run(check, capture_output=True).returncode == 0

def leaf(event):  # ten netstrings: <bytes>:<text>,
    values = [str(event[name]).encode() for name in FIELDS]
    return sha(b"".join(b"%d:%s," % (len(value), value) for value in values))

before, batch, events, batches, manifest, seen = None, None, 0, 0, None, hashlib.sha256()
for number, line in enumerate(open(sys.argv[1], "rb"), 1):
    need("something follows the manifest", manifest is None)
    row = json.loads(line)
    if row["kind"] == "manifest":
        manifest = row
        continue
    seen.update(line)
    if row["kind"] == "header":
        need("a second header", number == 1)
        key = sys.argv[2] if len(sys.argv) > 2 else row["publicKey"]
        write("key", bytes.fromhex("302a300506032b6570032100" + key))  # Ed25519, as DER
    elif row["kind"] == "batch":
        name = f"batch {row['batch']}"
        chain = sha(bytes.fromhex(row["previousChain"]) + bytes.fromhex(row["digest"]))
        need(f"{name} does not follow", before in (None, row["previousChain"]) and chain.hex() == row["chain"])
        leaves = [bytes.fromhex(each) for each in row.get("leaves", [])]
        need(f"{name}: its leaves", not leaves or sha(b"".join(leaves)).hex() == row["digest"])
        head = f"flowbot seal v1\n{row['batch']}\n{row['lastNumber']}\n{chain.hex()}\n"
        need(f"{name}: its signature", signed(head, row["signature"]))
        before, batch, batches = row["chain"], row, batches + 1
    else:
        place = row["number"] - batch["firstNumber"]
        need(f"event {row['number']}", 0 <= place < len(leaves) and leaf(row) == leaves[place])
        events += 1
need("no manifest: the export is not whole", manifest)
text = f"flowbot export v1\n{seen.hexdigest()}\n{manifest['events']}\n{manifest['batches']}\n"
need("the manifest's signature", signed(text, manifest["signature"]))
need("the manifest's counts", (events, batches) == (manifest["events"], manifest["batches"]))
need("the manifest's head", (manifest["head"] or {}).get("chain") == before)
print(f"VALID: {events} events in {batches} batches, signed with {key}")
