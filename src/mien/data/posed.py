"""Sets of posed photographs, whose names or folders tell who shows which emotion. Only read.

- NimStim (Tottenham et al. 2009): `01F_AN_C.BMP`, the subject's number and sex, the expression, the mouth:
  closed (C), open (O) or, of happy faces, exuberant (X). Calm (CA) is none of our emotions.
- KDEF (Lundqvist, Flykt & Öhman 1998): `AF01ANS.JPG`, the session (A or B), the subject's sex and number, the
  expression, the view. Both sessions show the same people. Only the straight view (S) is taken.
- `subject/emotion/*.jpg`, with or without folders of splits above.

The pictures are found in folders of any name, and are photographs of any size: each is made small as soon as
it is decoded. A first folder that names a split (`train`, `validation`, `test` …) tells the split of all
below; without such folders the splits are drawn by subject. Here `test` is private: the test split of three.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from mien.data.formats import SPLIT_NAMES, Format, Reading
from mien.data.pictures import decode_grey
from mien.data.subjects import split_by_subject, too_few_subjects
from mien.errors import DataError, ImageError
from mien.faces import FaceBatch, UInt8
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SPLITS, SYNONYMS

SIDE = 48
"""The photographs are read at this side where no size is asked for: FER-2013's."""

_SPLIT_FOLDERS = {**SPLIT_NAMES, "test": SPLITS.index("private")}
_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_DEEPEST = 5
# So many files tell a set by their names; nobody waits while a whole disk is searched.
_LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Naming:
    """How a set names its pictures.

    pattern: matches the whole of a picture's path inside the set, with the groups `subject`, `expression` and
    perhaps `view`. expected: the pattern in words.
    emotions: each expression's emotion by the expression's name in lower case, None where it is none of ours.
    upper: subjects are written in upper and lower case alike. view: the one that is taken.
    """

    pattern: re.Pattern[str]
    expected: str
    emotions: Mapping[str, str | None]
    upper: bool = True
    view: str = ""

    def groups(self, name: str) -> dict[str, str] | None:
        """What the picture's path inside the set tells, None where it does not parse."""
        match = self.pattern.fullmatch(name)
        if match is None or match["expression"].lower() not in self.emotions:
            return None
        return match.groupdict()


def _named(stem: str) -> re.Pattern[str]:
    return re.compile(rf"(?:.*/)?{stem}\.[a-z]+", re.IGNORECASE)


_NIMSTIM = Naming(
    pattern=_named(r"(?P<subject>[0-9]{2}[FM])_(?P<expression>[A-Z]{2})_[COX]"),
    expected="NimStim's NNS_EE_M, as in 01F_AN_C.BMP (number, sex F M, expression AN CA DI FE HA NE SA SP, "
    "mouth C O X)",
    emotions={
        "an": "angry", "ca": None, "di": "disgust", "fe": "fear", "ha": "happy", "ne": "neutral", "sa": "sad",
        "sp": "surprise",
    },
)  # fmt: skip

_KDEF = Naming(
    pattern=_named(r"[AB](?P<subject>[FM][0-9]{2})(?P<expression>[A-Z]{2})(?P<view>FL|HL|S|HR|FR)"),
    expected="KDEF's TSNNEEV, as in AF01ANS.JPG (session A B, sex F M, number, "
    "expression AF AN DI HA NE SA SU, view FL HL S HR FR)",
    emotions={
        "af": "fear", "an": "angry", "di": "disgust", "ha": "happy", "ne": "neutral", "sa": "sad",
        "su": "surprise",
    },
    view="S",
)  # fmt: skip

_SUBJECTS = Naming(
    pattern=re.compile(
        rf"(?:(?:{'|'.join(_SPLIT_FOLDERS)})/)?(?P<subject>[^/]+)/(?P<expression>[^/]+)/[^/]+", re.IGNORECASE
    ),
    expected=f"subject/emotion/picture, as in s01/happy/1.jpg (emotions {', '.join(EMOTIONS)})",
    emotions={**{name: name for name in EMOTIONS}, **SYNONYMS},
    upper=False,
)


def _files(path: Path, refuse: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Every file below, in the order of the names; `refuse` is called with folders that cannot be read."""
    for folder, below, names in os.walk(path, onerror=refuse, followlinks=True):
        deep = len(Path(folder).relative_to(path).parts)
        below[:] = sorted(name for name in below if not name.startswith(".")) if deep < _DEEPEST else []
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _inside(file: Path, path: Path) -> str:
    return file.relative_to(path).as_posix()


def _recognises(naming: Naming, path: Path) -> bool:
    """A folder with at least one picture that is named so."""
    return path.is_dir() and any(
        file.suffix.lower() in _SUFFIXES and naming.groups(_inside(file, path)) is not None
        for file in itertools.islice(_files(path), _LOOKED_AT)
    )


def _read(naming: Naming, path: Path, reading: Reading) -> FaceBatch:
    """Reads every picture, one by one; `rows` are positions in the order of the paths.

    Raises: DataError when a folder is unreadable, at the first picture that is bad or does not parse, and for
    faces of fewer than two subjects or emotions.
    """
    found = _Found(path, naming, reading)
    pictures = [file for file in _files(path, _refuse) if file.suffix.lower() in _SUFFIXES]
    for row, file in enumerate(pictures):
        found.add(row, file)
    return found.batch()


def _refuse(error: OSError) -> None:
    raise DataError(f"cannot read the folder {error.filename}: {error.strerror or error}") from error


@dataclass(slots=True)
class _Found:
    """The faces of a set while it is read."""

    path: Path
    naming: Naming
    reading: Reading
    images: list[UInt8] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    splits: list[int | None] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, row: int, file: Path) -> None:
        """Takes one picture in, counts it as left out, or reports it as bad."""
        name = _inside(file, self.path)
        told = self.naming.groups(name)
        if told is None:
            self.reading.bad.add(str(file), f"its name does not parse: expected {self.naming.expected}")
            return
        emotion = self.naming.emotions[told["expression"].lower()]
        if told.get("view", "").upper() not in ("", self.naming.view):
            self.left_out[f"view other than {self.naming.view} (straight)"] += 1
            return
        if emotion is None:
            self.left_out[f"expression {told['expression'].upper()}, which is none of our emotions"] += 1
            return
        try:
            self.images.append(decode_grey(file.read_bytes(), self.reading.size or SIDE))
        except (OSError, ImageError) as error:
            self.reading.bad.add(str(file), str(error))
            return
        self.labels.append(EMOTIONS.index(emotion))
        self.splits.append(_SPLIT_FOLDERS.get(name.partition("/")[0].lower(), self.reading.assume_split))
        self.rows.append(row)
        self.subjects.append(told["subject"].upper() if self.naming.upper else told["subject"])

    def batch(self) -> FaceBatch:
        """All faces together, their splits drawn where nothing tells any.

        Raises: DataError for fewer than two subjects or emotions, and where only some have a split.
        """
        side = self.reading.size or SIDE
        batch = FaceBatch(
            images=np.stack(self.images) if self.images else np.zeros((0, side, side), np.uint8),
            labels=np.array(self.labels, np.int64),
            splits=np.array([split or 0 for split in self.splits], np.int8),
            rows=np.array(self.rows, np.int64),
            votes=np.zeros((len(self.rows), len(FERPLUS_CHOICES)), np.uint8),
            source=str(self.path),
            left_out=tuple(f"{number:,} pictures left out: {why}" for why, number in self.left_out.items()),
            subjects=np.array(self.subjects, np.str_),
        )
        if not len(batch):
            return batch
        _check_variety(batch)
        without = self.splits.count(None)
        if without == len(batch):
            return split_by_subject(batch, seed=self.reading.split_seed)
        if without:
            raise DataError(
                f"{without} pictures in {self.path} lie outside its folders of splits: move them, or say "
                "with --assume-split which split they are"
            )
        return batch


def _check_variety(batch: FaceBatch) -> None:
    names = np.unique(batch.subjects if batch.subjects is not None else [])
    if len(names) < 2:
        raise too_few_subjects(batch.source, names)
    held = np.unique(batch.labels)
    if len(held) < 2:
        raise DataError(
            f"{batch.source} holds faces of one emotion ({EMOTIONS[held[0]]}): expected two or more"
        )


def _format(name: str, description: str, naming: Naming) -> Format:
    return Format(
        name=name,
        description=description,
        suffixes=(),
        recognises=partial(_recognises, naming),
        read=partial(_read, naming),
        write=None,
        unsized=True,
    )


NIMSTIM = _format("nimstim", "a folder of NimStim's pictures, 01F_AN_C.BMP", _NIMSTIM)
KDEF = _format("kdef", "a folder of KDEF's pictures, AF01/AF01ANS.JPG", _KDEF)
SUBJECTS = _format("subjects", "folders of pictures by subject, s01/happy/1.jpg", _SUBJECTS)
