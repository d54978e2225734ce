"""One file that holds a backup: a tar compressed with zstd (`tar --zstd -tf FILE` lists it), whose last entries prove it whole.

run_store.db ...     what was backed up, by its path in the state folder
manifest.json        what the backup is of, and size and SHA-256 of each file
manifest.sha256      the SHA-256 of manifest.json; where it is missing the file was cut short
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa

from pipeline.errors import PermanentError

FORMAT = 1
MANIFEST, SEAL = "manifest.json", "manifest.sha256"
MAGIC = b"\x28\xb5\x2f\xfd"  # of zstd
BLOCK = 1 << 20
LARGEST_MANIFEST = 256 << 20


class DamagedBackupError(PermanentError):
    """The file is no backup, or not a whole one."""

    def __init__(self, reason: str, *, where: str) -> None:
        super().__init__(
            f"The backup cannot be used: {reason}", where=where, safe="Nothing was changed", next="take another backup file"
        )


@dataclass
class Writer:
    """Adds files one after the other, and what proves them whole at the end."""

    _tar: tarfile.TarFile
    _files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The size of all files that were added, before compression."""
        return sum(int(facts["bytes"]) for facts in self._files.values())

    @property
    def count(self) -> int:
        """How many files were added."""
        return len(self._files)

    def add(self, path: Path, name: str) -> None:
        """Add a file as it is now; one that grows meanwhile is kept up to where it ended, one that is gone is left out."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return
        with source:
            status = os.fstat(source.fileno())
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = status.st_size, int(status.st_mtime), 0o600
            hashing = _Hashing(source)
            self._tar.addfile(entry, hashing)
        self._files[name] = {"bytes": status.st_size, "sha256": hashing.hexdigest()}

    def seal(self, facts: Mapping[str, Any]) -> None:
        """End with the manifest: the facts, and every file."""
        content = json.dumps({"format": FORMAT, **facts, "files": self._files}, indent=1, sort_keys=True).encode()
        self._add_text(MANIFEST, content)
        self._add_text(SEAL, hashlib.sha256(content).hexdigest().encode())

    def _add_text(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o600
        self._tar.addfile(entry, io.BytesIO(content))


@contextmanager
def writing(stream: IO[bytes]) -> Iterator[Writer]:
    """Write an archive into a stream; it is whole once it was sealed and the block has ended."""
    with (
        pa.PythonFile(stream, mode="w") as sink,
        pa.CompressedOutputStream(sink, "zstd") as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        yield Writer(tar)
        tar.close()
        compressed.flush()


def unpack(stream: IO[bytes], folder: Path, *, where: str) -> Mapping[str, Any]:
    """Unpack a backup into an empty folder and prove it whole; returns its manifest.

    Raises DamagedBackupError with the reason where it is none, was cut short, or any byte of it is not what was written.
    """
    found: dict[str, dict[str, Any]] = {}
    last: dict[str, bytes] = {}
    head = stream.read(len(MAGIC))
    if head != MAGIC:
        raise DamagedBackupError("it is empty" if not head else "it is not a backup made by neopulse backup", where=where)
    try:
        compressed = pa.CompressedInputStream(pa.PythonFile(_Rejoined(head, stream), mode="r"), "zstd")
        with tarfile.open(fileobj=compressed, mode="r|") as tar:
            for entry in tar:
                if entry.name in (MANIFEST, SEAL):
                    last[entry.name] = _text(tar, entry, where)
                else:
                    found[entry.name] = _extract(tar, entry, folder, where)
    except (tarfile.TarError, EOFError, pa.ArrowException) as error:
        raise DamagedBackupError(f"it is cut short or damaged ({error})", where=where) from error
    except OSError as error:
        if error.errno is not None:  # the disk's, not the archive's
            raise
        raise DamagedBackupError(f"it is cut short or damaged ({error})", where=where) from error
    return _proven(found, last, where)


def _proven(found: Mapping[str, Mapping[str, Any]], last: Mapping[str, bytes], where: str) -> Mapping[str, Any]:
    if MANIFEST not in last or SEAL not in last:
        raise DamagedBackupError("it is cut short: its end is missing", where=where)
    if hashlib.sha256(last[MANIFEST]).hexdigest() != last[SEAL].decode("ascii", "replace"):
        raise DamagedBackupError("its manifest is damaged", where=where)
    manifest: Mapping[str, Any] = json.loads(last[MANIFEST])
    if manifest["format"] != FORMAT:
        raise DamagedBackupError(f"it has form {manifest['format']}, and this neopulse reads form {FORMAT}", where=where)
    for name in sorted(set(found) | set(manifest["files"])):
        if found.get(name) != manifest["files"].get(name):
            raise DamagedBackupError(f"{name} is not what was backed up", where=where)
    return manifest


def _extract(tar: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path, where: str) -> dict[str, Any]:
    parts = PurePosixPath(entry.name).parts
    if not entry.isreg() or not parts or entry.name.startswith("/") or ".." in parts:
        raise DamagedBackupError(f"{entry.name!r} is no file of a state folder", where=where)
    source = tar.extractfile(entry)
    assert source is not None  # a regular file has content
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    hashing = _Hashing(source)
    with path.open("xb") as target:
        while block := hashing.read(BLOCK):
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    return {"bytes": entry.size, "sha256": hashing.hexdigest()}


def _text(tar: tarfile.TarFile, entry: tarfile.TarInfo, where: str) -> bytes:
    source = tar.extractfile(entry)
    if source is None or entry.size > LARGEST_MANIFEST:
        raise DamagedBackupError("its manifest is damaged", where=where)
    return source.read()


class _Hashing:
    """A file that is read through, and hashed on the way."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self._hash.update(block)
        return block

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class _Rejoined:
    """A stream whose first bytes were looked at before."""

    closed = False

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        head, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
        return head if len(head) == size else head + self._rest.read(size - len(head) if size >= 0 else -1)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
