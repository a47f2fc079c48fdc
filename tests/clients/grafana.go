// Renders a template of Grafana's alerting with the functions that Grafana has, as far as it uses them,
// for two alerts: go run grafana.go FILE
package main

import (
	"encoding/json"
	"log"
	"os"
	"text/template"
	"time"
)

type alert struct {
	Status              string
	Labels, Annotations map[string]string
	StartsAt            time.Time
	Fingerprint         string
}

type coll struct{}

func (coll) Slice(items ...any) []any { return items }

func (coll) Append(item any, list []any) []any { return append(list, item) }

func (coll) Dict(pairs ...any) map[string]any {
	dict := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		dict[pairs[i].(string)] = pairs[i+1]
	}
	return dict
}

type data struct{}

func (data) ToJSON(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

func main() {
	functions := template.FuncMap{"coll": func() coll { return coll{} }, "data": func() data { return data{} }}
	// A label that is not there is the empty string, as in Grafana.
	made, err := template.New("").Funcs(functions).Option("missingkey=zero").ParseFiles(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	began := time.Date(2026, 4, 16, 12, 1, 0, 0, time.UTC)
	alerts := []alert{
		{
			Status:      "firing",
			Labels:      map[string]string{"alertname": "CpuHigh", "instance": "web-01", "severity": "4"},
			Annotations: map[string]string{"summary": `CPU is "high" on web-01`},
			StartsAt:    began,
			Fingerprint: "c6eadffa33fcdf37",
		},
		{
			Status:      "resolved",
			Labels:      map[string]string{"alertname": "DiskFull"},
			Annotations: map[string]string{},
			StartsAt:    began,
			Fingerprint: "5a3ed2d8e2b1f0c4",
		},
	}
	if err := made.ExecuteTemplate(os.Stdout, "iem", map[string]any{"Alerts": alerts}); err != nil {
		log.Fatal(err)
	}
}
