"""Runs a command on a terminal of its own, and tells what a person would see there.

usage: terminal.py COLUMNS WHEN COMMAND...

WHEN is a text: as soon as the terminal shows it, Ctrl-C is pressed; empty for never. Prints JSON: the exit code, all lines that
were ever drawn, and what is on the screen at the end. A line that is too long wraps, and a character that belongs to no known control
sequence of the few that are understood here ends the run: whoever draws may use no others.
"""

import codecs
import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios

ROWS = 500
ERASE_LINE = re.compile("\x1b\\[K")

# What the keys send, of which nothing is seen: .NET says it where a process is started.
KEYPAD = re.compile("\x1b(\\[\\?1[hl]|[=>])")


class Screen:
    def __init__(self, columns):
        self.columns, self.row, self.column = columns, 0, 0
        self.lines = [""]
        self.seen = []
        self.rest = ""

    def feed(self, text):
        text = self.rest + text
        self.rest, at = "", 0
        while at < len(text):
            char = text[at]
            if char == "\x1b":
                if keypad := KEYPAD.match(text, at):
                    at = keypad.end()
                    continue
                if len(text) - at < 5 and not ERASE_LINE.match(text, at):
                    self.rest = text[at:]
                    return
                if not ERASE_LINE.match(text, at):
                    sys.exit(f"unknown control sequence {text[at:at + 10]!r}")
                self.note()
                self.lines[self.row] = self.lines[self.row][: self.column]
                at += 3
                continue
            at += 1
            if char == "\r":
                self.note()
                self.column = 0
            elif char == "\n":
                self.note()
                self.down()
            elif ord(char) < 32:
                sys.exit(f"unknown control character {char!r}")
            else:
                self.put(char)
        self.note()

    def put(self, char):
        if self.column == self.columns:
            self.down()
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
        self.column += 1

    def down(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def note(self):
        line = self.lines[self.row]
        if line and line not in self.seen:
            self.seen.append(line)


def main():
    columns, when, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        os.execvp(command[0], command)
    screen, decoder, pressed = Screen(columns), codecs.getincrementaldecoder("utf-8")("replace"), not when
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            data = b""
        if not data:
            break
        screen.feed(decoder.decode(data))
        if not pressed and any(when in line for line in screen.seen):
            pressed = True
            os.write(terminal, b"\x03")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps({"code": code, "seen": screen.seen, "screen": "\n".join(screen.lines)}))


main()
