{{- define "iem-gateway.name" -}}
{{- if contains "iem-gateway" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-iem-gateway" (.Release.Name | trunc 38 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "iem-gateway.selector" -}}
app.kubernetes.io/name: iem-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "iem-gateway.labels" -}}
{{ include "iem-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* Refuses values that would lose records or start nothing. */ -}}
{{- define "iem-gateway.validate" -}}
{{- $journaled := regexMatch "(?m)^[^#\n]*durability[\"']?\\s*=\\s*[\"']journaled" .Values.config }}
{{- $files := or (eq .Values.sink "file") (regexMatch "(?m)^[^#\n]*\\bsink[\"']?\\s*=\\s*[\"']file[\"']" .Values.config) }}
{{- $deadLetters := regexMatch "(?m)^[^#\n]*dead_letter[\"']?\\s*=\\s*true" .Values.config }}
{{- if and .Values.autoscaling.enabled .Values.persistence.enabled }}
{{- fail "autoscaling.enabled and persistence.enabled exclude each other: a pod that is scaled away leaves the backlog of its journal behind. Set replicas, and drain a journal before its pod goes (docs/install.md)." }}
{{- end }}
{{- if and $journaled (not .Values.persistence.enabled) }}
{{- fail "config has a topic with durability = \"journaled\": set persistence.enabled, or its records are lost with the pod." }}
{{- end }}
{{- if and $files (not .Values.persistence.enabled) }}
{{- fail "The file sink needs persistence.enabled, or its records are lost with the pod." }}
{{- end }}
{{- if and $deadLetters (not .Values.persistence.enabled) }}
{{- fail "config has a topic with dead_letter = true: set persistence.enabled, or dead letters are lost with the pod." }}
{{- end }}
{{- if or (regexMatch "(?m)^[^#\n]*\\badmin\\.tls" .Values.config) (regexMatch "(?ms)^\\s*\\[admin\\][^\\[]*^\\s*tls" .Values.config) }}
{{- fail "config must not have admin.tls: probes and monitoring speak plain HTTP to the admin port." }}
{{- end }}
{{- if not (or .Values.directory.secret .Values.directory.database) }}
{{- fail "Set directory.secret, the secret with directory.toml, or directory.database, a database that all pods share." }}
{{- end }}
{{- if and .Values.directory.secret .Values.directory.database }}
{{- fail "directory.secret and directory.database exclude each other." }}
{{- end }}
{{- if not .Values.tokens.secret }}
{{- fail "Set tokens.secret: the secret with the keys that sign tokens, which all pods share." }}
{{- end }}
{{- if not (.Values.resources.limits).memory }}
{{- fail "Set resources.limits.memory: at least what `iem-gateway check` prints as \"in all\" for this configuration." }}
{{- end }}
{{- if and (not .Values.tls.secret) (not .Values.plaintext) }}
{{- fail "Set tls.secret, or plaintext: true if plain HTTP is wanted." }}
{{- end }}
{{- if and .Values.tls.clientCa (not .Values.tls.secret) }}
{{- fail "tls.clientCa needs tls.secret." }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not .Values.autoscaling.cpuPercent) (not .Values.autoscaling.requests) }}
{{- fail "autoscaling needs cpuPercent or requests." }}
{{- end }}
{{- end }}

{{- define "iem-gateway.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}
