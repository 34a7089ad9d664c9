{{- /* One Redis server's pod. Called with the root context, the role, and the role's own arguments. */ -}}
{{- define "redis.pod" -}}
metadata:
  labels:
    app.kubernetes.io/name: redis
    app.kubernetes.io/instance: {{ .root.Release.Name }}
    app.kubernetes.io/component: {{ .role }}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 5
  securityContext:
    runAsNonRoot: true
    runAsUser: 999
    runAsGroup: 999
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: redis
      image: {{ .root.Values.image }}
      imagePullPolicy: IfNotPresent
      command: [redis-server]
      args:
        - --save
        - ""
        - --appendonly
        - "no"
        - --dir
        - /data
        - --requirepass
        - $(REDISCLI_AUTH)
        - --masterauth
        - $(REDISCLI_AUTH)
        {{- if .root.Values.tls }}
        - --port
        - "0"
        - --tls-port
        - "6379"
        - --tls-cert-file
        - /tls/tls.crt
        - --tls-key-file
        - /tls/tls.key
        - --tls-ca-cert-file
        - /tls/ca.crt
        # By default a server asks its clients for certificates.
        - --tls-auth-clients
        - "no"
        - --tls-replication
        - "yes"
        {{- end }}
        {{- range .args }}
        - {{ . | quote }}
        {{- end }}
      env:
        - name: REDISCLI_AUTH
          valueFrom: { secretKeyRef: { name: {{ .root.Release.Name }}-auth, key: password } }
      ports:
        - { name: redis, containerPort: 6379 }
      readinessProbe:
        exec: { command: [sh, -c, "redis-cli {{ if .root.Values.tls }}--tls --cacert /tls/ca.crt {{ end }}ping | grep -q PONG"] }
        periodSeconds: 1
      resources:
        {{- toYaml .root.Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: data, mountPath: /data }
        {{- if .root.Values.tls }}
        - { name: tls, mountPath: /tls, readOnly: true }
        {{- end }}
  volumes:
    - { name: data, emptyDir: {} }
    {{- if .root.Values.tls }}
    - { name: tls, secret: { secretName: {{ .root.Release.Name }}-tls } }
    {{- end }}
{{- end }}
