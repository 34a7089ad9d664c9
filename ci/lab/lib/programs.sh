# The programs, each built from its Go module by its released version.
# shellcheck shell=bash

programs=(kubernetes kind helm helm3 etcd coredns pause local-path-provisioner minio cnpg redis_operator temporal)

# Go of our own caches, so that they can be measured and dropped; nothing of the caller's settings but where modules come from.
go_environment() {
  export GOCACHE=$lab/go/cache GOMODCACHE=$lab/go/modules GOFLAGS="-mod=mod -buildvcs=false" GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0
}

# source_folder NAME: where NAME's own little module is, made anew; with main.go where the lab has one of its own.
source_folder() {
  local folder=$lab/go/src/$1
  mkdir -p "$folder"
  [[ ! -f $files/$1/main.go ]] || cp "$files/$1/main.go" "$folder/"
  printf 'module seaworthy.test/lab/%s\n\ngo 1.24.0\n' "$1" >"$folder/go.mod"
  echo "$folder"
}

# compile NAME PACKAGE [LINKER-FLAGS]: in the current module.
compile() {
  mkdir -p "$lab/programs"
  go build -trimpath -ldflags "-s -w ${3:-}" -o "$lab/programs/$1.part" "$2"
  mv "$lab/programs/$1.part" "$lab/programs/$1"
}

# released NAME MODULE VERSION PACKAGE [LINKER-FLAGS]: a program as its module has it. Our own module
# around it keeps the versions that its go.mod names, and unlike `go install` needs no GOBIN.
released() {
  cd "$(source_folder "$1")"
  echo "require $2 v$3" >>go.mod
  compile "$1" "$4" "${5:-}"
}

# All of Kubernetes. Its go.mod points at staging folders that a module does not carry;
# each was released under its own name too, as v0.MINOR.PATCH.
build_kubernetes() {
  local minor patch upstream version=v$kubernetes_version
  IFS=. read -r _ minor patch <<<"$kubernetes_version"
  cd "$(source_folder kubernetes)"
  upstream=$(go mod download -json "k8s.io/kubernetes@$version" | sed -nE 's/^[[:space:]]*"GoMod": "(.*)",$/\1/p')
  {
    echo "require k8s.io/kubernetes $version"
    sed -nE "s#^[[:space:]]*(k8s.io/[a-z0-9-]+) => ./staging/.*#replace \1 => \1 v0.$minor.$patch#p" "$upstream"
  } >>go.mod
  local server=k8s.io/component-base/version client=k8s.io/client-go/pkg/version
  compile kubernetes . "
    -X $server.gitVersion=$version -X $server.gitMajor=1 -X $server.gitMinor=$minor
    -X $client.gitVersion=$version -X $client.gitMajor=1 -X $client.gitMinor=$minor"
}

build_kind() { released kind sigs.k8s.io/kind "$kind_version" sigs.k8s.io/kind; }

build_helm() {
  released helm helm.sh/helm/v4 "$helm_version" helm.sh/helm/v4/cmd/helm \
    "-X helm.sh/helm/v4/internal/version.version=v$helm_version"
}

build_helm3() {
  released helm3 helm.sh/helm/v3 "$helm3_version" helm.sh/helm/v3/cmd/helm \
    "-X helm.sh/helm/v3/internal/version.version=v$helm3_version"
}

build_etcd() { released etcd go.etcd.io/etcd/server/v3 "$etcd_version" go.etcd.io/etcd/server/v3; }

build_coredns() {
  cd "$(source_folder coredns)"
  echo "require github.com/coredns/coredns v$coredns_version" >>go.mod
  compile coredns .
}

build_pause() {
  cd "$(source_folder pause)"
  compile pause .
}

build_local-path-provisioner() {
  local module=github.com/rancher/local-path-provisioner
  released local-path-provisioner "$module" "$local_path_provisioner_version" "$module" "-X main.VERSION=v$local_path_provisioner_version"
}

build_minio() { released minio github.com/minio/minio "$minio_version" github.com/minio/minio; }

# Both the operator, and what runs PostgreSQL in the pods that it makes.
build_cnpg() {
  local module=github.com/cloudnative-pg/cloudnative-pg
  released cnpg "$module" "$cnpg_version" "$module/cmd/manager" "-X $module/pkg/versions.buildVersion=$cnpg_version"
}

# Spotahome's.
build_redis_operator() {
  local module=github.com/spotahome/redis-operator
  released redis_operator "$module" "$redis_operator_version" "$module/cmd/redisoperator"
}

build_temporal() {
  local module=github.com/temporalio/cli
  released temporal "$module" "$temporal_version" "$module/cmd/temporal" "-X $module/temporalcli.Version=$temporal_version"
}

# What a person or the product calls; the rest goes into images only.
link_tools() {
  mkdir -p "$lab/bin"
  local tool
  for tool in kind helm helm3; do ln -sfn "../programs/$tool" "$lab/bin/$tool"; done
  ln -sfn ../programs/kubernetes "$lab/bin/kubectl"
}

program_fingerprint() { fingerprint "$(recipe "build_$1")" "$files/$1"; }

# program_version NAME: what the current one is of; its stamp says whether it is current.
program_version() {
  local version=${1//-/_}_version
  echo "${!version}"
}

free_gigabytes() { df --output=avail --block-size=1G "$lab" | tail -n 1 | tr -d ' '; }

# Modules are read-only, so that only Go itself removes them willingly.
drop_caches() {
  go_environment
  [[ ! -d $lab/go/cache ]] || go clean -cache
  [[ ! -d $lab/go/modules ]] || go clean -modcache
  rm -rf "$lab/go"
}

drop_caches_if_short() {
  [[ -d $lab/go ]] && (($(free_gigabytes) < roomy_gigabytes)) || return 0
  perform drop-caches drop_caches
}
