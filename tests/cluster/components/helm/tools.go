//go:build tools

// Package components pins Helm, with which the tests render and install the chart.
package components

import _ "helm.sh/helm/v4/cmd/helm"
