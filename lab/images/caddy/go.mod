// Pins the releases that the stand-in is compiled from; go.sum beside it holds their checksums.
module example.org/lab/images/caddy

go 1.26.0

require (
	github.com/caddyserver/caddy/v2 v2.11.9
	github.com/mholt/caddy-ratelimit v0.1.0
)
