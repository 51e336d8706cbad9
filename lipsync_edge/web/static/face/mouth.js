// Python's lipsync_edge/mouth.py in JavaScript: lips, teeth, tongue, and the dark between. See there
// for what the numbers mean.

import { axis, band, clip, interp, line, linspace, mean, sides } from "./drawing.js";
import { emphasis, mouth as M } from "./design.js";

const { CLOSURE_AXIS, DOUBT, GAP, SURE } = emphasis;
const { HALF_WIDTH, LOWER, N_POINTS, OPEN, TEETH_BETWEEN, TEETH_EDGE, TEETH_WIDTH, UPPER, Y } = M;

const TWO_SIDED = ["mouthSmile", "mouthStretch", "mouthPress", "mouthUpperUp", "mouthLowerDown", "mouthFrown"];

/** The axes that move the mouth. */
export const MOUTH_AXES = [
  ...new Set([
    ...Object.keys(GAP), CLOSURE_AXIS, "mouthPucker", "mouthShrugLower", "mouthRollLower", "mouthRollUpper",
    "mouthLeft", "mouthRight", "tongueOut", ...TWO_SIDED.flatMap((name) => [`${name}Left`, `${name}Right`]),
  ]),
];

const T = linspace(-Math.PI / 2, Math.PI / 2, N_POINTS).map(Math.sin);

/** How sure the model is that the lips are shut, 0..1. */
export function told(pose) {
  return clip((axis(pose, CLOSURE_AXIS) - DOUBT) / (SURE - DOUBT), 0, 1);
}

/** How far the lips are apart in the middle, 1 = by a fully open jaw. */
export function opening(pose) {
  let apart = 0;
  for (const [name, share] of Object.entries(GAP)) apart += share * axis(pose, name);
  return (1 - told(pose)) * Math.max(0, apart);
}

let last = { pose: null, mouth: null }; // three parts of a face ask for the same one

/** The lips' edges for a pose, which must not be changed afterwards. */
export function mouth(pose) {
  if (last.pose !== pose) last = { pose, mouth: edges(pose) };
  return last.mouth;
}

function edges(pose) {
  const [jaw, pucker, funnel] = ["jawOpen", "mouthPucker", "mouthFunnel"].map((name) => axis(pose, name));
  const [smile, stretch] = [mean(pose, "mouthSmile"), mean(pose, "mouthStretch")];
  const gap = opening(pose);
  const round = Math.min(pucker + 0.6 * funnel, 1);
  const press = Math.min(mean(pose, "mouthPress") + 0.7 * told(pose), 1);
  const wide = 1 + 0.4 * stretch + 0.2 * smile + 0.06 * press;
  const width = HALF_WIDTH * Math.max(wide - 0.5 * pucker - 0.28 * funnel - 0.1 * Math.min(gap, 1), 0.42);
  const inner = width * (0.9 + 0.06 * stretch - 0.22 * round);
  const [upLeft, upRight] = sides(pose, "mouthUpperUp");
  const [downLeft, downRight] = sides(pose, "mouthLowerDown");
  // The upper lip rises by itself; the seam lies two fifths below it, and on a lowered jaw lower.
  const rise = 0.15 * (upLeft + upRight) + 0.1 * funnel;
  const shut = Math.max(0, jaw + rise + 0.15 * (downLeft + downRight) + 0.1 * funnel - gap);
  const middle = Y + OPEN * (0.4 * gap - rise + 0.35 * shut) - 0.01 * axis(pose, "mouthShrugLower");
  const [liftLeft, liftRight] = ["Left", "Right"].map(
    (side) => 0.01 + 0.075 * axis(pose, `mouthSmile${side}`) - 0.08 * axis(pose, `mouthFrown${side}`),
  );
  const full = 1 + 0.55 * pucker + 0.3 * funnel - 0.28 * stretch - 0.15 * smile - 0.1 * Math.min(gap, 1);
  const roll = axis(pose, "mouthRollLower");
  const upper = UPPER * Math.max(full - 0.5 * press - 0.8 * axis(pose, "mouthRollUpper"), 0.15);
  const lower = LOWER * Math.max(full - 0.45 * press - 0.75 * roll, 0.15);
  const sideways = 2 * HALF_WIDTH * 0.12 * (axis(pose, "mouthLeft") - axis(pose, "mouthRight"));
  const m = {
    x: [], outerTop: [], innerTop: [], innerBottom: [], outerBottom: [], gap, round, roll,
    jawTeeth: Y + TEETH_EDGE - 0.01 + 0.93 * OPEN * jaw,
    forward: 0.07 * pucker + 0.012 * funnel,
  };
  for (const t of T) {
    const r = Math.abs(t);
    const s = Math.min((width * r) / inner, 1);
    const apart = OPEN * gap * (1 - s ** (2.1 + 1.2 * stretch)) ** (0.72 - 0.2 * round);
    // Outside, lips open over their whole width, so that their corners stay soft.
    const outside = OPEN * gap * (1 - r ** 2.2) ** 0.72;
    let base = middle - (t > 0 ? liftLeft : liftRight) * r ** 1.8 - 0.006 * (1 - t * t);
    base += (0.012 * Math.exp(-((t / 0.25) ** 2)) - 0.006) * (1 - Math.min(gap * 4, 1));
    const top = base - 0.4 * apart * (1 + 0.8 * (upLeft - upRight) * t);
    const bottom = base + 0.6 * apart * (1 + 0.8 * (downLeft - downRight) * t);
    const bow = 1 - (0.3 - 0.12 * round) * Math.exp(-((t / 0.15) ** 2));
    const above = upper * (1 - r ** (1.7 + 0.8 * round)) ** (0.9 - 0.3 * round) * bow;
    const below = lower * (1 - r ** 2.3) ** (0.85 - 0.3 * round);
    m.x.push(width * t + sideways);
    m.innerTop.push(top);
    m.innerBottom.push(bottom);
    m.outerTop.push(Math.min(top, base - 0.4 * outside) - above);
    m.outerBottom.push(Math.max(bottom, base + 0.6 * outside) + below);
  }
  return m;
}

/** The mouth, from the back to the front: the points of each path. */
export function drawMouth(pose) {
  const m = mouth(pose);
  const out = axis(pose, "tongueOut") * Math.min(m.gap / 0.1, 1);
  return [
    band(m.x, m.innerTop, m.innerBottom),
    ...tongue(m),
    ...lowerTeeth(m),
    band(m.x, m.innerBottom, m.outerBottom),
    light(m),
    ...upperTeeth(m),
    ...tip(m, out),
    band(m.x, m.outerTop, m.innerTop),
    line(m.x, m.innerTop, 4),
    line(m.x, m.innerBottom, 4),
  ];
}

/** How far apart the lips are in the middle of a drawn mouth, 1 = by a fully open jaw. */
export function drawnOpening(inside) {
  const middle = (N_POINTS - 1) / 2;
  return (inside[4 * N_POINTS - 2 * middle - 1] - inside[2 * middle + 1]) / OPEN;
}

/** Places across the mouth, no further out than the lips, and the inner edges there. */
function within(m, halfWidth) {
  const x = linspace(-halfWidth, halfWidth, 25).map((at) => clip(at, m.x[0], m.x.at(-1)));
  return [x, x.map((at) => interp(at, m.x, m.innerTop)), x.map((at) => interp(at, m.x, m.innerBottom))];
}

function upperTeeth(m) {
  const [x, top, bottom] = within(m, TEETH_WIDTH);
  // Over a lower lip that is rolled in (f, v) the edge of the teeth stays in sight.
  const bite = 0.02 * m.roll * Math.min(m.gap / 0.1, 1);
  const edge = x.map((at, k) => Math.min(arch(at) - m.forward, bottom[k] + (bottom[k] > top[k] + 1e-3 ? bite : 0)));
  const shade = edge.map((y, k) => Math.min(y, top[k] + 0.016));
  const low = edge.map((y, k) => Math.max(y, top[k]));
  return [band(x, top, edge), band(x, top, shade), ...gaps(x, top, low, 1)];
}

function lowerTeeth(m) {
  const [x, top, bottom] = within(m, 0.85 * TEETH_WIDTH);
  const edge = x.map((at, k) => {
    const y = m.jawTeeth + 0.05 * Math.abs(at / (0.85 * TEETH_WIDTH)) ** 5;
    return clip(y, top[k], bottom[k]);
  });
  return [band(x, edge, bottom), ...gaps(x, edge, bottom, 0.8)];
}

/** The lower edge of the upper teeth: an arch that rises to the sides. */
function arch(x) {
  const r = Math.abs(x) / TEETH_WIDTH;
  return Y + TEETH_EDGE - 0.03 * r ** 2.2 - 0.07 * r ** 9;
}

/** The lines between teeth. */
function gaps(x, top, bottom, scale) {
  return [...TEETH_BETWEEN.slice(1), ...TEETH_BETWEEN.map((b) => -b)].map((b) => {
    const at = clip(scale * b, x[0], x.at(-1)); // at its end the row is hidden behind the lips
    const [high, low] = [interp(at, x, top), interp(at, x, bottom)];
    return [at, high, at, low - high < 0.004 ? high : low];
  });
}

/** The tongue at rest, behind the lower teeth; rounded lips draw it back. */
function tongue(m) {
  const [x, top, bottom] = within(m, 0.62 * TEETH_WIDTH);
  const back = m.jawTeeth - 0.035 * (1 - 0.9 * m.round) - 0.05 * Math.min(m.gap, 1.2);
  const hill = linspace(-1, 1, x.length).map((t, k) => {
    const r = Math.abs(t);
    return clip(back + 0.05 * r ** 2.5 + 0.15 * r ** 12, top[k], bottom[k]);
  });
  return [band(x, hill, bottom), [0, Math.min(hill[12] + 0.012, bottom[12]), 0, bottom[12]]];
}

/** The tip of the tongue between the teeth (l, th), over the lower lip where it is far out. */
function tip(m, out) {
  const t = linspace(-1, 1, 21);
  const x = t.map((at) => clip(0.1 * (1 - 0.3 * m.round) * at, m.x[0], m.x.at(-1)));
  const high = x.map((at) => Math.max(Y + TEETH_EDGE - 0.012, interp(at, m.x, m.innerTop)));
  const bottom = x.map((at) => interp(at, m.x, m.innerBottom));
  const bow = t.map((at) => Math.sqrt(1 - at * at));
  const upper = bottom.map((y, k) => y - clip(Math.min(3 * out, 1) * bow[k], 0, 1) * Math.max(y - high[k], 0));
  const lower = bottom.map((y, k) => y + bow[k] * 0.09 * Math.max(0, out - 0.25));
  const shine = upper.map((y, k) => Math.min(y + 0.012 * bow[k] * Math.min(4 * out, 1), lower[k]));
  return [band(x, upper, lower), band(x, upper, shine)];
}

/** The light on the lower lip. */
function light(m) {
  const from = Math.floor(N_POINTS / 4);
  const to = N_POINTS + Math.floor(-N_POINTS / 4) + 1;
  const t = linspace(-1, 1, to - from);
  const [x, top, bottom] = [[], [], []];
  for (let k = from; k < to; k++) {
    const thick = m.outerBottom[k] - m.innerBottom[k];
    const half = 0.13 * thick * Math.sqrt(1 - t[k - from] ** 2);
    x.push(m.x[k] * 0.75);
    top.push(m.innerBottom[k] + 0.4 * thick - half);
    bottom.push(m.innerBottom[k] + 0.4 * thick + half);
  }
  return band(x, top, bottom);
}
