{{- /* One PostgreSQL server's pod. Called with the root context and the role. */ -}}
{{- define "postgres.pod" -}}
{{- $name := .root.Release.Name -}}
metadata:
  labels:
    app.kubernetes.io/name: postgres
    app.kubernetes.io/instance: {{ $name }}
    app.kubernetes.io/component: {{ .role }}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 10
  securityContext:
    runAsNonRoot: true
    runAsUser: 999
    runAsGroup: 999
    fsGroup: 999
    seccompProfile: { type: RuntimeDefault }
  {{- if eq .role "replica" }}
  initContainers:
    - name: copy
      command: [sh, /scripts/copy.sh]
      {{- include "postgres.container" .root | nindent 6 }}
      env:
        {{- include "postgres.follows" $name | nindent 8 }}
      volumeMounts:
        - { name: data, mountPath: /var/lib/postgresql/data }
        - { name: scripts, mountPath: /scripts }
  {{- end }}
  containers:
    - name: postgres
      {{- include "postgres.container" .root | nindent 6 }}
      args:
        - postgres
        - -c
        - ssl=on
        - -c
        - ssl_cert_file=/tls/tls.crt
        - -c
        - ssl_key_file=/tls/tls.key
      {{- if eq .role "replica" }}
        - -c
        - primary_conninfo=host={{ $name }} user=replicator application_name=$(POD_NAME)
      env:
        {{- include "postgres.follows" $name | nindent 8 }}
        - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
        {{- /* A copy has the users of its primary; a rehearsed server is told of them here. */}}
      {{- else }}
      env:
        - { name: PGDATA, value: /var/lib/postgresql/data/pgdata }
        - { name: REPLICATION_PASSWORD, valueFrom: { secretKeyRef: { name: {{ $name }}-auth, key: replication-password } } }
        # The image lets anybody in from the server's own loopback, and that is where a port-forward arrives.
        - { name: POSTGRES_INITDB_ARGS, value: --auth-host=scram-sha-256 }
      {{- end }}
        - { name: POSTGRES_USER, valueFrom: { secretKeyRef: { name: {{ $name }}-auth, key: username } } }
        - { name: POSTGRES_PASSWORD, valueFrom: { secretKeyRef: { name: {{ $name }}-auth, key: password } } }
        - { name: POSTGRES_DB, value: {{ .root.Values.database | quote }} }
      ports:
        - { name: postgres, containerPort: 5432 }
      readinessProbe:
        # Over TCP: while the database is being initialised the server listens on its socket file only.
        exec: { command: [pg_isready, -h, 127.0.0.1, -U, {{ .root.Values.user }}, -d, {{ .root.Values.database }}] }
        periodSeconds: 1
      volumeMounts:
        - { name: data, mountPath: /var/lib/postgresql/data }
        - { name: run, mountPath: /var/run/postgresql }
        - { name: tls, mountPath: /tls, readOnly: true }
        {{- if eq .role "primary" }}
        - { name: scripts, mountPath: /docker-entrypoint-initdb.d }
        {{- end }}
  volumes:
    - { name: data, emptyDir: {} }
    - { name: run, emptyDir: {} }
    # 0440: PostgreSQL refuses a key that others than its group may read.
    - { name: tls, secret: { secretName: {{ $name }}-tls, defaultMode: 288 } }
    - name: scripts
      configMap: { name: {{ $name }}-{{ ternary "scripts" "copy" (eq .role "primary") }} }
{{- end }}

{{- define "postgres.container" -}}
image: {{ .Values.image }}
imagePullPolicy: IfNotPresent
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "postgres.follows" -}}
- { name: PGDATA, value: /var/lib/postgresql/data/pgdata }
- { name: PGPASSWORD, valueFrom: { secretKeyRef: { name: {{ . }}-auth, key: replication-password } } }
{{- end }}
