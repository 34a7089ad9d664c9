#!/bin/bash
# The contract of the official image, as far as charts lean on it: CLICKHOUSE_USER, CLICKHOUSE_PASSWORD, CLICKHOUSE_DB and
# /docker-entrypoint-initdb.d, of which the last two matter only while there is no data; arguments that begin with -- are the
# server's.
set -euo pipefail

config=/etc/clickhouse-server
data=/var/lib/clickhouse

become_clickhouse() {
  mkdir -p "$data"
  find "$data" "$config/users.d" \! -user clickhouse -exec chown clickhouse: '{}' +
  exec setpriv --reuid=clickhouse --regid=clickhouse --clear-groups "$0" "$@"
}

# escaped TEXT: as text of XML.
escaped() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g' <<<"$1"; }

# The one user there is; the passwordless one of the packages is kept only where nobody asks for another.
make_user() {
  [[ $CLICKHOUSE_USER != default || -n $CLICKHOUSE_PASSWORD ]] || return 0
  cat >"$config/users.d/default-user.xml" <<EOF
<yandex>
  <users>
    <default remove="remove"/>
    <readonly remove="remove"/>
    <$CLICKHOUSE_USER>
      <password>$(escaped "$CLICKHOUSE_PASSWORD")</password>
      <networks replace="replace"><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </$CLICKHOUSE_USER>
  </users>
</yandex>
EOF
}

client() {
  # An empty password is none to the client: it refuses the option.
  clickhouse-client --host=127.0.0.1 --user="$CLICKHOUSE_USER" \
    ${CLICKHOUSE_PASSWORD:+--password="$CLICKHOUSE_PASSWORD"} --multiquery "$@"
}

# On the loopback only until all is there, so nobody meets a half-made server.
initialise() {
  local server said='' deadline=$((SECONDS + 60)) script
  clickhouse-server --config-file="$config/config.xml" -- --listen_host=127.0.0.1 &
  server=$!
  until said=$(client --query='SELECT 1' 2>&1); do
    if ((SECONDS >= deadline)) || ! kill -0 "$server"; then
      echo "the server does not answer while it is being initialised; last heard: $said" >&2
      exit 1
    fi
    sleep 0.1
  done
  [[ -z $CLICKHOUSE_DB ]] || client --query="CREATE DATABASE IF NOT EXISTS $CLICKHOUSE_DB"
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh) run_script "$script" ;;
      *.sql) client <"$script" ;;
      *.sql.gz) gunzip --stdout "$script" | client ;;
    esac
  done
  kill -TERM "$server"
  wait "$server"
}

# A script without its x bit is read into this shell, as the official image does.
run_script() {
  # shellcheck source=/dev/null
  if [[ -x $1 ]]; then "$1"; else . "$1"; fi
}

if [[ $# == 0 || $1 == --* ]]; then
  [[ $(id -u) != 0 ]] || become_clickhouse "$@"
  export CLICKHOUSE_USER=${CLICKHOUSE_USER:-default} CLICKHOUSE_PASSWORD=${CLICKHOUSE_PASSWORD:-} CLICKHOUSE_DB=${CLICKHOUSE_DB:-}
  make_user
  if [[ ! -d $data/data ]] && [[ -n $CLICKHOUSE_DB || -n $(ls /docker-entrypoint-initdb.d) ]]; then
    initialise
  fi
  unset CLICKHOUSE_PASSWORD
  exec clickhouse-server --config-file="$config/config.xml" "$@"
fi
exec "$@"
