// Python's lipsync_edge/portrait.py in JavaScript: the whole face, in layers that turn with the head
// by their depth. Colours, order and tables come from Python (design.js); here are the formulas.

import { axis, band, clip, ellipse, interp, line, linspace, mean, moved, smooth, tapered } from "./drawing.js";
import { mouth as M, portrait as P, styles } from "./design.js";
import { MOUTH_AXES, drawMouth, drawnOpening, mouth } from "./mouth.js";

const mirror = (points) => points.map(([x, y]) => [-x, y]);
const stretched = (points, x) => points.map(([px, py]) => [px * x, py]);
const ring = (half) => [...half, ...mirror(half).slice(1).reverse()];
const drop = (pose) => P.CHIN_SHARE * M.OPEN * axis(pose, "jawOpen");
const SIDES = [[1, "Left"], [-1, "Right"]];
const both = (...names) => names.flatMap((name) => [`${name}Left`, `${name}Right`]);
const eyeAxes = (name) => [
  ...["Blink", "Wide", "Squint", "LookIn", "LookOut", "LookUp", "LookDown"].map((part) => `eye${part}${name}`),
  `mouthSmile${name}`,
];
const browAxes = (name) => ["browInnerUp", `browOuterUp${name}`, `browDown${name}`];

/** The parts in drawing order: `depth` (null: it does not turn with the head), the `axes` that its
 * points depend on, and `make(pose)`, the points of its paths before the head turns. */
const PARTS = [
  { depth: null, axes: [], make: () => [[-1, -1, 1, -1, 1, 1, -1, 1], ellipse(0, -0.1, 0.86, 0.86, 48)] },
  { depth: -0.35, axes: [], make: () => [smooth(ring([...P.HAIR_BACK, ...P.NAPE]), true)] },
  { depth: null, axes: [], make: () => [P.SHOULDERS, P.THROAT, P.COLLAR].map((points) => smooth(points, false)) },
  { depth: -0.2, axes: [], make: ears },
  { depth: 0.2, axes: ["jawOpen"], make: neckShadow },
  { depth: 0.35, axes: ["jawOpen", "cheekPuff", "jawLeft", "jawRight", ...both("mouthSmile")], make: skull },
  { depth: 0.75, axes: ["jawOpen", ...both("mouthSmile", "cheekSquint")], make: cheeks },
  { depth: 0.75, axes: [...MOUTH_AXES, ...both("noseSneer")], make: folds },
  { depth: 0.8, axes: eyeAxes("Left"), make: (pose) => eye(pose, 1, "Left") },
  { depth: 0.8, axes: eyeAxes("Right"), make: (pose) => eye(pose, -1, "Right") },
  { depth: 0.85, axes: MOUTH_AXES, make: drawMouth },
  { depth: 0.85, axes: MOUTH_AXES, make: chinShade },
  { depth: 1.15, axes: both("noseSneer", "mouthSmile"), make: nose },
  { depth: 0.35, axes: [], make: fringe },
  { depth: 0.8, axes: browAxes("Left"), make: (pose) => [brow(pose, 1, "Left")] },
  { depth: 0.8, axes: browAxes("Right"), make: (pose) => [brow(pose, -1, "Right")] },
];

const MOUTH = PARTS.findIndex(({ make }) => make === drawMouth);

/** A face that remembers: only parts whose axes changed are worked out again. */
export class Portrait {
  #values = PARTS.map(() => null);
  /** By part: `depth`, `paths` (the points of each), `changed` by the last `look`. */
  parts = PARTS.map(({ depth }) => ({ depth, paths: [], changed: true }));

  /** Take a pose; returns `parts`. */
  look(pose) {
    PARTS.forEach(({ axes, make }, k) => {
      const before = this.#values[k];
      const now = axes.map((name) => axis(pose, name));
      const part = this.parts[k];
      part.changed = !before || now.some((value, j) => value !== before[j]);
      if (!part.changed) return;
      this.#values[k] = now;
      part.paths = make(pose);
    });
    return this.parts;
  }

  /** How far apart the lips are drawn in their middle, 1 = by a fully open jaw. */
  get opening() {
    return drawnOpening(this.parts[MOUTH].paths[0]);
  }
}

/** How the head turns: degrees clockwise round `P.NECK`, after shifts for what is at depth 1. */
export function turn(pose) {
  const [yaw, pitch, roll] = ["headYaw", "headPitch", "headRoll"].map((name) => axis(pose, name));
  return { x: P.YAW * yaw, y: -P.PITCH * pitch, radians: P.ROLL * roll };
}

/** All paths as Python's `draw` has them: [{name, fill, stroke, width, alpha, points}, ...]. */
export function draw(pose, portrait = new Portrait()) {
  const { x, y, radians } = turn(pose);
  const [c, s] = [Math.cos(radians), Math.sin(radians)];
  const [neckX, neckY] = P.NECK;
  const points = portrait.look(pose).flatMap(({ depth, paths }) =>
    depth === null
      ? paths
      : paths.map((path) =>
          moved(path, (px, py) => {
            const [dx, dy] = [px + x * depth - neckX, py + y * depth - neckY];
            return [dx * c - dy * s + neckX, dx * s + dy * c + neckY];
          })),
  );
  return styles.map((style, k) => ({ ...style, points: points[k] }));
}

function ears() {
  return [1, -1].flatMap((side) => [
    ellipse(side * 0.592, -0.05, 0.075, 0.14),
    smooth(stretched(P.EAR_FOLD, side), false),
  ]);
}

function neckShadow(pose) {
  const y = 0.6 + drop(pose);
  const edge = [[-0.262, 0.38], [-0.262, y - 0.02], [-0.14, y + 0.12], [0, y + 0.15],
    [0.14, y + 0.12], [0.262, y - 0.02], [0.262, 0.38]];
  return [smooth(edge, false)];
}

function outline(pose) {
  const down = drop(pose);
  const half = P.OUTLINE.map(([x, y]) => {
    let low = clip(y / 0.6, 0, 1);
    low = low * low * (3 - 2 * low);
    const puff = Math.exp(-(((y - 0.3) / 0.2) ** 2));
    const wider = puff * (0.05 * axis(pose, "cheekPuff") + 0.02 * mean(pose, "mouthSmile"));
    return [x * (1 - 0.22 * down * Math.sin(Math.PI * low)) + wider, y + low * down];
  });
  const chin = [0, half.at(-1)[1] + 0.012];
  const jaw = 0.04 * (axis(pose, "jawLeft") - axis(pose, "jawRight"));
  const edge = [...half, chin, ...mirror(half).slice(1).reverse()];
  return smooth(edge.map(([x, y]) => [x + jaw * clip((y - 0.2) / 0.5, 0, 1), y]), true);
}

function skull(pose) {
  const edge = outline(pose);
  return [edge, moved(edge, (x, y) => [x * 0.955 - 0.018, (y + 0.1) * 0.975 - 0.1])];
}

function cheeks(pose) {
  return SIDES.flatMap(([side, name]) => {
    const up = 0.03 * axis(pose, `mouthSmile${name}`) + 0.03 * axis(pose, `cheekSquint${name}`);
    return Array.from({ length: 7 }, (_, k) => {
      const r = 0.155 - 0.016 * k;
      return ellipse(side * 0.36, 0.115 - up + 0.15 * drop(pose), r, 0.75 * r);
    });
  });
}

/** The folds from the nose's wings to the mouth's corners. */
function folds(pose) {
  const m = mouth(pose);
  return SIDES.map(([side, name]) => {
    const at = side > 0 ? m.x.length - 1 : 0;
    const corner = Math.abs(m.x[at]);
    const work = axis(pose, `mouthSmile${name}`) + 0.6 * axis(pose, `mouthStretch${name}`)
      + 0.5 * axis(pose, `mouthUpperUp${name}`) + 0.5 * axis(pose, `noseSneer${name}`);
    const fold = [[0.115, 0.13], [0.15 + 0.25 * corner, 0.2], [Math.max(corner, 0.19) + 0.055, m.innerTop[at] - 0.03]];
    return tapered(smooth(stretched(fold, side), false), 0.003 + 0.018 * clip(work, 0, 1));
  });
}

function chinShade(pose) {
  const m = mouth(pose);
  const y = Math.max(...m.outerBottom) + 0.035;
  const top = m.outerTop[Math.floor(m.x.length / 2)];
  const ridge = (side) => tapered(line(linspace(side * 0.02, side * 0.034, 7), linspace(0.2, top - 0.01, 7)), 0.014);
  return [
    tapered(smooth([[-0.1, y - 0.006], [0, y + 0.012], [0.1, y - 0.006]], false), 0.03),
    ellipse(0, 0.575 + drop(pose), 0.1, 0.045),
    ridge(-1),
    ridge(1),
  ];
}

function nose(pose) {
  const up = 0.02 * mean(pose, "noseSneer");
  const wide = 1 + 0.12 * mean(pose, "noseSneer") + 0.05 * mean(pose, "mouthSmile");
  return [
    smooth(stretched(P.NOSE_SIDE, wide), true),
    ellipse(-0.015, 0.105, 0.034, 0.028),
    smooth(stretched(P.NOSE_WINGS, wide), false),
    ellipse(0.045 * wide, 0.163, 0.024, 0.01, 12),
    ellipse(-0.045 * wide, 0.163, 0.024, 0.01, 12),
  ].map((points) => moved(points, (x, y) => [x, y - up]));
}

function eye(pose, side, name) {
  const [blink, wide, squint] = ["Blink", "Wide", "Squint"].map((part) => axis(pose, `eye${part}${name}`));
  const look = (part) => axis(pose, `eyeLook${part}${name}`);
  const smile = axis(pose, `mouthSmile${name}`);
  const up = look("Up") - look("Down");
  const open = clip(1 - blink, 0, 1);
  const u = linspace(-1, 1, 21);
  const x = u.map((at) => side * P.EYE_X + P.EYE_HALF * at);
  const tilt = u.map((at) => -0.012 * side * at);
  const low = u.map((at) => 0.04 * (1 - 0.5 * squint - 0.25 * smile) * (1 - at * at) ** 0.8);
  const high = u.map((at) =>
    0.078 * (1 + 0.3 * wide - 0.25 * squint + 0.18 * up) * (1 - Math.abs(at) ** 2.2) ** 0.75);
  const bottom = low.map((height, k) => P.EYE_Y + tilt[k] + height);
  const top = bottom.map((y, k) => y - open * (high[k] + low[k]) - (1 - open) * 0.002);
  const crease = high.map((height, k) => P.EYE_Y + tilt[k] - 0.03 - height * 0.95 * (0.45 + 0.55 * open));
  const centreX = side * (P.EYE_X + 0.05 * (look("Out") - look("In")));
  const centreY = P.EYE_Y - 0.014 - 0.035 * up;
  const disc = (r, dx = 0, dy = 0) => {
    const t = linspace(-Math.PI / 2, Math.PI / 2, 17).map(Math.sin);
    const at = t.map((turned) => centreX + dx + r * turned);
    const lids = at.map((place) => [interp(place, x, top), interp(place, x, bottom)]);
    const edge = (sign) => t.map((turned, k) =>
      clip(centreY + dy + sign * r * Math.sqrt(1 - turned * turned), ...lids[k]));
    return band(at, edge(-1), edge(1));
  };
  return [
    ellipse(side * P.EYE_X, P.EYE_Y - 0.03, 0.15, 0.1),
    band(x, top, bottom),
    disc(0.064),
    disc(0.053),
    disc(0.03),
    disc(0.016, -0.02, -0.022),
    band(x, top, top.map((y, k) => Math.min(y + 0.014, bottom[k]))),
    line(x, bottom, 2),
    line(x, crease, 2),
    line(x, top),
  ];
}

function brow(pose, side, name) {
  const [inner, outer, down] = browAxes(name).map((part) => axis(pose, part));
  const u = linspace(0, 1, 13); // from the nose outwards
  const y = u.map((at) => {
    const lift = inner * (1 - at) ** 1.2 + outer * at ** 0.8 - 0.7 * down * (1 - 0.4 * at);
    return -0.335 - 0.062 * Math.sin(Math.PI * (0.12 + 0.68 * at)) + 0.02 * at - 0.075 * lift;
  });
  const half = u.map((at) => 0.023 * (1 - 0.75 * at ** 1.6) * Math.min(1, 0.55 + 4 * at));
  const x = u.map((at) => side * (0.105 + 0.275 * at));
  return band(x, y.map((height, k) => height - half[k]), y.map((height, k) => height + half[k]));
}

function fringe() {
  const crown = [...P.HAIR_BACK].reverse().concat(mirror(P.HAIR_BACK).slice(1));
  return [smooth([...P.FRINGE, ...crown], true), ...P.STRANDS.map((strand) => smooth(strand, false))];
}
