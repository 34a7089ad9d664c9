# The container engine: whether the machine has one of its own, and if not, starting and stopping ours.
# shellcheck shell=bash

engine_packages=(docker.io containerd runc cgroupfs-mount apparmor iptables iproute2 jq)
engine_pidfile=$lab/engine/dockerd.pid

engine_answers() { timeout 10 docker info --format '{{.ServerVersion}}'; }

# runs_as PIDFILE PROGRAM: a pid alone proves nothing, since it may be somebody else's by now.
runs_as() {
  [[ -f $1 && $(cat "/proc/$(<"$1")/comm" 2>/dev/null) == "$2" ]]
}

engine_is_ours() { runs_as "$engine_pidfile" dockerd; }

# pulls ENGINE: an engine that has once fetched this image reaches a registry; a new one is asked to.
pulls() {
  local image=hello-world:linux
  timeout 10 "$1" image inspect "$image" >/dev/null 2>&1 || timeout 60 "$1" pull "$image" >/dev/null 2>&1
}

# workstation: prints the engine that makes a lab unnecessary, where there is one.
# An engine that holds our node image was found wanting before, and is not asked again.
workstation() {
  local engine
  ! engine_is_ours || return 1
  ! timeout 10 docker image inspect "$node_image" >/dev/null 2>&1 || return 1
  for engine in docker podman; do
    command -v "$engine" >/dev/null || continue
    timeout 10 "$engine" info >/dev/null 2>&1 || continue
    if pulls "$engine"; then
      echo "$engine"
      return
    fi
  done
  return 1
}

install_engine() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "${engine_packages[@]}"
}

engine_installed() {
  local program
  for program in docker dockerd containerd ctr runc cgroupfs-mount iptables ip jq; do
    command -v "$program" >/dev/null || return
  done
}

# Pid files outlive a machine's restart, and their numbers then belong to others: dockerd would refuse to start.
forget_dead_engine() {
  local pidfile=/var/run/docker/containerd/containerd.pid
  engine_is_ours || rm -f "$engine_pidfile"
  runs_as "$pidfile" containerd || rm -f "$pidfile"
}

start_engine() {
  mkdir -p "$lab/engine"
  install -m 755 "$files/engine/runc-nocap" "$lab/engine/runc-nocap"
  sed "s#@lab@#$lab#" "$files/engine/daemon.json" >"$lab/engine/daemon.json"
  forget_dead_engine
  # Most machines have mounted them by now, and then it does nothing; without them no engine starts.
  cgroupfs-mount
  setsid dockerd --config-file "$lab/engine/daemon.json" >"$lab/logs/dockerd.log" 2>&1 </dev/null 8>&- &
  await 60 "the engine" engine_answers || {
    tail -n 10 "$lab/logs/dockerd.log"
    return 1
  }
}

# gone PID: for waiting.
gone() {
  [[ ! -e /proc/$1 ]] || {
    cat "/proc/$1/comm"
    return 1
  }
}

stop_engine() {
  local pid
  pid=$(<"$engine_pidfile")
  kill "$pid"
  await 30 "the engine (pid $pid) to stop" gone "$pid"
}

# The clusters that kind has on this engine, one name a line; also where kind itself is not built yet.
lab_clusters() {
  docker ps --all --filter label=io.x-k8s.kind.cluster --format '{{.Label "io.x-k8s.kind.cluster"}}' | sort -u
}

delete_clusters() {
  local cluster
  for cluster in $(lab_clusters); do
    perform "cluster-$cluster-delete" "$lab/bin/kind" delete cluster --name "$cluster"
  done
}

# In an engine that is not ours, only the images are.
remove_images() {
  docker image ls --quiet 'seaworthy-lab/*' | sort -u | xargs --no-run-if-empty docker image rm --force
}

# Layers of the engine's data may still be mounted where it was killed; Go's modules are read-only.
remove_folder() {
  local mounted
  awk -v data="$lab/engine/data" 'index($2, data) == 1 { print $2 }' /proc/mounts | sort --reverse |
    while read -r mounted; do umount "$mounted"; done
  [[ ! -d $lab/go/modules ]] || chmod -R u+w "$lab/go/modules"
  rm -rf "$lab"
}
