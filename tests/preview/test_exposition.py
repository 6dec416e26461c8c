from __future__ import annotations

from lab.preview.recording.exposition import Series, labels_of, merged, names_in, sample, samples_on
from lab.preview.recording.jobs import Target
from lab.preview.recording.kept import Kept

PAGE = """# HELP up Ignored.
# TYPE up gauge
up 1
disk{volume="C:",node="inside",empty=""} 2.5e+09
diskette{volume="A:"} 1
"""


def target(**labels: str) -> Target:
    return Target(job="j", address="a:1", params=(), labels=tuple(sorted(labels.items())))


def test_wanted_samples_get_labels_and_time() -> None:
    series = Series(frozenset({"up", "disk"}))
    assert list(series.lines(PAGE, target(job="windows", node="pve1"), "1700")) == [
        'up{job="windows",node="pve1"} 1 1700\n',
        # The exporter's own label gives way, as without honor_labels; an empty one is none.
        'disk{exported_node="inside",job="windows",node="pve1",volume="C:"} 2.5e+09 1700\n',
    ]


def test_another_target_gets_its_own_labels() -> None:
    series = Series(frozenset({"up"}))
    found = [line for node in ("a", "b") for line in series.lines("up 1", target(node=node), "1")]
    assert found == ['up{node="a"} 1 1\n', 'up{node="b"} 1 1\n']


def test_values_of_labels_are_escaped_once() -> None:
    assert merged({"own": 'a\\"b'}, {"of": 'c"d\\e'}) == '{of="c\\"d\\\\e",own="a\\"b"}'
    assert sample("x", {"a": "b\nc"}, 0.5, "9") == 'x{a="b\\nc"} 0.5 9\n'


def test_comments_are_no_samples() -> None:
    assert samples_on(PAGE) == 3


def test_every_name_in_a_query_is_found() -> None:
    found = names_in(['sum by (node) (vm:cpu:avg5m{job="x"} / windows_cpu_time_total[5m])'])
    assert {"vm:cpu:avg5m", "windows_cpu_time_total"} <= found


def test_a_name_and_its_labels_are_read_from_a_series() -> None:
    assert labels_of('disk{volume="C:",node="in"}') == {"__name__": "disk", "volume": "C:", "node": "in"}
    assert labels_of("up") == {"__name__": "up"}


def test_what_a_job_drops_is_not_counted() -> None:
    rules = [{"source_labels": ["volume"], "regex": "A:", "action": "drop"}]
    kept = Kept([{"job_name": "windows", "metric_relabel_configs": rules}, {"job_name": "linux"}])
    assert [kept.count(PAGE, job) for job in ("windows", "windows", "linux")] == [2, 2, 3]
