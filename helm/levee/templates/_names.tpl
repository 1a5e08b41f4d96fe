{{- define "levee.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "levee.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "levee.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "levee.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "levee.selector" -}}
app.kubernetes.io/name: {{ include "levee.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "levee.labels" -}}
{{ include "levee.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "levee.serviceAccount" -}}
{{- default (include "levee.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "levee.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "levee.scheme" -}}
{{- if .Values.tls.existingSecret }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{/* The server's settings. JSON's numbers, texts, lists and truth values are TOML's too. */}}
{{- define "levee.toml" -}}
listen = "0.0.0.0:8430"
data_dir = "/var/lib/levee"
{{- if .Values.tls.existingSecret }}
tls_cert = "/etc/levee/tls/tls.crt"
tls_key = "/etc/levee/tls/tls.key"
{{- end }}
{{- range $name, $value := .Values.config }}
{{ $name }} = {{ toJson $value }}
{{- end }}
{{- end }}
