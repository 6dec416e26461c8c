// Pins the release that is compiled for tests of its installation; go.sum beside it holds its checksum.
module example.org/lab/images/node_exporter

go 1.26.0

require github.com/prometheus/node_exporter v1.12.1
