package main

// The module that upstream's builder would compile in; gomodule.py puts its source here.
import _ "github.com/caddyserver/caddy/v2/modules/caddyratelimit"
