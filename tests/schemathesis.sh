#!/usr/bin/env bash
# Asks the API everything its document allows, and much it does not, as an owner, as an employee with few permissions
# and as an API client. No answer may be a 5xx, have a status the document does not know for the operation, or not fit
# its schema. Needs python3 with pip, and a package registry the first time; PostgreSQL is the product's own matter.
# SCHEMATHESIS_SECONDS: how long it asks, all in all (90). Whatever hangs, it ends soon after that, and fails.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${SCHEMATHESIS_SECONDS:-90}"
target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
packages="$target/schemathesis"
pins=tests/schemathesis.txt
# Beside the time for asking: preparations, one answer that never comes for each role, and the end.
beside=150
fail() {
  echo "schemathesis: $*" >&2
  exit 1
}

python3 -m pip --version >/dev/null 2>&1 ||
  fail "python3 with pip is needed (Debian: apt-get install python3-pip); without it the API is not checked"
if ! cmp --silent "$pins" "$packages/pins.txt"; then
  rm -rf "$packages"
  timeout 300 python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$packages" \
    --requirement "$pins" ||
    fail "its packages cannot be installed: is a package registry in reach?"
  cp "$pins" "$packages/pins.txt"
fi
# Not quietly: it may wait for another build, and that is no silence of the product's.
cargo build --package api --bin flowbot

data="$(mktemp -d)"
# PostgreSQL's own user has to get through.
mkdir "$data/flowbot"
chmod 711 "$data" "$data/flowbot"
server=
is_running() { [ -n "$server" ] && kill -0 "$server" 2>/dev/null; }
# Ends the server within 20 s, in one way or the other; false if it was the other.
stop() {
  local calmly=0 wait
  if is_running; then
    kill "$server"
    for wait in $(seq 200); do
      is_running || break
      sleep 0.1
    done
    if is_running; then
      calmly=1
      kill -9 "$server"
      # Its PostgreSQL is a process of its own.
      kill -QUIT "$(head -1 "$data/flowbot/postgres/data/postmaster.pid" 2>/dev/null)" 2>/dev/null || true
      sleep 1
    fi
    wait "$server" 2>/dev/null || true
  fi
  server=
  rm -rf "$data"
  return "$calmly"
}
trap 'stop || true' EXIT
env -u DATABASE_URL FLOWBOT_LISTEN=127.0.0.1:0 FLOWBOT_DATA_DIR="$data/flowbot" FLOWBOT_SANDBOX=1 FLOWBOT_LIFT_LIMITS=1 \
  FLOWBOT_ADMIN_USERNAME=admin FLOWBOT_ADMIN_PASSWORD=admin-password RUST_LOG=warn \
  "$target/debug/flowbot" serve >"$data/out" 2>"$data/log" &
server=$!
for _ in $(seq 1200); do
  base="$(sed -n 's/^FlowBot listens on \([^ ]*\).*/\1/p' "$data/out")"
  if [ -n "$base" ] || ! is_running; then break; fi
  sleep 0.1
done
if [ -z "$base" ]; then
  cat "$data/out" "$data/log" >&2
  fail "the server did not start"
fi
if ! PYTHONPATH="$packages:tests" timeout --kill-after=5 "$((seconds + beside))" \
  python3 tests/schemathesis_roles.py "$base" "$seconds"; then
  echo "What the server logged last:" >&2
  grep -v '"level":"INFO"' "$data/log" | tail -20 >&2 || true
  fail "the API and its document do not agree, or no end was reached within $((seconds + beside)) s; see above"
fi
stop || fail "the server did not end within 20 s"
