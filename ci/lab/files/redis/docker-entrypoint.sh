#!/bin/sh
# What charts expect of the official image: options alone mean redis-server, and root becomes redis.
set -eu

case ${1:-} in
  -* | *.conf) set -- redis-server "$@" ;;
esac

if [ "${1:-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' +
  exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi

umask 0077
exec "$@"
