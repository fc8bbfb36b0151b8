package monitoring

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// target is a pod of an operator, as Prometheus scrapes it by the chart's ServiceMonitor.
type target struct {
	namespace, number string
}

// labels are those that the Prometheus operator gives to a target.
func (target target) labels() labels.Labels {
	return labels.FromStrings(
		"namespace", target.namespace,
		"service", "dittofs-operator-metrics",
		"job", "dittofs-operator-metrics",
		"pod", "dittofs-operator-"+target.number,
		"container", "operator",
		"endpoint", "metrics",
		"instance", target.namespace+"-"+target.number+":8080",
	)
}

// scraped is a series as Prometheus stores it. A label of the metric that the target has too is renamed, since the
// ServiceMonitor does not ask to honour it.
func (target target) scraped(series labels.Labels) labels.Labels {
	stored := labels.NewBuilder(series)
	target.labels().Range(func(label labels.Label) {
		if theirs := series.Get(label.Name); theirs != "" {
			stored.Set("exported_"+label.Name, theirs)
		}
		stored.Set(label.Name, label.Value)
	})
	return stored.Labels()
}

// scrapes makes series with their pods before them into what promqltest loads.
func scrapes(t *testing.T, text string) string {
	t.Helper()
	load := "load 30s\n"
	for line := range strings.Lines(text) {
		pod, series, _ := strings.Cut(strings.TrimSpace(line), " ")
		namespace, number, found := strings.Cut(pod, "/")
		metric, _, err := parser.ParseSeriesDesc(series)
		if !found || err != nil {
			t.Fatalf("%s: no pod, or %v", line, err)
		}
		values := series[max(strings.Index(series, "}"), strings.Index(series, " ")-1)+1:]
		load += target{namespace, number}.scraped(metric).String() + values + "\n"
	}
	return load
}

func TestALabelThatTheTargetHasTooIsRenamed(t *testing.T) {
	stored := target{"dittofs-system", "0"}.scraped(labels.FromStrings("__name__", "a", "namespace", "team-a", "kind", "Pod"))
	for name, value := range map[string]string{"namespace": "dittofs-system", "exported_namespace": "team-a", "kind": "Pod"} {
		if stored.Get(name) != value {
			t.Errorf("%s is %q", name, stored.Get(name))
		}
	}
}
