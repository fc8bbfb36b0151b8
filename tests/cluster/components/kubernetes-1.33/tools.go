//go:build tools

// Package components pins the Kubernetes servers that the local control plane runs.
// The blank imports keep `go mod tidy` from dropping them.
package components

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
)
