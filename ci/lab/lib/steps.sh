# How work is done here: in named steps that are told, logged, done once, and never done by two at a time.
# shellcheck shell=bash

say() { printf 'lab: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# require COMMAND WHY: what the machine itself has to bring.
require() {
  command -v "$1" >/dev/null || fail "$1 is missing: $2"
}

# alone: waits for whoever else is building here, then keeps them out until this process ends.
# Whatever a step leaves running must be started with 8>&-, or it would keep them out for ever.
alone() {
  local patience=2400
  mkdir -p "$lab"
  exec 8>>"$lab/lock"
  flock --nonblock 8 && return
  say "another up is at work (pid $(cat "$lab/builder" 2>/dev/null || echo unknown)); waiting for it"
  flock --timeout "$patience" 8 ||
    fail "still locked after $patience s; last step begun: $(cat "$lab/step" 2>/dev/null || echo unknown)"
}

# perform NAME COMMAND…: runs it with its output in logs/NAME.log; says how long it took, or shows how it failed.
perform() {
  local name=$1 log=$lab/logs/$1.log begun=$SECONDS status
  shift
  mkdir -p "$lab/logs"
  echo "$name" >"$lab/step"
  say "$name …"
  # Not as a condition: bash would then ignore every failure inside but the last.
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if ((status != 0)); then
    tail -n 15 "$log" | sed 's/^/    /' >&2
    fail "$name failed after $((SECONDS - begun)) s. The whole log: $log. Running ci/lab/up again goes on from here."
  fi
  say "$name: $((SECONDS - begun)) s"
}

# once NAME FINGERPRINT COMMAND…: performs it unless it has been performed for this fingerprint.
once() {
  local name=$1 fingerprint=$2 stamp=$lab/stamps/$1
  shift 2
  [[ -f $stamp && $(<"$stamp") == "$fingerprint" ]] && return
  perform "$name" "$@"
  mkdir -p "$lab/stamps"
  echo "$fingerprint" >"$stamp.part"
  mv "$stamp.part" "$stamp"
}

# fingerprint WORD…: words, and the content of those that are files or folders. Paths themselves do not count, or every
# checkout would build its own.
fingerprint() {
  local word
  for word in "$@"; do
    if [[ -e $word ]]; then
      find "$word" -type f -print0 | LC_ALL=C sort -z | xargs -0 cat
    elif [[ $word != /* ]]; then
      printf '%s\n' "$word"
    fi
  done | sha256sum | cut -c1-16
}

# recipe FUNCTION: its text, and the versions it names, for a fingerprint.
recipe() {
  local text version
  text=$(declare -f "$1")
  echo "$text"
  while read -r version; do
    echo "$version=${!version}"
  done < <(grep -oE '[a-z0-9_]+_version' <<<"$text" | sort -u)
}

# await SECONDS WHAT COMMAND…: until it succeeds; gives up with what it said last.
await() {
  local patience=$1 what=$2 deadline=$((SECONDS + $1)) said
  shift 2
  until said=$("$@" 2>&1); do
    if ((SECONDS >= deadline)); then
      say "waited $patience s for $what; last seen: ${said:-nothing}"
      return 1
    fi
    sleep 0.2
  done
}
