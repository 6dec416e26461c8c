//go:build builtinassets

package ui

import "embed"

// EmbedFS takes the place of the web interface, which is no part of the Go module.
//
//go:embed static/mantine-ui/index.html.gz
var EmbedFS embed.FS
