//go:build tools

// Package components pins kwok, which simulates the kubelets in the local control plane.
package components

import _ "sigs.k8s.io/kwok/cmd/kwok"
