{{- /* The pod, which a Deployment and a StatefulSet share. */ -}}
{{- define "iem-gateway.pod" -}}
metadata:
  annotations:
    checksum/config: {{ .Values.config | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "iem-gateway.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "iem-gateway.name" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .Values.drainDelaySeconds .Values.drainSeconds 10 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: iem-gateway
      image: {{ include "iem-gateway.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: ["--config", "/etc/iem-gateway/gateway.toml", "serve"]
      env:
        - name: IEM_GATEWAY__SERVER__LISTEN
          value: 0.0.0.0:8443
        - name: IEM_GATEWAY__SERVER__PLAINTEXT
          value: {{ .Values.plaintext | quote }}
        - name: IEM_GATEWAY__SERVER__DRAIN
          value: {{ .Values.drainSeconds }}s
        - name: IEM_GATEWAY__SERVER__DRAIN_DELAY
          value: {{ .Values.drainDelaySeconds }}s
        - name: IEM_GATEWAY__ADMIN__LISTEN
          value: 0.0.0.0:9090
        - name: IEM_GATEWAY__ADMIN__PLAINTEXT
          value: "true"
        - name: IEM_GATEWAY__SINK__TYPE
          value: {{ .Values.sink }}
        {{- if .Values.directory.database }}
        - name: IEM_GATEWAY__DIRECTORY__TYPE
          value: postgres
        - name: IEM_GATEWAY__DIRECTORY__URL
          value: {{ .Values.directory.database | quote }}
        - name: IEM_GATEWAY__DIRECTORY__SNAPSHOT
          # A folder of its own: everybody may write to that of the volume.
          value: /run/iem-gateway/directory/copy/snapshot.toml
        {{- else }}
        - name: IEM_GATEWAY__DIRECTORY__PATH
          value: /run/iem-gateway/directory/directory.toml
        {{- end }}
        - name: IEM_GATEWAY__TOKENS__KEYS
          value: /run/iem-gateway/keys
        - name: IEM_GATEWAY__TOKENS__KEY_FILE
          value: /run/iem-gateway/keys/first.key
        {{- if .Values.tls.secret }}
        - name: IEM_GATEWAY__SERVER__TLS__CERTIFICATE
          value: /run/iem-gateway/tls/tls.crt
        - name: IEM_GATEWAY__SERVER__TLS__KEY
          value: /run/iem-gateway/tls/tls.key
        {{- end }}
        {{- if .Values.tls.clientCa }}
        - name: IEM_GATEWAY__SERVER__TLS__CLIENT_CA
          value: /run/iem-gateway/tls/ca.crt
        {{- end }}
        {{- if .Values.persistence.enabled }}
        - name: IEM_GATEWAY__JOURNAL__PATH
          value: /var/lib/iem-gateway/journal
        - name: IEM_GATEWAY__SINK__FILE__PATH
          value: /var/lib/iem-gateway/data
        {{- end }}
        {{- range $key, $source := .Values.secretValues }}
        - name: IEM_GATEWAY_FILE__{{ $key }}
          value: /run/iem-gateway/values/{{ $key }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: clients
          containerPort: 8443
        - name: admin
          containerPort: 9090
      startupProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 2
        # Five minutes: a journal with a large backlog is read at the start.
        failureThreshold: 150
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: config
          mountPath: /etc/iem-gateway
          readOnly: true
        - name: directory
          mountPath: /run/iem-gateway/directory
          readOnly: {{ empty .Values.directory.database }}
        - name: keys
          mountPath: /run/iem-gateway/keys
          readOnly: true
        {{- if .Values.tls.secret }}
        - name: tls
          mountPath: /run/iem-gateway/tls
          readOnly: true
        {{- end }}
        {{- if .Values.secretValues }}
        - name: values
          mountPath: /run/iem-gateway/values
          readOnly: true
        {{- end }}
        {{- if .Values.persistence.enabled }}
        - name: data
          mountPath: /var/lib/iem-gateway
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "iem-gateway.name" . }}
    - name: directory
      {{- if .Values.directory.database }}
      # The copy with which a container starts again while the database is away.
      emptyDir: {}
      {{- else }}
      secret:
        secretName: {{ .Values.directory.secret }}
        defaultMode: 0440
      {{- end }}
    - name: keys
      secret:
        secretName: {{ .Values.tokens.secret }}
        defaultMode: 0440
    {{- if .Values.tls.secret }}
    - name: tls
      secret:
        secretName: {{ .Values.tls.secret }}
        defaultMode: 0440
    {{- end }}
    {{- if .Values.secretValues }}
    - name: values
      projected:
        defaultMode: 0440
        sources:
          {{- range $key, $source := .Values.secretValues }}
          - secret:
              name: {{ $source.secret }}
              items:
                - key: {{ $source.key }}
                  path: {{ $key }}
          {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- with .Values.topologySpreadConstraints }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "iem-gateway.selector" . | nindent 10 }}
    {{- end }}
{{- end }}
