#!/bin/sh
# setup.sh FOLDER UPSTREAM <policy: the blocks below `targets`
# Writes the proxy's configuration into FOLDER, starts it and waits until it is ready. From the environment: OUTRIGGER
# (the program), PORT, OUTBOUND, ADMIN (free ports), PID_FILE (whoever runs the story ends the proxy by it).
set -eu
folder=$1/outrigger upstream=$2
mkdir -p "$folder"
cat >"$folder/proxy.yaml" <<YAML
apiVersion: outrigger.dev/v1alpha1
kind: ProxyConfig
metadata: {name: vtc}
spec:
  outbound: {listen: ["127.0.0.1:$OUTBOUND"]}
  listeners:
    - {listen: "127.0.0.1:$PORT", upstream: "$upstream"}
  admin: {listen: "127.0.0.1:$ADMIN"}
  drain: {mode: refuse, timeout: 1s}
YAML
{
    printf 'apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: vtc}\n'
    printf 'spec:\n  targets: [{host: "*"}]\n'
    sed 's/^/  /'
} >"$folder/policy.yaml"
"$OUTRIGGER" proxy -c "$folder" >"$folder/log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$PID_FILE"
for _ in $(seq 200); do
    curl -sf --noproxy '*' -o /dev/null "http://127.0.0.1:$ADMIN/ready" && exit 0
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
done
cat "$folder/log" >&2
exit 1
