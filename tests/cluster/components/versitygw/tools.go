//go:build tools

// Package components pins the S3 server to which the DittoFS servers of tests upload.
package components

import _ "github.com/versity/versitygw/cmd/versitygw"
