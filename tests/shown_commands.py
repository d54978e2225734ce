"""What the documentation tells people to type, found in the code blocks and code spans of a page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

SHELL = ("", "sh")  # how a fence names a block of things to type or to put into .env; any other name is no such block
ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
OPERATORS = {"&&", ";", "|"}
REDIRECTIONS = {"<", ">", ">>"}


@dataclass(frozen=True)
class Block:
    """A code block: the number of its first line, the language that its fence names, and its lines without indentation."""

    line: int
    language: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """One call of a program: the variables before it, then its words; files that it reads from or writes into are apart."""

    given: dict[str, str]
    words: tuple[str, ...]
    files: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """Its name, without the folder of the environment."""
        return self.words[0].removeprefix(".venv/bin/") if self.words else ""


def blocks(text: str) -> Iterator[Block]:
    """Every code block of a page, fenced or indented by four spaces or more after an empty line."""
    lines = iter(enumerate(text.splitlines(), 1))
    before, found = "", []
    for number, line in lines:
        fence = re.match(r" *```(\w*)", line)
        if found and (fence or re.match(r" {0,3}\S", line)):
            yield Block(found[0][0], "", tuple(text for _, text in found))
            found = []
        if fence:
            inside = []
            for _, line in lines:
                if line.strip() == "```":
                    break
                inside.append(line)
            yield Block(number, fence[1], tuple(inside))
        elif re.match(r" {4,}\S", line) and (found or not before.strip()):
            found.append((number, line.strip()))
        before = line
    if found:
        yield Block(found[0][0], "", tuple(text for _, text in found))


def typed(text: str) -> Iterator[tuple[int, str]]:
    """Every line of a page that is to be typed or put into `.env`, with the number of its block's first line."""
    for block in blocks(text):
        if block.language in SHELL:
            yield from ((block.line, line.strip()) for line in block.lines if line.strip() and not line.strip().startswith("#"))


def spans(text: str, program: str) -> Iterator[str]:
    """Every code span of a page's sentences that calls a program, whatever variables stand before it."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from (found[1] for found in re.finditer(rf"`((?:[A-Z_]+=\S* )*(?:\.venv/bin/)?{program} [^`]+)`", prose))


def commands(line: str) -> Iterator[Command]:
    """The calls that a line makes, one after the other; a line that only sets variables makes one without words."""
    described = re.sub(r"=<[^>]*>", "=described", line)  # X=<what the reader knows>
    reader = shlex.shlex(described, posix=True, punctuation_chars=";&|<>")
    reader.whitespace_split, reader.commenters = True, "#"
    words: list[str] = []
    for word in [*reader, ";"]:
        if word not in OPERATORS:
            words.append(word)
        elif words:
            yield _command(words)
            words = []


def _command(words: list[str]) -> Command:
    given, files = {}, []
    while words and (assignment := ASSIGNMENT.fullmatch(words[0])):
        given[assignment[1]] = assignment[2]
        words = words[1:]
    while len(words) > 2 and words[-2] in REDIRECTIONS:
        files.append(words[-1])
        words = words[:-2]
    return Command(given, tuple(words), tuple(files))
