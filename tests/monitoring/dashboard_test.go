package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
)

const (
	dashboardFile = "../../config/monitoring/dashboard.json"
	// Scrapes of a running operator: a folder for each pod, a file for each scrape, named by its time in milliseconds.
	// tests/metrics/dashboard.rs takes them.
	scrapesVariable = "DASHBOARD_SCRAPES"
)

// What Grafana puts in for the variables: all operators, and several scrape intervals.
var variables = strings.NewReplacer("$namespace", ".*", "$job", ".*", "$__rate_interval", "1m")

type dashboard struct {
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var read dashboard
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// load stores the scrapes of all pods as Prometheus does, and says when the last one was taken.
func load(t *testing.T, into storage.Appendable, folder string) time.Time {
	t.Helper()
	pods, err := os.ReadDir(folder)
	if err != nil || len(pods) < 2 {
		t.Fatalf("%d pods in %s, %v", len(pods), folder, err)
	}
	var last int64
	for _, pod := range pods {
		files, err := filepath.Glob(filepath.Join(folder, pod.Name(), "*.txt"))
		if err != nil || len(files) < 2 {
			t.Fatalf("%d scrapes of %s, %v", len(files), pod.Name(), err)
		}
		slices.Sort(files)
		for _, file := range files {
			at, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(file), ".txt"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			store(t, into, target{"dittofs-system", pod.Name()}, file, at)
			last = max(last, at)
		}
	}
	return time.UnixMilli(last)
}

func store(t *testing.T, into storage.Appendable, from target, file string, at int64) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	appender := into.Appender(context.Background())
	scrape := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	for {
		entry, err := scrape.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var series labels.Labels
		scrape.Labels(&series)
		_, _, value := scrape.Series()
		if _, err := appender.Append(0, from.scraped(series), at, value); err != nil {
			t.Fatalf("%s: %s: %v", file, series, err)
		}
	}
	if err := appender.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryPanelShowsSomethingOfARunningOperator(t *testing.T) {
	folder := os.Getenv(scrapesVariable)
	if folder == "" {
		t.Skipf("%s is not set; the behaviour tests set it", scrapesVariable)
	}
	stored := teststorage.New(t)
	t.Cleanup(func() { _ = stored.Close() })
	last := load(t, stored, folder)
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	for _, panel := range readDashboard(t).Panels {
		shown := 0
		for _, target := range panel.Targets {
			shown += len(ask(t, engine, stored, variables.Replace(target.Expr), last, panel.Title))
		}
		if shown == 0 {
			t.Errorf("the panel %q is empty", panel.Title)
		}
	}
}

func ask(t *testing.T, engine *promql.Engine, stored storage.Queryable, expr string, at time.Time, title string) promql.Vector {
	t.Helper()
	query, err := engine.NewInstantQuery(context.Background(), stored, nil, expr, at)
	if err != nil {
		t.Fatalf("%s: %s: %v", title, expr, err)
	}
	defer query.Close()
	vector, err := query.Exec(context.Background()).Vector()
	if err != nil {
		t.Fatalf("%s: %s: %v", title, expr, err)
	}
	for _, sample := range vector {
		t.Logf("%s: %s %.4g", title, sample.Metric, sample.F)
	}
	return vector
}

// One healthy and one unhealthy condition of each kind, and servers with the same name in two namespaces.
const conditions = `
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-a",server_name="files",condition="Ready"} 0
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-b",server_name="files",condition="Ready"} 1
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-a",server_name="files",condition="Available"} -1
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-b",server_name="files",condition="Available"} 1
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-a",server_name="files",condition="Progressing"} 1
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-b",server_name="files",condition="Progressing"} 0
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-a",server_name="paused",condition="Progressing"} -1
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-a",server_name="files",condition="Stalled"} 1
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-c",server_name="full",condition="Ready"} 1
dittofs-system/0 dittofs_operator_dittoserver_condition{server_namespace="team-c",server_name="full",condition="Progressing"} 0
dittofs-system/0 dittofs_operator_dittoserver_volume_stuck{server_namespace="team-c",server_name="full",reason="VolumeQuotaExceeded"} 1
`

func TestTheTableOfConditionsShowsThoseThatAreNotAsWishedAndNoOther(t *testing.T) {
	stored := promqltest.LoadedStorage(t, scrapes(t, strings.TrimSpace(conditions)))
	t.Cleanup(func() { _ = stored.Close() })
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	shown := []string{}
	for _, panel := range readDashboard(t).Panels {
		if panel.Title != "Conditions that are not healthy" {
			continue
		}
		for _, target := range panel.Targets {
			for _, row := range ask(t, engine, stored, variables.Replace(target.Expr), time.Unix(0, 0), panel.Title) {
				of := func(name string) string { return row.Metric.Get(name) }
				line := fmt.Sprintf("%s/%s %s %v %s", of("server_namespace"), of("server_name"), of("condition"), row.F, of("reason"))
				shown = append(shown, strings.TrimSpace(line))
			}
		}
	}
	slices.Sort(shown)
	wanted := []string{
		"team-a/files Available -1",
		"team-a/files Progressing 1",
		"team-a/files Ready 0",
		"team-a/files Stalled 1",
		"team-a/paused Progressing -1",
		"team-c/full Progressing 0 VolumeQuotaExceeded",
	}
	if !slices.Equal(shown, wanted) {
		t.Errorf("it shows %q", shown)
	}
}
