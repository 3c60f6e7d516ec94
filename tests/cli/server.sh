# shellcheck shell=bash disable=SC2034,SC2154 # it reads what the scripts set, and they what it sets
# SPDX-License-Identifier: Apache-2.0
# A PostgreSQL server of the script's own, in a folder that goes with it, on a private socket; sourced
# after lib.sh. server_begin leaves its URL in $url; it fails where there is no PostgreSQL.
server_of=$(for folder in /usr/lib/postgresql/*/bin; do [ ! -x "$folder/postgres" ] || echo "$folder"; done | tail -1)
server_dir=
# The server refuses to run as root.
server_run() {
  if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/ "$@"); else "$@"; fi
}
server_start() {
  server_run "$server_of/pg_ctl" -D "$server_dir/data" -w -t 30 -l "$server_dir/log" \
    -o "-c listen_addresses='' -c unix_socket_directories=$server_dir -c fsync=off -c log_min_messages=fatal" start >/dev/null 2>&1
}
server_stop() { server_run "$server_of/pg_ctl" -D "$server_dir/data" -w -t 30 -m immediate stop >/dev/null 2>&1; }
server_end() {
  [ -z "$server_dir" ] || { server_stop && rm -rf "$server_dir"; }
  rm -rf "$dir"
}
server_begin() {
  [ -n "$server_of" ] || return 1
  if [ "$(id -u)" = 0 ] && ! id postgres >/dev/null 2>&1; then return 1; fi
  server_dir=$(mktemp -d -t cohort-pg.XXXXXX)
  trap server_end EXIT
  [ "$(id -u)" != 0 ] || chown postgres "$server_dir"
  server_run "$server_of/initdb" -D "$server_dir/data" -U cohort --auth=trust --no-sync -E UTF8 \
    --locale=C >"$server_dir.log" 2>&1 || { cat "$server_dir.log"; return 1; }
  rm -f "$server_dir.log"
  server_start || return 1
  url="postgresql://cohort@/postgres?host=$server_dir"
}
sql() { "$server_of/psql" "$url" -qAt -v ON_ERROR_STOP=1 -c "$1"; }
# Absent, its tests are not run; where CI is set that is a failure.
server_or_not_run() {
  server_begin && return 0
  echo 'NOT RUN: PostgreSQL: there is no server (apt install postgresql)'
  [ -z "${CI:-}" ] || fail 'there is no PostgreSQL server, and CI is set'
  return 1
}
