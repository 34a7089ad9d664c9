# What the lab is made of: versions, image names and folders. Every pinned thing is pinned here.
# shellcheck shell=bash

# 1.34 is the newest Kubernetes that runs on cgroup v1 without being told to.
kubernetes_version=1.34.4
kind_version=0.33.0
helm_version=4.3.1
helm3_version=3.22.0
# These three are what `kubeadm config images list` asks for, beside the control plane itself.
etcd_version=3.6.5
coredns_version=1.12.1
pause_version=3.10.1
# The newest that the registry has as a module; files/node/default-storage.yaml names it too.
local_path_provisioner_version=0.0.30

cert_manager_version=1.21.2
external_secrets_version=1.3.2
prometheus_operator_version=0.85.0

# The newest of the line whose image the charts name; from Maven, with a Java of its own.
flyway_version=10.22.0
# From Maven as well, on Debian's Java.
kafka_version=4.1.0
maven_dependency_version=3.8.1
neo4j_version=5.26.0

# The last state of the sources; its releases are no versions of a module.
minio_version=0.0.0-20260212201848-7aac2a2c5b7c

cnpg_version=1.27.0
# The last that was released.
redis_operator_version=1.2.4

# By the version of the program that its development server, which is 1.29.1, is part of. Newer ones have a part in a folder that a module
# does not carry.
temporal_version=1.5.1

# From PyPI, on Debian's Python.
pgadmin_version=9.18
gunicorn_version=23.0.0

node_image=seaworthy-lab/node:v$kubernetes_version
storage_image=seaworthy-lab/local-path-provisioner:$local_path_provisioner_version
busybox_image=seaworthy-lab/busybox:1.35
redis_image=seaworthy-lab/redis:7.0
postgres_image=seaworthy-lab/postgres:15
patroni_image=seaworthy-lab/patroni:3.0
clickhouse_image=seaworthy-lab/clickhouse:18.16
zookeeper_image=seaworthy-lab/zookeeper:3.8
flyway_image=seaworthy-lab/flyway:$flyway_version
kafka_image=seaworthy-lab/kafka:$kafka_version
minio_image=seaworthy-lab/minio:2026-02-12
pgadmin_image=seaworthy-lab/pgadmin:$pgadmin_version
neo4j_image=seaworthy-lab/neo4j:$neo4j_version
temporal_image=seaworthy-lab/temporal:$temporal_version
cnpg_image=seaworthy-lab/cnpg:$cnpg_version
# The operator reads PostgreSQL's version from the tag.
operand_image=seaworthy-lab/cnpg-postgresql:15
redis_operator_image=seaworthy-lab/redis-operator:$redis_operator_version
services=(busybox redis postgres patroni clickhouse zookeeper flyway kafka minio pgadmin neo4j cnpg operand redis_operator temporal)

# Below this many free gigabytes the compiler's caches are dropped once the programs stand.
roomy_gigabytes=15

# Orders of names, and words of tools that are read back, must not depend on the machine.
export LC_ALL=C.UTF-8

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
files=$here/files
lab=${SEAWORTHY_LAB:-${XDG_CACHE_HOME:-${HOME:?the lab lives below HOME}/.cache}/seaworthy-lab}
