"""Runs pylipsync over raw float32 samples at 16 kHz (stdin), 60 times a second, as it comes.

Prints JSON rows: time in s at the middle of its window, and how much of each of its phonemes.
"""

import json
import sys

import numpy as np
from pylipsync import PhonemeAnalyzer

sound = np.frombuffer(sys.stdin.buffer.read(), np.float32)
segments = PhonemeAnalyzer().extract_phoneme_segments(sound, 16000, fps=60, return_seconds=True)
rows = []
for s in segments:
    shares = [float(p.target) for p in sorted(s.phonemes, key=lambda p: p.name)]
    rows.append([float(s.start + s.end) / 2, *shares])
print(json.dumps(rows))
