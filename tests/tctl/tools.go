//go:build tools

// Package tools pins tctl, which `go install` cannot build.
package tools

import _ "github.com/temporalio/tctl/cmd/tctl"
