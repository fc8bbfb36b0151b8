//go:build tools

// Package components pins the etcd that the local control plane runs.
package components

import _ "go.etcd.io/etcd/server/v3"
