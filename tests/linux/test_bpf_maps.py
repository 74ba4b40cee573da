"""Maps and objects in the kernel: what is read is what was written; refusals name their reason. No network."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.linux.program import EPERM
from yaoki.core.error import ActuatorError
from yaoki.linux.bpf.build import object_file
from yaoki.linux.bpf.layout import index
from yaoki.linux.bpf.maps import BATCH, BpfMap, MapKind, MapShape, processors
from yaoki.linux.bpf.object import load
from yaoki.linux.bpf.self_test import self_test
from yaoki.linux.bpf.syscall import refusal

REFUSED = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int refused(struct xdp_md *frame) { return *(int *)(long)frame->data; }
char licence[] SEC("license") = "GPL";
"""
SHARED = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); }
	numbers SEC(".maps");
SEC("xdp") int shared(struct xdp_md *frame)
{
	__u32 first = 0;
	__u64 *number = bpf_map_lookup_elem(&numbers, &first);

	(void)frame;
	return number ? *number : XDP_ABORTED;
}
char licence[] SEC("license") = "GPL";
"""


@pytest.fixture
def maps() -> Iterator[ExitStack]:
    try:
        BpfMap.create(MapShape(MapKind.ARRAY, 4, 8, 1), "trial").close()
    except ActuatorError as error:
        if error.errno != EPERM:
            raise
        pytest.skip(f"this kernel refuses BPF: {error}")
    with ExitStack() as stack:
        yield stack


def made(maps: ExitStack, kind: MapKind, entries: int = 10, *, key: int = 4, value: int = 8) -> BpfMap:
    found = BpfMap.create(MapShape(kind, key, value, entries), "trial")
    maps.callback(found.close)
    return found


def number(value: int) -> bytes:
    return value.to_bytes(8, "little")


@pytest.mark.parametrize("kind", [MapKind.HASH, MapKind.LRU_HASH])
def test_an_entry_is_put_found_and_taken_away(maps: ExitStack, kind: MapKind) -> None:
    hashed = made(maps, kind)
    assert hashed.look_up(index(3)) is None
    hashed.update(index(3), number(7))
    assert hashed.look_up(index(3)) == number(7)
    assert list(hashed.items()) == [(index(3), number(7))]
    assert hashed.delete(index(3))
    assert not hashed.delete(index(3))
    assert list(hashed.items()) == []


def test_more_entries_than_one_batch_are_written_and_read(maps: ExitStack) -> None:
    array = made(maps, MapKind.ARRAY, 2 * BATCH + 5)
    array.update_all((index(each), number(each * 3)) for each in range(2 * BATCH + 5))
    assert list(array.items()) == [(index(each), number(each * 3)) for each in range(2 * BATCH + 5)]


def test_a_full_map_refuses_and_says_so(maps: ExitStack) -> None:
    hashed = made(maps, MapKind.HASH, 2)
    hashed.update_all([(index(1), number(1)), (index(2), number(2))])
    with pytest.raises(ActuatorError, match=r"BPF map trial: update: .*the table is full"):
        hashed.update(index(3), number(3))


def test_per_cpu_values_are_one_for_each_processor(maps: ExitStack) -> None:
    counts = made(maps, MapKind.PER_CPU_ARRAY, 3, value=12)
    assert counts.shape.value_room == 16 * processors()
    counts.update(index(2), b"x" * 16 * processors())
    found = [value for _, value in counts.items()]
    assert [value[:12] for value in found] == [bytes(12), bytes(12), b"x" * 12]


def test_a_pinned_map_is_found_by_its_name(maps: ExitStack, tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "bpf", "none", str(tmp_path)], check=False).returncode:
        pytest.skip("no BPF file system can be mounted here")
    maps.callback(subprocess.run, ["umount", str(tmp_path)], check=True)
    array = made(maps, MapKind.ARRAY)
    array.pin(tmp_path / "numbers")
    array.update(index(1), number(5))
    again = BpfMap.pinned(tmp_path / "numbers")
    maps.callback(again.close)
    assert again.look_up(index(1)) == number(5)
    assert again.shape == array.shape
    with pytest.raises(ActuatorError, match="No such file"):
        BpfMap.pinned(tmp_path / "other")


def test_a_map_can_be_given_to_a_program_and_its_size_set(maps: ExitStack, tmp_path: Path) -> None:
    (tmp_path / "shared.bpf.c").write_text(SHARED)
    path = object_file("shared", tmp_path)
    mine = made(maps, MapKind.ARRAY, 4)
    mine.update(index(0), number(2))
    with_mine = load(path, reuse={"numbers": mine})
    maps.callback(with_mine.close)
    assert with_mine.programs["shared"].test_run(bytes(64)).verdict == 2
    larger = load(path, sizes={"numbers": 100})
    maps.callback(larger.close)
    assert larger.maps["numbers"].shape.max_entries == 100
    assert larger.programs["shared"].test_run(bytes(64)).verdict == 0


def test_what_the_verifier_refuses_is_told_with_its_reason_in_a_few_lines(maps: ExitStack, tmp_path: Path) -> None:
    del maps
    (tmp_path / "refused.bpf.c").write_text(REFUSED)
    with pytest.raises(ActuatorError, match="invalid access to packet") as caught:
        load(object_file("refused", tmp_path))
    assert len(str(caught.value)) < 1500


def test_a_file_that_is_no_object_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.bpf.o").write_text("not this")
    with pytest.raises(ActuatorError, match=r"load x\.bpf\.o"):
        load(tmp_path / "x.bpf.o")


def test_what_is_not_permitted_has_its_cure() -> None:
    assert "CAP_BPF" in str(refusal("load", EPERM))


def test_the_program_passes_its_own_test(maps: ExitStack) -> None:
    del maps
    self_test()
