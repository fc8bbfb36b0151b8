//go:build tools

// Package components pins the DittoFS server, which the pod runner of the local control plane starts.
package components

import _ "github.com/marmos91/dittofs/cmd/dfs"
