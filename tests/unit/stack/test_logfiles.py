"""The children's logs stay small and tell their end."""

from pathlib import Path

from ratoon.stack.logfiles import cut_if_large, last_lines


def test_a_large_log_is_moved_and_its_writer_goes_on_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "child.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 10)
        assert cut_if_large(path, max_bytes=39)
        writer.write(b"new\n")
    assert path.read_bytes() == b"new\n"
    assert (tmp_path / "child.log.1").read_bytes() == b"old\n" * 10


def test_a_small_or_missing_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "child.log"
    assert not cut_if_large(path)
    path.write_bytes(b"x" * 40)
    assert not cut_if_large(path, max_bytes=40)


def test_the_last_lines_are_the_last_ones(tmp_path: Path) -> None:
    path = tmp_path / "child.log"
    assert last_lines(path) == ""
    path.write_text("\n".join(str(number) for number in range(5_000)))
    assert last_lines(path, 2) == "4998\n4999"
