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
        {{- range .args }}
        - {{ . | quote }}
        {{- end }}
      env:
        - name: REDISCLI_AUTH
          valueFrom: { secretKeyRef: { name: {{ .root.Release.Name }}-auth, key: password } }
      ports:
        - { name: redis, containerPort: 6379 }
      readinessProbe:
        exec: { command: [sh, -c, "redis-cli ping | grep -q PONG"] }
        periodSeconds: 1
      resources:
        {{- toYaml .root.Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: data, mountPath: /data }
  volumes:
    - { name: data, emptyDir: {} }
{{- end }}
