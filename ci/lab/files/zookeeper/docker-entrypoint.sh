#!/bin/bash
# The contract of the official image, for one server alone: ZOO_… are its settings where /conf has no zoo.cfg, and ZK_SERVER_HEAP is
# its heap in megabytes.
set -euo pipefail

config=/conf/zoo.cfg
if [[ ! -f $config ]]; then
  {
    echo dataDir=/data
    echo dataLogDir=/datalog
    echo clientPort=2181
    echo "tickTime=${ZOO_TICK_TIME:-2000}"
    echo "maxClientCnxns=${ZOO_MAX_CLIENT_CNXNS:-60}"
    # What that is served with is left out of the image.
    echo admin.enableServer=false
    [[ -z ${ZOO_4LW_COMMANDS_WHITELIST:-} ]] || echo "4lw.commands.whitelist=$ZOO_4LW_COMMANDS_WHITELIST"
    # Each word is a line.
    for line in ${ZOO_CFG_EXTRA:-}; do echo "$line"; done
  } >"$config"
fi

# shellcheck disable=SC2086
exec java "-Xmx${ZK_SERVER_HEAP:-1000}m" ${JVMFLAGS:-} -cp '/opt/zookeeper/*' \
  org.apache.zookeeper.server.quorum.QuorumPeerMain "$config"
