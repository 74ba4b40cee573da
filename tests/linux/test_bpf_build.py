"""The object of a BPF program: built once for its sources, never taken for another's, and refused with a cure."""

import os
import shutil
from errno import ENOSYS, EPERM
from pathlib import Path

import pytest

from yaoki.core.error import ActuatorError
from yaoki.linux.bpf.build import HERE, CannotBuild, build, object_file, object_path
from yaoki.linux.bpf.object import load

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "answer.h"
SEC("xdp") int answer(struct xdp_md *frame) { (void)frame; return ANSWER; }
char licence[] SEC("license") = "GPL";
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    (tmp_path / "answer.bpf.c").write_text(SOURCE)
    (tmp_path / "answer.h").write_text("#define ANSWER XDP_PASS\n")
    return tmp_path


def test_an_object_is_built_once(sources: Path) -> None:
    path = object_file("answer", sources)
    assert path.parent == sources
    before = path.stat().st_mtime_ns
    assert object_file("answer", sources) == path
    assert path.stat().st_mtime_ns == before


def test_other_sources_have_another_object_and_the_old_one_goes(sources: Path) -> None:
    old = object_file("answer", sources)
    (sources / "answer.h").write_text("#define ANSWER XDP_DROP\n")
    assert object_path("answer", sources) != old
    assert object_file("answer", sources).exists()
    assert not old.exists()


def test_of_two_programs_neither_takes_the_others_object_away(sources: Path) -> None:
    (sources / "other.bpf.c").write_text(SOURCE.replace("answer(", "other("))
    first = object_file("answer", sources)
    assert object_file("other", sources).exists()
    assert first.exists()


def test_without_clang_the_cure_is_named(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(sources))
    with pytest.raises(CannotBuild, match="apt install clang"):
        object_file("answer", sources)


def test_what_clang_says_is_passed_on_and_nothing_is_left_behind(sources: Path) -> None:
    (sources / "answer.h").write_text("")
    with pytest.raises(CannotBuild, match=r"answer\.bpf\.c:5:.*undeclared identifier 'ANSWER'"):
        build("answer", sources)
    assert list(sources.glob("*.bpf.o*")) == []


def test_a_missing_header_of_libbpf_has_its_cure(sources: Path) -> None:
    (sources / "answer.h").write_text("#include <bpf/bpf_no_such_thing.h>\n")
    with pytest.raises(CannotBuild, match="apt install libbpf-dev"):
        build("answer", sources)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    for path in (*HERE.glob("*.bpf.c"), *HERE.glob("*.h")):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_the_shipped_sources_build_elsewhere_too(shipped: Path) -> None:
    assert object_file("balancer", shipped).name == object_path("balancer").name


CLANGS = sorted(
    found
    for directory in os.environ["PATH"].split(":")
    for found in Path(directory).glob("clang-[0-9]*")
    if found.name.removeprefix("clang-").isdigit()
)
"""Of all versions that are here. Later ones say less to the verifier than clang 14 does."""


@pytest.mark.parametrize("clang", CLANGS, ids=lambda clang: clang.name)
def test_the_kernel_takes_what_each_clang_makes_of_it(
    clang: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YAOKI_CLANG", str(clang))
    path = build("balancer", shipped)
    try:
        load(path).close()
    except ActuatorError as error:
        if error.errno not in (EPERM, ENOSYS):
            raise
        pytest.skip(f"this kernel refuses BPF: {error}")
