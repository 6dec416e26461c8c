// Pins the release that the stand-in is compiled from; go.sum beside it holds its checksum.
module example.org/lab/images/prometheus

go 1.26.0

require github.com/prometheus/prometheus v0.313.5
