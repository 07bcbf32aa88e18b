//! What somebody else writes from the documented recipe: nothing of ours is used here.

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap_or_default()).unwrap_or_default()
}

fn sha(parts: &[&[u8]]) -> Vec<u8> {
    Sha256::digest(parts.concat()).to_vec()
}

fn signed(public: &str, text: &str, signature: &Value) -> bool {
    let key: [u8; 32] = hex::decode(public).expect("hex").try_into().expect("a key");
    let key = VerifyingKey::from_bytes(&key).expect("a key");
    Signature::from_slice(&unhex(signature)).is_ok_and(|signature| key.verify(text.as_bytes(), &signature).is_ok())
}

/// The hash of an event as it is shown.
pub fn leaf(event: &Value) -> Vec<u8> {
    let mut text = String::new();
    for name in [
        "position",
        "aggregateType",
        "aggregateId",
        "sequence",
        "eventType",
        "eventVersion",
        "eventId",
        "recordedAtMicros",
        "payload",
        "metadata",
    ] {
        let value = event[name].as_str().map_or_else(|| event[name].to_string(), str::to_owned);
        text.push_str(&format!("{}:{value},", value.len()));
    }
    sha(&[text.as_bytes()])
}

/// Whether a proof leads from the event to the signature.
pub fn includes(proof: &Value, public: &str) -> bool {
    let index = proof["index"].as_u64().expect("an index") as usize;
    let leaves: Vec<Vec<u8>> = proof["leaves"].as_array().expect("leaves").iter().map(unhex).collect();
    let digest = sha(&leaves.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let chain = sha(&[&unhex(&proof["previousChain"]), &digest]);
    let (batch, last) = (&proof["batch"], &proof["lastNumber"]);
    let text = format!("flowbot seal v1\n{batch}\n{last}\n{}\n", hex::encode(&chain));
    leaf(&proof["event"]) == leaves[index]
        && chain == unhex(&proof["chain"])
        && signed(public, &text, &proof["signature"])
}

/// The events of an export, if it is whole and as it was sent.
pub fn read(export: &str, public: &str) -> Result<Vec<Value>, String> {
    let (body, end) = export.trim_end_matches('\n').rsplit_once('\n').ok_or("too short")?;
    let body = format!("{body}\n");
    let manifest: Value = serde_json::from_str(end).map_err(|error| error.to_string())?;
    if manifest["kind"] != "manifest" {
        return Err("no manifest".to_owned());
    }
    let text = format!(
        "flowbot export v1\n{}\n{}\n{}\n",
        hex::encode(sha(&[body.as_bytes()])),
        manifest["events"],
        manifest["batches"]
    );
    if !signed(public, &text, &manifest["signature"]) {
        return Err("the manifest is not signed".to_owned());
    }
    let (mut before, mut batch, mut events): (Option<Vec<u8>>, Value, Vec<Value>) = (None, Value::Null, Vec::new());
    for line in body.lines().skip(1) {
        let line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if line["kind"] == "event" {
            let place = line["number"].as_u64().unwrap_or(0) - batch["firstNumber"].as_u64().unwrap_or(0);
            if leaf(&line) != unhex(&batch["leaves"][place as usize]) {
                return Err(format!("event {}", line["number"]));
            }
            events.push(line);
            continue;
        }
        let previous = unhex(&line["previousChain"]);
        let chain = sha(&[&previous, &unhex(&line["digest"])]);
        let text = format!("flowbot seal v1\n{}\n{}\n{}\n", line["batch"], line["lastNumber"], hex::encode(&chain));
        let leaves = line["leaves"].as_array().map(|all| all.iter().map(unhex).collect::<Vec<_>>().concat());
        let follows = before.is_none_or(|before| before == previous);
        if !follows || !signed(public, &text, &line["signature"]) {
            return Err(format!("batch {}", line["batch"]));
        }
        if leaves.is_some_and(|leaves| sha(&[&leaves]) != unhex(&line["digest"])) {
            return Err(format!("batch {}", line["batch"]));
        }
        (before, batch) = (Some(chain), line);
    }
    Ok(events)
}
