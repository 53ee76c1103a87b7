{{- define "codec-server.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "codec-server.selector" -}}
app.kubernetes.io/name: codec-server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "codec-server.labels" -}}
{{ include "codec-server.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: temporal-kms-codec
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "codec-server.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "codec-server.name" .) -}}
{{- end -}}

{{- define "codec-server.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}
