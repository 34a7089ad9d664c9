# CRDs of real charts, for suites and measurements that want many and large ones.
# shellcheck shell=bash

# chart_crds CHART MODULE VERSION FOLDER: copies the CRDs that lie in that folder of the module.
chart_crds() {
  local module
  module=$(go mod download -json "$2@v$3" | sed -nE 's/^[[:space:]]*"Dir": "(.*)",?$/\1/p')
  grep -l --null '^kind: CustomResourceDefinition' "$module/$4"/*.yaml |
    xargs -0 install -D -m 644 -t "$lab/crds.part/$1"
}

# Thirty-three CRDs, 6.9 MB: two charts whole, and of the third the first 17 by name, the largest among them.
bench_crds() {
  local charts=$lab/crds.part
  mkdir "$charts/bench-33"
  local secrets=("$charts"/external-secrets/*.yaml)
  cp -t "$charts/bench-33" "$charts"/{cert-manager,prometheus-operator}/*.yaml "${secrets[@]:0:17}"
}

collect_crds() {
  go_environment
  rm -rf "$lab/crds.part"
  chart_crds cert-manager github.com/cert-manager/cert-manager "$cert_manager_version" deploy/crds
  chart_crds external-secrets github.com/external-secrets/external-secrets "$external_secrets_version" config/crds/bases
  chart_crds prometheus-operator github.com/prometheus-operator/prometheus-operator "$prometheus_operator_version" \
    example/prometheus-operator-crd
  bench_crds
  [[ $(find "$lab/crds.part/bench-33" -type f | wc -l) == 33 ]]
  rm -rf "$lab/crds"
  mv "$lab/crds.part" "$lab/crds"
}

crds_fingerprint() { fingerprint "$(recipe chart_crds)" "$(recipe collect_crds)" "$(recipe bench_crds)"; }
