#!/bin/bash
# The contract of the official image, as far as charts lean on it: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (or
# each with _FILE), POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD, PGDATA and /docker-entrypoint-initdb.d,
# all of which matter only while PGDATA is empty.
set -euo pipefail

# setting NAME DEFAULT: exports the variable, from the file that NAME_FILE names where that is given.
setting() {
  local name=$1 file=$1_FILE
  [[ -z ${!file:-} ]] || export "$name=$(<"${!file}")"
  export "$name=${!name:-$2}"
}

become_postgres() {
  mkdir -p "$PGDATA" /var/run/postgresql
  find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres: '{}' +
  exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
}

initialise() {
  if [[ -z $POSTGRES_PASSWORD && $POSTGRES_HOST_AUTH_METHOD != trust ]]; then
    echo "POSTGRES_PASSWORD must not be empty (or POSTGRES_HOST_AUTH_METHOD must be trust)" >&2
    exit 1
  fi
  # Where everybody is trusted the password does not matter, but initdb wants one. The arguments are meant to be split into words.
  # shellcheck disable=SC2086
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-unused}") $POSTGRES_INITDB_ARGS
  printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"

  # Only local connections until the scripts have run, so nobody meets a half-made database.
  pg_ctl start --wait --options="-c listen_addresses=''"
  [[ $POSTGRES_DB == postgres ]] || createdb --username="$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_DB"
  local script
  for script in /docker-entrypoint-initdb.d/*; do
    case $script in
      *.sh) run_script "$script" ;;
      *.sql) run_sql <"$script" ;;
      *.sql.gz) gunzip --stdout "$script" | run_sql ;;
    esac
  done
  pg_ctl stop --wait --mode=fast
}

# A script without its x bit is read into this shell, as the official image does.
run_script() {
  # shellcheck source=/dev/null
  if [[ -x $1 ]]; then "$1"; else . "$1"; fi
}

run_sql() {
  psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB"
}

[[ ${1:-} != -* ]] || set -- postgres "$@"
if [[ ${1:-} == postgres ]]; then
  [[ $(id -u) != 0 ]] || become_postgres "$@"
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA" || true
  if [[ ! -s $PGDATA/PG_VERSION ]]; then
    setting POSTGRES_PASSWORD ''
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS ''
    setting POSTGRES_HOST_AUTH_METHOD scram-sha-256
    initialise
    unset POSTGRES_PASSWORD
  fi
fi
exec "$@"
