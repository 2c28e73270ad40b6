"""FER-2013's CSV: both headers, any order of columns, and each way in which a line can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.data import csv, read, write
from mien.data.pixel_text import fault, parse_block
from mien.errors import DataError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS

GOOD = " ".join(str(i % 256) for i in range(2304))
USAGES = ("Training", "PublicTest", "PrivateTest")


def lines(path: Path, *rows: str, header: str = "emotion,pixels,Usage", end: str = "\n") -> Path:
    path.write_text(end.join([header, *rows]) + end, newline="")
    return path


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("emotion,pixels,Usage", "3,{},PublicTest"),
        ("emotion, Usage, pixels", "3,PublicTest,{}"),
        ("Usage,pixels,emotion", "PublicTest,{},3"),
        ("\ufeffemotion,pixels,Usage", "3,{},PublicTest"),
        ('"emotion","pixels","Usage"', '"3","{}","PublicTest"'),
        ("id,emotion,pixels,source,Usage", "17,3,{},web,PublicTest"),
        ("emotion,pixels,Usage", "happy, {} ,publictest"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_headers(header: str, row: str, end: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "faces.csv", row.format(GOOD), header=header, end=end)
    batch = read(path)
    assert batch.images[0].ravel().tolist() == [i % 256 for i in range(2304)]
    assert (batch.labels.tolist(), batch.splits.tolist(), batch.rows.tolist()) == ([3], [1], [0])
    assert not batch.votes.any()


def test_without_usage_the_split_must_be_told(tmp_path: Path) -> None:
    path = lines(tmp_path / "train.csv", f"3,{GOOD}", header="emotion,pixels")
    with pytest.raises(DataError, match=r"no column Usage: .*--assume-split"):
        read(path)
    assert read(path, assume_split="training").splits.tolist() == [0]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (f"7,{GOOD},Training", "emotion '7': expected 0…6"),
        (f"-1,{GOOD},Training", "emotion '-1': expected 0…6"),
        ("9" * 6000 + f",{GOOD},Training", "emotion '9999"),
        (f",{GOOD},Training", "emotion '': expected 0…6"),
        (f"0,{GOOD},Test", "usage 'Test': expected Training, PublicTest, PrivateTest"),
        (f"0,{GOOD},Trai", "usage 'Trai'"),
        (f"0,{GOOD[:-4]},Training", "2303 pixels: expected 2304"),
        (f"0,{GOOD} 5,Training", "2305 pixels: expected 2304"),
        ("0,,Training", "0 pixels: expected 2304"),
        (f"0,256 {GOOD},Training", "pixel 0 is '256': expected a whole number in 0…255"),
        (f"0,{GOOD.replace(' 100 ', ' -100 ', 1)},Training", "pixel 100 is '-100'"),
        (f"0,{GOOD.replace(' 100 ', ' 1e2 ', 1)},Training", "pixel 100 is '1e2'"),
        (f"0,{GOOD.replace(' 100 ', ' 10.0 ', 1)},Training", "pixel 100 is '10.0'"),
        (f"0,{GOOD.replace(' 100 ', ' 0100 ', 1)},Training", "pixel 100 is '0100'"),
        (f"0,{GOOD.replace(' 100 ', ' 100000000000000000100 ', 1)},Training", "pixel 100 is '1000000000"),
        (f"0,{GOOD.replace(' 100 ', ' été ', 1)},Training", "pixel 100 is 'été'"),
        (f"0,{GOOD}", "2 fields: expected 3; a truncated line looks so"),
        ("0", "1 fields: expected 3"),
        (f"0,{GOOD},Training,more", "4 fields: expected 3"),
    ],
)
def test_each_bad_line_is_named(row: str, why: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "faces.csv", f"1,{GOOD},Training", "", row, f"2,{GOOD},PublicTest")
    with pytest.raises(DataError) as caught:
        read(path)
    said = str(caught.value)
    assert said.startswith(f"{path} row 2 (line 4): {why}"), said
    assert said.endswith("--skip-bad leaves such rows out")
    assert "\n" not in said
    batch = read(path, skip_bad=True)
    assert batch.labels.tolist() == [1, 2]
    assert batch.rows.tolist() == [0, 3]
    assert len(batch.skipped) == 1


def test_a_stray_quote_spoils_one_line_only(tmp_path: Path) -> None:
    path = lines(tmp_path / "faces.csv", f'1,"{GOOD},Training', f"2,{GOOD},Training")
    assert read(path).labels.tolist() == [1, 2]


def test_bad_lines_across_blocks_keep_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "_BLOCK", 3 * len(GOOD))
    rng = np.random.default_rng(0)
    rows, good = [], []
    for i in range(60):
        kind = rng.integers(0, 5)
        rows.append(
            [f"{i % 7},{GOOD},Training", "", "0", f"8,{GOOD},Training", f"{i % 7},{GOOD},PublicTest"][kind]
        )
        if kind in (0, 4):
            good.append(i)
    bad = [i for i, row in enumerate(rows) if i not in good and row]
    batch = read(lines(tmp_path / "faces.csv", *rows), skip_bad=True)
    assert batch.rows.tolist() == good
    assert batch.labels.tolist() == [i % 7 for i in good]
    assert [int(line.split(" row ")[1].split()[0]) for line in batch.skipped] == bad


def test_a_line_longer_than_any_face_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv, "_BLOCK", 1 << 14)
    with pytest.raises(DataError, match="does not read as CSV"):
        read(lines(tmp_path / "faces.csv", f"0,{GOOD * 20},Training", f"0,{GOOD},Training"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_is_written_is_read(tmp_path: Path, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 5))
    images = np.frombuffer(data.draw(st.binary(min_size=n * 2304, max_size=n * 2304)), np.uint8)
    batch = FaceBatch(
        images=images.reshape(n, 48, 48),
        labels=np.array(data.draw(st.lists(st.integers(0, len(EMOTIONS) - 1), min_size=n, max_size=n))),
        splits=np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), np.int8),
        rows=np.arange(n),
        votes=np.zeros((n, 10), np.uint8),
    )
    path = tmp_path / "faces.csv"
    write(batch, path, "csv")
    first, *rest = path.read_text().splitlines()
    assert first == "emotion,pixels,Usage"
    for line, image, label, split in zip(rest, batch.images, batch.labels, batch.splits, strict=True):
        assert line == f"{label},{' '.join(map(str, image.ravel()))},{USAGES[split]}"
    found = read(path)
    np.testing.assert_array_equal(found.images, batch.images)
    np.testing.assert_array_equal(found.labels, batch.labels)
    np.testing.assert_array_equal(found.splits, batch.splits)


def naive(text: bytes, pixels: int) -> list[int] | None:
    """One row as Python reads it; None where it is wrong."""
    tokens = text.replace(b"\t", b" ").replace(b'"', b" ").split(b" ")
    tokens = [token for token in tokens if token]
    whole = all(set(token) <= set(b"0123456789") and len(token) <= 3 for token in tokens)
    values = [int(token) for token in tokens] if whole else []
    return values if whole and len(values) == pixels and max(values, default=0) < 256 else None


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(alphabet='0123459 \t"x-', max_size=14).map(str.encode), min_size=1, max_size=6),
    st.integers(0, 9),
)
def test_block_parser_equals_the_naive_one(rows: list[bytes], lead: int) -> None:
    pixels = 3
    text = b"9" * lead + b"".join(rows) + b"99 9"
    offsets = lead + np.cumsum([0, *map(len, rows)])
    values, good = parse_block(np.frombuffer(text, np.uint8), offsets, pixels)
    expected = [naive(row, pixels) for row in rows]
    assert good.tolist() == [row is not None for row in expected]
    assert values.tolist() == [row for row in expected if row is not None]
    for row, fine in zip(rows, good, strict=True):
        if not fine:
            assert "expected" in fault(row, pixels)
