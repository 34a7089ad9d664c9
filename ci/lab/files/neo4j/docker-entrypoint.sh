#!/bin/bash
# The contract of the official image: each NEO4J_… is a setting (`NEO4J_server_bolt_listen__address` is `server.bolt.listen_address`: `_` is a
# dot and `__` is `_`), and NEO4J_AUTH is `none` or `neo4j/password`, which counts as long as there is no data yet. What sets the first
# password, and what starts the server, is Neo4j's own.
set -euo pipefail

export NEO4J_HOME=/var/lib/neo4j NEO4J_CONF=/var/lib/neo4j/conf
# Not to be expanded here: the JVM reads such a path itself.
export CLASSPATH='/var/lib/neo4j/lib/*'
auth=${NEO4J_AUTH:-}

declare -A settings=(
  [server.default_listen_address]=0.0.0.0
  [server.directories.data]=/data
  [server.directories.logs]=/logs
)
for variable in $(compgen -e NEO4J_); do
  # What is told to the image itself is in capitals.
  [[ $variable =~ ^NEO4J_[a-z] ]] || continue
  name=${variable#NEO4J_}
  name=${name//_/.}
  settings[${name//../_}]=${!variable}
done
[[ $auth != none ]] || settings[dbms.security.auth_enabled]=false
for name in "${!settings[@]}"; do
  printf '%s=%s\n' "$name" "${settings[$name]}"
done >"$NEO4J_CONF/neo4j.conf"

case $auth in
'' | none) ;;
neo4j/neo4j)
  echo "Invalid value for password. It cannot be 'neo4j', which is the default." >&2
  exit 1
  ;;
neo4j/*)
  [[ -e /data/databases/system || -e /data/dbms/auth.ini ]] ||
    java -Xmx64m -XX:TieredStopAtLevel=1 org.neo4j.cli.AdminTool dbms set-initial-password "${auth#neo4j/}"
  ;;
*)
  echo "Invalid value for NEO4J_AUTH: '${auth%%/*}'" >&2
  exit 1
  ;;
esac
unset NEO4J_AUTH

# The last compiler costs more time than it would save in the life of a test.
exec java "-Xms${settings[server.memory.heap.initial_size]:-256m}" "-Xmx${settings[server.memory.heap.max_size]:-256m}" \
  -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError --add-opens=java.base/java.nio=ALL-UNNAMED \
  --add-opens=java.base/java.io=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
  org.neo4j.server.CommunityEntryPoint "--home-dir=$NEO4J_HOME" "--config-dir=$NEO4J_CONF" --console-mode
