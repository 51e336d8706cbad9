#!/bin/sh
# Makes hello.wav, the sentence that the demonstration speaks.
# Voice: CMU US SLT as Debian's package flite ships it (free licence of Carnegie Mellon University,
# see /usr/share/doc/flite/copyright). The sentence holds b, p, m, w, f, v: all that lips do.
set -eu
cd "$(dirname "$0")"
command -v flite >/dev/null || { echo "flite is missing: apt-get install flite" >&2; exit 1; }
command -v sox >/dev/null || { echo "sox is missing: apt-get install sox" >&2; exit 1; }
raw=$(mktemp --suffix=.wav)
trap 'rm -f "$raw"' EXIT
flite -voice slt -o "$raw" -t "Hello! I am a robot head, and this is my mouth. \
Bob, Pam and Will may move five warm waffles."
# A moment of silence on both sides, a peak of -3 dB, no dither: the same file every time.
sox -D "$raw" -b 16 -c 1 -r 16000 hello.wav norm -3 pad 0.2 0.5
