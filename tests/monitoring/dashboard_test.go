package monitoring

import (
	"context"
	"encoding/json"
	"errors"
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
	// Scrapes of a running operator, one a file, named by their time in milliseconds. tests/metrics/dashboard.rs takes them.
	scrapesVariable = "DASHBOARD_SCRAPES"
	// Grafana sets it to several scrape intervals.
	rateInterval = "1m"
)

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

// load stores the scrapes as Prometheus does, and says when the last one was taken.
func load(t *testing.T, into storage.Appendable, folder string) time.Time {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d scrapes in %s, %v", len(files), folder, err)
	}
	slices.Sort(files)
	var last int64
	for _, file := range files {
		at, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(file), ".txt"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		store(t, into, file, at)
		last = at
	}
	return time.UnixMilli(last)
}

func store(t *testing.T, into storage.Appendable, file string, at int64) {
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
		if _, err := appender.Append(0, series, at, value); err != nil {
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
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", rateInterval)
			shown += len(ask(t, engine, stored, expr, last, panel.Title))
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
