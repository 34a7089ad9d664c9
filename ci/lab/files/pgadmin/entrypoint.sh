#!/bin/bash
# The contract of the official image, as far as charts lean on it: PGADMIN_DEFAULT_EMAIL and PGADMIN_DEFAULT_PASSWORD (or the file
# that PGADMIN_DEFAULT_PASSWORD_FILE names), which it does not start without, and PGADMIN_SERVER_JSON_FILE matter only while there
# is no data; PGADMIN_LISTEN_ADDRESS, PGADMIN_LISTEN_PORT, GUNICORN_THREADS and PGADMIN_CONFIG_* at every start.
set -euo pipefail

data=/var/lib/pgadmin
server_list=${PGADMIN_SERVER_JSON_FILE:-/pgadmin4/servers.json}

fail() {
  echo "$*" >&2
  exit 1
}

# Each PGADMIN_CONFIG_NAME is a line of Python: NAME = value.
configure() {
  local setting
  {
    echo "DATA_DIR = '$data'"
    # The log is the container's.
    echo "LOG_FILE = '/dev/null'"
    for setting in "${!PGADMIN_CONFIG_@}"; do
      echo "${setting#PGADMIN_CONFIG_} = ${!setting}"
    done
  } >/pgadmin4/config_distro.py
}

first_start() {
  local password=${PGADMIN_DEFAULT_PASSWORD:-}
  [[ -z ${PGADMIN_DEFAULT_PASSWORD_FILE:-} ]] || password=$(<"$PGADMIN_DEFAULT_PASSWORD_FILE")
  [[ -n ${PGADMIN_DEFAULT_EMAIL:-} && -n $password ]] ||
    fail "You need to define the PGADMIN_DEFAULT_EMAIL and PGADMIN_DEFAULT_PASSWORD or PGADMIN_DEFAULT_PASSWORD_FILE."
  python3 -c 'import sys, email_validator as v; v.validate_email(sys.argv[1], check_deliverability=False)' \
    "$PGADMIN_DEFAULT_EMAIL" 2>/dev/null ||
    fail "'$PGADMIN_DEFAULT_EMAIL' does not appear to be a valid email address. Please reset the PGADMIN_DEFAULT_EMAIL."
  PGADMIN_SETUP_EMAIL=$PGADMIN_DEFAULT_EMAIL PGADMIN_SETUP_PASSWORD=$password python3 setup.py setup-db
  [[ ! -f $server_list ]] || python3 setup.py load-servers "$server_list" --user "$PGADMIN_DEFAULT_EMAIL"
}

cd /pgadmin4
configure
[[ -f $data/pgadmin4.db ]] || first_start
unset PGADMIN_DEFAULT_PASSWORD
# One process: its sessions know each other only there.
exec python3 -m gunicorn --bind "${PGADMIN_LISTEN_ADDRESS:-0.0.0.0}:${PGADMIN_LISTEN_PORT:-80}" --workers 1 \
  --threads "${GUNICORN_THREADS:-25}" --timeout 86400 --access-logfile "${GUNICORN_ACCESS_LOGFILE:--}" run_pgadmin:app
