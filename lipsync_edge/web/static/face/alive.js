// Python's lipsync_edge/alive.py in JavaScript: what a face does when it does nothing.

import { alive as A } from "./design.js";

const { floor, max, min, sin, PI } = Math;

/** Axes of the eyes and the head at a time, to be added to a pose. */
export function alive(timeS, seed = A.SEED) {
  const at = floor(timeS / A.BLINK_EVERY_S);
  const blinks = [at - 1, at, at + 1].map((k) => blink(timeS, k, seed));
  const [across, up] = [1, 2].map((channel) => glance(timeS, seed, channel));
  const axes = {
    eyeBlinkLeft: max(...blinks),
    eyeBlinkRight: max(...blinks),
    eyeLookOutLeft: max(across, 0),
    eyeLookInRight: max(across, 0),
    eyeLookInLeft: max(-across, 0),
    eyeLookOutRight: max(-across, 0),
  };
  for (const side of ["Left", "Right"]) {
    axes[`eyeLookUp${side}`] = max(up, 0);
    axes[`eyeLookDown${side}`] = max(-up, 0);
  }
  Object.entries(A.SWAY).forEach(([name, [size, periodS]], k) => {
    const turn = (2 * PI * timeS) / periodS;
    const [phase, other] = [0, 1].map((c) => 2 * PI * noise(k, seed, 10 + c));
    axes[name] = size * (0.7 * sin(turn + phase) + 0.3 * sin(2.3 * turn + other));
  });
  const raised = max(0, sin(2 * PI * (timeS / A.BROWS_EVERY_S + noise(0, seed, 20)))) ** 3;
  for (const name of ["browInnerUp", "browOuterUpLeft", "browOuterUpRight"]) axes[name] = A.BROWS * raised;
  return axes;
}

/** A number in 0..1 that looks random. */
function noise(k, seed, channel) {
  const wave = sin(k * 12.9898 + seed * 78.233 + channel * 37.719) * 43758.5453;
  return wave - floor(wave);
}

function blink(timeS, k, seed) {
  const sinceS = timeS - k * A.BLINK_EVERY_S - A.BLINK_JITTER_S * noise(k, seed, 0);
  if (sinceS < 0) return 0;
  return max(0, min(1, sinceS / A.BLINK_SHUT_S, 1 - (sinceS - A.BLINK_SHUT_S - 0.03) / A.BLINK_OPEN_S));
}

function glance(timeS, seed, channel) {
  const k = floor(timeS / A.GLANCE_EVERY_S);
  const [before, now] = [k - 1, k].map((j) => (noise(j, seed, channel) * 2 - 1) ** 3 * A.GLANCE);
  const share = min((timeS - k * A.GLANCE_EVERY_S) / A.GLANCE_MOVE_S, 1);
  return before + (now - before) * share;
}
