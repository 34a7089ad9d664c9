# The images: each a tree of files, imported whole. (The engine has no BuildKit, and one layer is all they need.)
# shellcheck shell=bash

fingerprint_label=seaworthy.lab.fingerprint

# scratch NAME: an empty folder for a tree.
scratch() {
  rm -rf "$lab/trees/$1"
  mkdir -p "$lab/trees/$1"
  echo "$lab/trees/$1"
}

# import_tree TREE IMAGE LINE…: makes it an image, described by lines of a Dockerfile, and drops it.
# (`docker import --change` knows no STOPSIGNAL, so the description is a build of its own.)
import_tree() {
  local tree=$1 image=$2 layer
  shift 2
  layer=$(tar --create --directory "$tree" --numeric-owner . | docker import -)
  printf '%s\n' "FROM $layer" "$@" | DOCKER_BUILDKIT=0 docker build --quiet --tag "$image" -
  rm -rf "$tree"
}

# Images that a newer one has taken the name of, unless a cluster still runs on them.
drop_superseded_images() { docker image prune --force --filter "label=$fingerprint_label" >/dev/null; }

# image_fingerprint NAME INGREDIENT…: of its recipe, its files, and whatever else goes into it.
image_fingerprint() {
  local name=$1
  shift
  fingerprint "$(declare -f debian_tree postgres_tree finish_tree merge_usr download copy_with_libraries import_tree)" \
    "${userland[*]}" "$(recipe "image_$name")" "$files/$name" "$@"
}

label_of() {
  docker image inspect --format "{{index .Config.Labels \"$fingerprint_label\"}}" "$1" 2>/dev/null || true
}

# once_image NAME IMAGE FINGERPRINT: builds it unless the engine has it with this fingerprint.
once_image() {
  [[ $(label_of "$2") != "$3" ]] || return 0
  perform "image-$1" "image_$1" "$2" "LABEL $fingerprint_label=$3"
  drop_superseded_images
}

search_path='ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

image_busybox() {
  local tree archive applet
  tree=$(scratch busybox)
  download "$tree.archives" busybox-static bash-static
  for archive in "$tree.archives"/*-static_*.deb; do dpkg-deb --extract "$archive" "$tree.package"; done
  mkdir -p "$tree"/{bin,etc,root,run,tmp,var/www}
  chmod 1777 "$tree/tmp"
  cp "$tree.package"/bin/{busybox,bash-static} "$tree/bin/"
  rm -rf "$tree.archives" "$tree.package"
  for applet in $("$tree/bin/busybox" --list); do
    [[ $applet == busybox ]] || ln -s busybox "$tree/bin/$applet"
  done
  # busybox's own shell would run its own wget, whatever lies in /bin.
  rm "$tree"/bin/{wget,sh}
  ln -s bash-static "$tree/bin/sh"
  install "$files/busybox/wget" "$tree/bin/wget"
  cp "$files"/busybox/{passwd,group} "$tree/etc/"
  import_tree "$tree" "$1" "$2" "$search_path" 'CMD ["sh"]'
}

image_redis() {
  local tree
  tree=$(scratch redis)
  debian_tree "$tree" 'lsb-base|sysvinit-utils|libpam.*' "${userland[@]}" redis-server redis-tools
  add_user "$tree" redis 999 /data
  install -d -o 999 -g 999 "$tree/data"
  install -D -m 755 "$files/redis/docker-entrypoint.sh" "$tree/usr/local/bin/docker-entrypoint.sh"
  import_tree "$tree" "$1" "$2" "$search_path" 'WORKDIR /data' 'VOLUME /data' 'EXPOSE 6379' \
    'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["redis-server"]'
}

# postgres_tree TREE PACKAGE…: PostgreSQL's server and clients, with further packages.
postgres_tree() {
  local tree=$1
  shift
  # LLVM is for just-in-time compilation only, and half of the image.
  debian_tree "$tree" 'libllvm14|libz3-4|locales|libc-l10n|lsb-base|sysvinit-utils|postgresql(-client)?-common' \
    "${userland[@]}" postgresql-15 postgresql-client-15 "$@"
  rm -rf "$tree"/usr/lib/postgresql/15/lib/{llvmjit*,bitcode} "$tree/usr/share/postgresql/15/man"
}

image_postgres() {
  local tree share
  tree=$(scratch postgres)
  postgres_tree "$tree"
  share=$tree/usr/share/postgresql/15
  add_user "$tree" postgres 999 /var/lib/postgresql
  install -d -o 999 -g 999 "$tree"/var/lib/postgresql{,/data} "$tree/docker-entrypoint-initdb.d"
  install -d -o 999 -g 999 -m 3777 "$tree/var/run/postgresql"
  # Debian's sample is what initdb copies; the official image listens on every address.
  sed -ri "s/^#?listen_addresses = .*/listen_addresses = '*'/" "$share/postgresql.conf.sample"
  install -D -m 755 "$files/postgres/docker-entrypoint.sh" "$tree/usr/local/bin/docker-entrypoint.sh"
  import_tree "$tree" "$1" "$2" "${search_path}:/usr/lib/postgresql/15/bin" \
    'ENV LANG=C.UTF-8' 'ENV PGDATA=/var/lib/postgresql/data' 'VOLUME /var/lib/postgresql/data' 'EXPOSE 5432' \
    'STOPSIGNAL SIGINT' 'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["postgres"]'
}

# Patroni comes with clients of every store that it can keep its state in as alternatives; Kubernetes needs none, and of the
# others one is small.
image_patroni() {
  local tree
  tree=$(scratch patroni)
  postgres_tree "$tree" patroni python3-pysyncobj
  # As in the image that the chart names.
  add_user "$tree" postgres 101 /home/postgres
  install -d -o 101 -g 101 "$tree/home/postgres"
  install -d -o 101 -g 101 -m 3777 "$tree/var/run/postgresql"
  import_tree "$tree" "$1" "$2" "${search_path}:/usr/lib/postgresql/15/bin" 'ENV LANG=C.UTF-8' 'EXPOSE 5432 8008' \
    'CMD ["patroni", "--help"]'
}

image_clickhouse() {
  local tree config
  tree=$(scratch clickhouse)
  debian_tree "$tree" 'lsb-base|sysvinit-utils|mysql-common|mariadb-common|libpam.*' "${userland[@]}" \
    clickhouse-server clickhouse-client tzdata
  config=$tree/etc/clickhouse-server
  add_user "$tree" clickhouse 101 /var/lib/clickhouse
  # Neither the server nor its client starts without a time zone.
  ln -s /usr/share/zoneinfo/Etc/UTC "$tree/etc/localtime"
  install -d -o 101 -g 101 "$tree/var/lib/clickhouse" "$config/users.d" "$tree/docker-entrypoint-initdb.d"
  install -D -m 644 "$files/clickhouse/docker.xml" "$config/config.d/docker.xml"
  install -D -m 755 "$files/clickhouse/docker-entrypoint.sh" "$tree/entrypoint.sh"
  import_tree "$tree" "$1" "$2" "$search_path" 'ENV LANG=C.UTF-8' 'VOLUME /var/lib/clickhouse' \
    'EXPOSE 8123 9000 9009' 'ENTRYPOINT ["/entrypoint.sh"]'
}

# Of what Debian's package asks for a server alone loads next to nothing: its own classes, those of its metrics and its log.
image_zookeeper() {
  local tree library
  tree=$(scratch zookeeper)
  debian_tree "$tree" \
    'lsb-base|sysvinit-utils|ca-certificates.*|openssl|java-common|default-jre.*|libcups2|libavahi.*|fontconfig-config|fonts-.*|libglib2.*|libnss3|libnspr4|libsqlite3-0|junit4|libtomcat9-java|libjetty9.*|libnetty.*|libapr1' \
    "${userland[@]}" openjdk-17-jre-headless libzookeeper-java libstdc++6 zlib1g
  ln -s "$(basename "$tree"/usr/lib/jvm/java-17-openjdk-*)" "$tree/usr/lib/jvm/java"
  mkdir -p "$tree/opt/zookeeper"
  for library in zookeeper zookeeper-jute metrics-core slf4j-api slf4j-simple snappy-java; do
    cp --dereference "$tree/usr/share/java/$library.jar" "$tree/opt/zookeeper/"
  done
  rm -rf "$tree"/usr/share/{java,maven-repo}
  add_user "$tree" zookeeper 1000 /data
  install -d -o 1000 -g 1000 "$tree"/{conf,data,datalog,logs}
  install -D -m 755 "$files/zookeeper/docker-entrypoint.sh" "$tree/docker-entrypoint.sh"
  import_tree "$tree" "$1" "$2" "${search_path}:/usr/lib/jvm/java/bin" 'ENV LANG=C.UTF-8' 'USER zookeeper' \
    'VOLUME /data /datalog /logs' 'EXPOSE 2181 2888 3888 8080' 'ENTRYPOINT ["/docker-entrypoint.sh"]'
}

install_maven() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 maven
}

# Flyway as its publisher packs it, with the one driver that is used.
image_flyway() {
  local tree archive=$lab/maven/flyway-commandline-$flyway_version-linux-x64.tar.gz
  tree=$(scratch flyway)
  debian_tree "$tree" 'lsb-base' "${userland[@]}" zlib1g
  command -v mvn >/dev/null || install_maven
  mvn --quiet --batch-mode -Dmaven.repo.local="$lab/maven/repository" \
    "org.apache.maven.plugins:maven-dependency-plugin:$maven_dependency_version:copy" \
    -Dartifact="org.flywaydb:flyway-commandline:$flyway_version:tar.gz:linux-x64" -DoutputDirectory="$lab/maven"
  mkdir "$tree/flyway"
  tar --extract --file "$archive" --directory "$tree/flyway" --strip-components 1
  rm -rf "$lab/maven" "$tree"/flyway/{README.txt,flyway.cmd,licenses,lib/oracle_wallet}
  find "$tree/flyway/drivers" -mindepth 1 ! -name 'postgresql-*.jar' -delete
  mkdir -p "$tree/flyway/sql"
  # Whoever the container runs as reads and runs it.
  chmod -R a+rX "$tree/flyway"
  chmod a+x "$tree/flyway/flyway" "$tree"/flyway/jre/bin/*
  import_tree "$tree" "$1" "$2" "${search_path}:/flyway" 'ENV LANG=C.UTF-8' 'WORKDIR /flyway' \
    'ENTRYPOINT ["flyway"]' 'CMD ["-?"]'
}

# Kafka from Maven, on Debian's Java. Of what Java's package asks for, a broker loads next to nothing.
image_kafka() {
  local tree
  tree=$(scratch kafka)
  debian_tree "$tree" \
    'lsb-base|sysvinit-utils|ca-certificates.*|openssl|java-common|libcups2|libavahi.*|fontconfig-config|fonts-.*|libglib2.*|libnss3|libnspr4|libsqlite3-0' \
    "${userland[@]}" openjdk-17-jre-headless libstdc++6 zlib1g
  ln -s "$(basename "$tree"/usr/lib/jvm/java-17-openjdk-*)" "$tree/usr/lib/jvm/java"
  command -v mvn >/dev/null || install_maven
  mkdir -p "$tree/opt/kafka/libs"
  mvn --quiet --batch-mode -Dmaven.repo.local="$lab/maven/repository" --file "$files/kafka/pom.xml" \
    -Dkafka.version="$kafka_version" \
    "org.apache.maven.plugins:maven-dependency-plugin:$maven_dependency_version:copy-dependencies" \
    -DincludeScope=runtime -DoutputDirectory="$tree/opt/kafka/libs"
  rm -rf "$lab/maven"
  add_user "$tree" appuser 1000 /home/appuser
  install -d -o 1000 -g 1000 "$tree"/{home/appuser,opt/kafka/config,var/lib/kafka/data,mnt/shared/config}
  install -D -m 755 "$files/kafka/run" "$tree/etc/kafka/docker/run"
  install -m 644 "$files/kafka/log4j2.yaml" "$tree/etc/kafka/docker/log4j2.yaml"
  # The wrapper wants all three to be there.
  touch "$tree"/etc/kafka/docker/{server.properties,tools-log4j2.yaml}
  chmod -R a+rX "$tree/opt/kafka/libs"
  import_tree "$tree" "$1" "$2" "${search_path}:/usr/lib/jvm/java/bin" 'ENV LANG=C.UTF-8' 'USER appuser' \
    'VOLUME /var/lib/kafka/data' 'EXPOSE 9092' 'CMD ["/etc/kafka/docker/run"]'
}

# Neo4j from Maven, on Debian's Java as well.
image_neo4j() {
  local tree
  tree=$(scratch neo4j)
  debian_tree "$tree" \
    'lsb-base|sysvinit-utils|ca-certificates.*|openssl|java-common|libcups2|libavahi.*|fontconfig-config|fonts-.*|libglib2.*|libnss3|libnspr4|libsqlite3-0' \
    "${userland[@]}" openjdk-17-jre-headless libstdc++6 zlib1g
  ln -s "$(basename "$tree"/usr/lib/jvm/java-17-openjdk-*)" "$tree/usr/lib/jvm/java"
  command -v mvn >/dev/null || install_maven
  mkdir -p "$tree/var/lib/neo4j/lib"
  mvn --quiet --batch-mode -Dmaven.repo.local="$lab/maven/repository" --file "$files/neo4j/pom.xml" \
    -Dneo4j.version="$neo4j_version" \
    "org.apache.maven.plugins:maven-dependency-plugin:$maven_dependency_version:copy-dependencies" \
    -DincludeScope=runtime -DoutputDirectory="$tree/var/lib/neo4j/lib"
  rm -rf "$lab/maven"
  add_user "$tree" neo4j 7474 /var/lib/neo4j
  install -d -o 7474 -g 7474 "$tree"/{data,logs} "$tree"/var/lib/neo4j/{conf,import,licenses,plugins,run}
  install -D -m 755 "$files/neo4j/docker-entrypoint.sh" "$tree/startup/docker-entrypoint.sh"
  chmod -R a+rX "$tree/var/lib/neo4j/lib"
  import_tree "$tree" "$1" "$2" "${search_path}:/usr/lib/jvm/java/bin" 'ENV LANG=C.UTF-8' 'USER neo4j' \
    'WORKDIR /var/lib/neo4j' 'VOLUME /data /logs' 'EXPOSE 7474 7687' 'ENTRYPOINT ["/startup/docker-entrypoint.sh"]'
}

# With nothing beside the program, so that an argument is always one of its own: `server /data`.
image_minio() {
  local tree
  tree=$(scratch minio)
  install -D "$lab/programs/minio" "$tree/usr/bin/minio"
  install -d -m 1777 "$tree/tmp" "$tree/data"
  import_tree "$tree" "$1" "$2" "$search_path" 'VOLUME /data' 'EXPOSE 9000 9001' 'ENTRYPOINT ["/usr/bin/minio"]'
}

install_pip() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=300 python3-pip
}

# pgAdmin from PyPI, by the Python of the same Debian that the tree's is of. Left out are its manual, and descriptions of all of
# Google's services.
image_pgadmin() {
  local tree python=/usr/bin/python3
  tree=$(scratch pgadmin)
  debian_tree "$tree" 'lsb-base|sysvinit-utils|ca-certificates.*|openssl|media-types' "${userland[@]}" python3
  "$python" -m pip --version >/dev/null 2>&1 || install_pip
  "$python" -m pip install --quiet --no-cache-dir --root-user-action ignore --target "$tree/usr/lib/python3/dist-packages" \
    "pgadmin4==$pgadmin_version" "gunicorn==$gunicorn_version"
  mv "$tree/usr/lib/python3/dist-packages/pgadmin4" "$tree/pgadmin4"
  rm -rf "$tree/pgadmin4/docs" "$tree/usr/lib/python3/dist-packages/googleapiclient/discovery_cache/documents"
  # As in the official image, whose user is of root's group.
  echo 'pgadmin:x:5050:0::/var/lib/pgadmin:/bin/bash' >>"$tree/etc/passwd"
  install -d -o 5050 -g 0 -m 775 "$tree/var/lib/pgadmin"
  install -m 755 "$files/pgadmin/entrypoint.sh" "$tree/entrypoint.sh"
  install -m 644 "$files/pgadmin/run_pgadmin.py" "$tree/pgadmin4/run_pgadmin.py"
  install -o 5050 -g 0 -m 664 /dev/null "$tree/pgadmin4/config_distro.py"
  import_tree "$tree" "$1" "$2" "$search_path" 'ENV LANG=C.UTF-8' 'ENV HOME=/var/lib/pgadmin' 'USER 5050' \
    'WORKDIR /pgadmin4' 'VOLUME /var/lib/pgadmin' 'EXPOSE 80 443' 'ENTRYPOINT ["/entrypoint.sh"]'
}

# As in the official image nothing but the program, which is told `server start-dev`. It keeps what it is told to keep in a file where
# its user may write.
image_temporal() {
  local tree
  tree=$(scratch temporal)
  install -D "$lab/programs/temporal" "$tree/usr/local/bin/temporal"
  mkdir "$tree/etc"
  echo 'temporal:x:1000:1000::/home/temporal:/bin/false' >"$tree/etc/passwd"
  echo 'temporal:x:1000:' >"$tree/etc/group"
  install -d -o 1000 -g 1000 "$tree/home/temporal"
  install -d -m 1777 "$tree/tmp"
  import_tree "$tree" "$1" "$2" "$search_path" 'ENV HOME=/home/temporal' 'USER 1000' 'EXPOSE 7233' \
    'ENTRYPOINT ["temporal"]'
}

# The operator compares itself with what runs in its pods by the file that is named after the processor.
image_cnpg() {
  local tree program
  tree=$(scratch cnpg)
  program=operator/manager_$(go env GOARCH)
  install -D "$lab/programs/cnpg" "$tree/$program"
  ln -s "$program" "$tree/manager"
  import_tree "$tree" "$1" "$2" 'WORKDIR /' 'USER 65532:65532' 'ENTRYPOINT ["/manager"]'
}

# PostgreSQL with neither an entry point nor a data directory: both are the operator's, and so is the user's number.
image_operand() {
  local tree
  tree=$(scratch operand)
  postgres_tree "$tree"
  add_user "$tree" postgres 26 /var/lib/postgresql
  install -d -o 26 -g 26 "$tree/var/lib/postgresql/data"
  import_tree "$tree" "$1" "$2" "${search_path}:/usr/lib/postgresql/15/bin" 'ENV LANG=C.UTF-8' 'USER 26' 'EXPOSE 5432' \
    'CMD ["postgres", "--version"]'
}

image_redis_operator() {
  local tree
  tree=$(scratch redis_operator)
  install -D "$lab/programs/redis_operator" "$tree/usr/local/bin/redis-operator"
  import_tree "$tree" "$1" "$2" 'USER 1000:1000' 'ENTRYPOINT ["/usr/local/bin/redis-operator"]'
}

image_storage() {
  local tree
  tree=$(scratch storage)
  install -D "$lab/programs/local-path-provisioner" "$tree/local-path-provisioner"
  import_tree "$tree" "$1" "$2" 'ENTRYPOINT ["/local-path-provisioner"]'
}
