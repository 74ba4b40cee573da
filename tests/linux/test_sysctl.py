from pathlib import Path

import pytest

from yaoki.core.error import ActuatorError
from yaoki.linux.sysctl import SysctlKeeper


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, value in {"net/a": "0", "net/b": "1", "net/c": "2"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value + "\n")
    return tmp_path


def value(root: Path, name: str) -> str:
    return (root / name).read_text().strip()


def test_a_parameter_is_set_once_and_its_original_kept(root: Path) -> None:
    keeper = SysctlKeeper(root=root)
    assert keeper.set("net/a", "1")
    assert not keeper.set("net/a", "1")
    assert keeper.set("net/a", "2")
    assert value(root, "net/a") == "2"
    assert keeper.originals == {"net/a": "0"}


def test_what_is_right_already_is_not_kept(root: Path) -> None:
    keeper = SysctlKeeper(root=root)
    assert not keeper.set("net/b", "1")
    assert keeper.originals == {}


def test_originals_of_an_earlier_life_are_those_put_back(root: Path) -> None:
    keeper = SysctlKeeper({"net/a": "7"}, root=root)
    keeper.set("net/a", "1")
    keeper.restore()
    assert value(root, "net/a") == "7"
    assert keeper.originals == {}


def test_the_last_changed_is_put_back_first(root: Path) -> None:
    """Setting one parameter may change another, which was noted before it."""
    keeper = SysctlKeeper(root=root)
    keeper.remember("net/c")
    keeper.set("net/a", "1")
    (root / "net/c").write_text("99")
    keeper.restore()
    assert [value(root, name) for name in ("net/a", "net/c")] == ["0", "2"]


def test_parameters_of_an_interface_that_is_gone_are_passed_over(root: Path) -> None:
    keeper = SysctlKeeper({"net/conf/eth7/x": "1"}, root=root)
    keeper.restore()
    assert keeper.originals == {}


def test_a_parameter_that_does_not_exist_is_an_error_that_names_it(root: Path) -> None:
    with pytest.raises(ActuatorError, match="read net/nothing: No such file"):
        SysctlKeeper(root=root).set("net/nothing", "1")
