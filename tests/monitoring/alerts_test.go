// Package monitoring makes every alert fire, with Prometheus's own rule engine.
package monitoring

import (
	"context"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v3"
)

const (
	ruleFile = "../../config/monitoring/alerts.yaml"
	step     = 30 * time.Second
	length   = time.Hour
)

// Of each alert: series under which it fires, the summaries with which it does, and series under which it must not.
type world struct {
	Fires string   `yaml:"fires"`
	Says  []string `yaml:"says"`
	Quiet string   `yaml:"quiet"`
}

func worlds(t *testing.T) map[string]world {
	t.Helper()
	text, err := os.ReadFile("worlds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var worlds map[string]world
	if err := yaml.Unmarshal(text, &worlds); err != nil {
		t.Fatal(err)
	}
	return worlds
}

func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(ruleFile, false, model.UTF8Validation)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	found := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			found[rule.Alert] = rule
		}
	}
	return found
}

// firings evaluates one rule as Prometheus does, every step, and returns the summaries with which it fires.
func firings(t *testing.T, rule rulefmt.Rule, series string) []string {
	t.Helper()
	storage := promqltest.LoadedStorage(t, scrapes(t, series))
	t.Cleanup(func() { _ = storage.Close() })
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	query := rules.EngineQueryFunc(engine, storage)
	expr, err := parser.ParseExpr(rule.Expr)
	if err != nil {
		t.Fatal(err)
	}
	alerting := rules.NewAlertingRule(rule.Alert, expr, time.Duration(rule.For), 0,
		labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", true, promslog.NewNopLogger())
	summaries := map[string]bool{}
	for at := time.Unix(0, 0); at.Before(time.Unix(0, 0).Add(length)); at = at.Add(step) {
		var _ promql.Vector
		if _, err := alerting.Eval(context.Background(), 0, at, query, nil, 0); err != nil {
			t.Fatal(err)
		}
		for _, alert := range alerting.ActiveAlerts() {
			if alert.State == rules.StateFiring {
				summaries[alert.Annotations.Get("summary")] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(summaries))
}

func TestEveryAlertFiresInItsWorldAndIsQuietInAHealthyOne(t *testing.T) {
	worlds, alerts := worlds(t), alerts(t)
	if !slices.Equal(slices.Sorted(maps.Keys(worlds)), slices.Sorted(maps.Keys(alerts))) {
		t.Fatalf("worlds.yaml has %v, the rules have %v", slices.Sorted(maps.Keys(worlds)), slices.Sorted(maps.Keys(alerts)))
	}
	for name, rule := range alerts {
		t.Run(name, func(t *testing.T) {
			if said := firings(t, rule, worlds[name].Fires); len(said) == 0 || !slices.Equal(said, worlds[name].Says) {
				t.Errorf("it says %q", said)
			}
			if said := firings(t, rule, worlds[name].Quiet); len(said) != 0 {
				t.Errorf("in a healthy world it says %q", said)
			}
		})
	}
}
