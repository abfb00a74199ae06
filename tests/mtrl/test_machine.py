import os

import pytest

from mtrl.machine import available_cores, available_memory

GB = 10**9
HERE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.fixture(autouse=True)
def sixteen_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)))


def container(root, groups, files):
    """A file system with these lines in /proc/self/cgroup, and these files below /sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("\n".join(groups) + "\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ([], {}, 16),
        (["0::/"], {"cpu.max": "400000 100000"}, 4),
        (["0::/"], {"cpu.max": "max 100000"}, 16),
        (["0::/"], {"cpu.max": "50000 100000"}, 1),
        (["0::/"], {"cpu.max": "250000 100000"}, 2),
        (["0::/pods/mine"], {"pods/cpu.max": "300000 100000", "pods/mine/cpu.max": "max 100000"}, 3),
        (["0::/../elsewhere"], {"cpu.max": "600000 100000"}, 6),
        (
            ["3:cpu,cpuacct:/job", "0::/"],
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "200000", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"},
            2,
        ),
        (["3:cpu:/docker/1a"], {"cpu/cpu.cfs_quota_us": "700000", "cpu/cpu.cfs_period_us": "100000"}, 7),
        (["3:cpu:/"], {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16),
    ],
)
def test_cores_are_those_of_the_affinity_and_the_quota(tmp_path, groups, files, cores):
    assert available_cores(container(tmp_path, groups, files)) == cores


def test_the_affinity_counts_where_the_quota_is_larger(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3})
    assert available_cores(container(tmp_path, ["0::/"], {"cpu.max": "400000 100000"})) == 1


@pytest.mark.parametrize(
    ("groups", "files", "memory"),
    [
        ([], {}, HERE),
        (["0::/"], {"memory.max": GB}, GB),
        (["0::/"], {"memory.max": "max"}, HERE),
        (["0::/"], {"memory.max": 2 * HERE}, HERE),
        (["0::/a/b"], {"a/memory.max": GB, "a/b/memory.max": 2 * GB}, GB),
        (["4:memory:/a", "0::/"], {"memory/a/memory.limit_in_bytes": GB}, GB),
        (["4:memory:/a"], {"memory/memory.limit_in_bytes": GB}, GB),
        (["4:memory:/"], {"memory/memory.limit_in_bytes": 9223372036854771712}, HERE),
    ],
)
def test_memory_is_that_of_the_machine_or_less_in_a_container(tmp_path, groups, files, memory):
    assert available_memory(container(tmp_path, groups, files)) == memory
