#!/usr/bin/env bash
# Asks the API everything its document allows, and much it does not, as an owner, as an employee with few permissions
# and as an API client. No answer may be a 5xx, have a status the document does not know for the operation, or not fit
# its schema. Needs python3 with pip; PostgreSQL is the product's own matter. SCHEMATHESIS_SECONDS: the budget, all in all.
set -euo pipefail
cd "$(dirname "$0")/.."
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
packages="$target/schemathesis"
pins=tests/schemathesis.txt
if ! cmp --silent "$pins" "$packages/pins.txt"; then
  rm -rf "$packages"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$packages" \
    --requirement "$pins"
  cp "$pins" "$packages/pins.txt"
fi
cargo build --quiet --package api --bin flowbot

data="$(mktemp -d)"
server=
stop() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$data"
}
trap stop EXIT
env -u DATABASE_URL FLOWBOT_LISTEN=127.0.0.1:0 FLOWBOT_DATA_DIR="$data/flowbot" FLOWBOT_SANDBOX=1 FLOWBOT_LIFT_LIMITS=1 \
  FLOWBOT_ADMIN_USERNAME=admin FLOWBOT_ADMIN_PASSWORD=admin-password RUST_LOG=warn \
  "$target/debug/flowbot" serve >"$data/out" 2>"$data/log" &
server=$!
for _ in $(seq 1200); do
  base="$(sed -n 's/^FlowBot listens on \([^ ]*\).*/\1/p' "$data/out")"
  if [ -n "$base" ] || ! kill -0 "$server" 2>/dev/null; then break; fi
  sleep 0.1
done
if [ -z "$base" ]; then
  echo "schemathesis: the server did not start" >&2
  cat "$data/out" "$data/log" >&2
  exit 1
fi
if ! PYTHONPATH="$packages:tests" python3 tests/schemathesis_roles.py "$base" "${SCHEMATHESIS_SECONDS:-90}"; then
  echo "What the server logged last:" >&2
  grep -v '"level":"INFO"' "$data/log" | tail -20 >&2 || true
  exit 1
fi
