# The node image: what `kind create cluster --image` needs, made of Debian packages and the lab's programs.
# shellcheck shell=bash

node_packages=(systemd systemd-sysv kmod mount procps iproute2 iptables conntrack ethtool socat jq
  containerd runc containernetworking-plugins)

# Units that only wait for hardware which a container does not have.
node_masked_units=(systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket
  systemd-modules-load.service systemd-logind.service systemd-timesyncd.service systemd-pstore.service
  systemd-sysusers.service getty.target console-getty.service sys-kernel-debug.mount sys-kernel-tracing.mount
  sys-kernel-config.mount sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount)

image_node() {
  local tree
  tree=$(scratch node)
  debian_tree "$tree" 'dmsetup|netbase' "${userland[@]}" "${node_packages[@]}"
  node_programs "$tree"
  node_units "$tree"
  node_settings "$tree"
  node_containers "$tree"
  import_tree "$tree" "$1" "$2" 'ENV container=docker' "$search_path" \
    'STOPSIGNAL SIGRTMIN+3' 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]'
}

node_programs() {
  local tree=$1 name
  install "$lab/programs/kubernetes" "$tree/usr/bin/kubernetes"
  for name in kubelet kubeadm kubectl; do ln -s kubernetes "$tree/usr/bin/$name"; done
  install -D -t "$tree/usr/local/bin" "$files"/node/{entrypoint,kubelet-cgroups,crictl} "$files/engine/runc-nocap"
  # The choice that update-alternatives would make.
  for name in iptables ip6tables; do
    for suffix in '' -save -restore; do ln -sfn "xtables-nft-multi" "$tree/usr/sbin/$name$suffix"; done
  done
}

node_units() {
  local tree=$1 units=$1/etc/systemd/system unit
  mkdir -p "$units/multi-user.target.wants"
  cp "$files/node/kubelet.service" "$units/"
  ln -s ../kubelet.service "$units/multi-user.target.wants/"
  ln -s /lib/systemd/system/containerd.service "$units/multi-user.target.wants/"
  ln -s /lib/systemd/system/multi-user.target "$units/default.target"
  for unit in "${node_masked_units[@]}"; do ln -sfn /dev/null "$units/$unit"; done
}

node_settings() {
  local tree=$1
  install -D -m 644 "$files/node/containerd.toml" "$tree/etc/containerd/config.toml"
  install -D -m 644 "$files/node/kubelet-lab.conf" "$tree/etc/seaworthy-lab/kubelet.d/10-lab.conf"
  # The entrypoint fills in the node's own number.
  install -D -m 644 -t "$tree/etc/seaworthy-lab" "$files/node/10-bridge.conflist"
  mkdir -p "$tree/etc/cni/net.d"
  install -D -m 644 -t "$tree/kind/manifests" "$files"/node/default-{cni,storage}.yaml
  echo "v$kubernetes_version" >"$tree/kind/version"
  : >"$tree/etc/machine-id"
}

# The containers that a new cluster starts with, as the content of containerd's own store: importing
# archives while the node boots would take longer than all the rest.
node_containers() {
  local tree=$1 archive=$lab/trees/containers.tar
  local images=("$busybox_image" "$storage_image") registry=registry.k8s.io name
  node_control_plane "$tree" "$lab/trees/control-plane" "$registry/kube-apiserver:v$kubernetes_version"
  images+=("$registry/kube-apiserver:v$kubernetes_version")
  for name in kube-controller-manager kube-scheduler kube-proxy; do
    images+=("$registry/$name:v$kubernetes_version")
    docker tag "$registry/kube-apiserver:v$kubernetes_version" "$registry/$name:v$kubernetes_version"
  done
  node_container etcd "$registry/etcd:$etcd_version-0" /usr/local/bin/etcd
  node_container coredns "$registry/coredns/coredns:v$coredns_version" /coredns
  node_container pause "$registry/pause:$pause_version" /pause
  images+=("$registry/etcd:$etcd_version-0" "$registry/coredns/coredns:v$coredns_version" "$registry/pause:$pause_version")
  docker save --output "$archive" "${images[@]}"
  docker image rm "${images[@]:2}" >/dev/null
  preload "$tree/var/lib/containerd" "$archive"
  rm "$archive"
}

# One image for the four programs, in one layer: kube-proxy's iptables is small beside them.
node_control_plane() {
  local node=$1 tree name
  tree=$(scratch control-plane)
  # iptables loads its matches and targets by name, and some of them want libraries of their own.
  local matches=("$node"/usr/lib/x86_64-linux-gnu/xtables/*.so)
  copy_with_libraries "$node" "$tree" /usr/sbin/xtables-nft-multi "${matches[@]#"$node"}"
  install -D "$lab/programs/kubernetes" "$tree/usr/local/bin/kubernetes"
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
    ln -s kubernetes "$tree/usr/local/bin/$name"
  done
  for name in iptables ip6tables; do
    for suffix in '' -save -restore; do ln -s xtables-nft-multi "$tree/usr/sbin/$name$suffix"; done
  done
  import_tree "$tree" "$3" "$search_path"
}

# node_container PROGRAM IMAGE PATH: an image of nothing but the program.
node_container() {
  local tree
  tree=$(scratch "$1")
  install -D "$lab/programs/$1" "$tree$3"
  import_tree "$tree" "$2" "$search_path" "ENTRYPOINT [\"$3\"]"
}

# preload STORE ARCHIVE: lets a containerd of its own, with its root there, import and unpack the images.
# The archived form of each must stay beside the unpacked one, or a restarted containerd disowns it;
# compressed, since every new node copies the store into its volume.
preload() {
  local root=$1 archive=$2 socket
  # Not local: the trap outlives this function.
  state=$(mktemp --directory)
  socket=$state/containerd.sock
  cat >"$state/config.toml" <<TOML
version = 2
root = "$root"
state = "$state/run"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$socket"
TOML
  mkdir -p "$root"
  containerd --config "$state/config.toml" 8>&- &
  pid=$!
  # Also when this step fails or is interrupted.
  trap 'kill "$pid"; rm -rf "$state"' EXIT
  await 20 "a containerd to import into" ctr --address "$socket" version
  ctr --address "$socket" --namespace k8s.io images import --snapshotter overlayfs --compress-blobs "$archive"
  kill "$pid"
  wait "$pid" || true
  trap - EXIT
  rm -rf "$state"
}

# What image_node is made of, for its fingerprint.
node_recipe() {
  local name
  echo "${node_packages[*]} ${node_masked_units[*]}"
  for name in node_programs node_units node_settings node_containers node_control_plane node_container preload; do
    recipe "$name"
  done
}
