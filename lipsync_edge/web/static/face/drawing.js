// Python's lipsync_edge/drawing.py in JavaScript. Points are flat: [x0, y0, x1, y1, ...], in picture
// units, which run from -1 to 1 to the right and down.

/** The value of an axis, cut to -1..1; missing or no number: 0. */
export function axis(pose, name) {
  const value = Number(pose[name] ?? 0);
  return Number.isFinite(value) ? Math.min(Math.max(value, -1), 1) : 0;
}

/** The values of an axis that has two sides: [head's left, head's right]. */
export function sides(pose, name) {
  return [axis(pose, `${name}Left`), axis(pose, `${name}Right`)];
}

/** The mean of the two sides of an axis. */
export function mean(pose, name) {
  const [left, right] = sides(pose, name);
  return (left + right) / 2;
}

export function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** `n` evenly spaced numbers, both ends among them (with `open`: without the last). */
export function linspace(from, to, n, open = false) {
  const step = (to - from) / (open ? n : n - 1);
  const out = Array.from({ length: n }, (_, k) => from + k * step);
  if (!open) out[n - 1] = to;
  return out;
}

/** The height over `at` of the line through points whose `x` rise; beyond its ends, its ends'. */
export function interp(at, x, y) {
  const last = x.length - 1;
  if (at <= x[0]) return y[0];
  if (at >= x[last]) return y[last];
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x[middle] <= at) low = middle;
    else high = middle;
  }
  return y[low] + ((y[high] - y[low]) / (x[high] - x[low])) * (at - x[low]);
}

/** A Catmull-Rom curve through points [[x, y], ...], `steps` points for each of its parts. */
export function smooth(points, closed, steps = 5) {
  const n = points.length;
  const at = (k) => (closed ? points[(k + n) % n] : points[k] || beyond(points, k));
  const out = [];
  for (let k = 0; k < (closed ? n : n - 1); k++) {
    const [a, b, c, d] = [at(k - 1), at(k), at(k + 1), at(k + 2)];
    for (let j = 0; j < steps; j++) {
      const t = j / steps;
      for (const i of [0, 1]) {
        const bend = 3 * (b[i] - c[i]) + d[i] - a[i];
        out.push(b[i] + (t / 2) * (c[i] - a[i] + t * (2 * a[i] - 5 * b[i] + 4 * c[i] - d[i] + t * bend)));
      }
    }
  }
  if (!closed) out.push(...points[n - 1]);
  return out;
}

/** Where an open curve would go on. */
function beyond(points, k) {
  const [end, before] = k < 0 ? [points[0], points[1]] : [points.at(-1), points.at(-2)];
  return [2 * end[0] - before[0], 2 * end[1] - before[1]];
}

const circles = new Map(); // by number of points

function circle(n) {
  if (!circles.has(n)) circles.set(n, linspace(0, 2 * Math.PI, n, true).map((t) => [Math.cos(t), Math.sin(t)]));
  return circles.get(n);
}

/** The outline of an ellipse. */
export function ellipse(x, y, rx, ry, n = 24) {
  const out = [];
  for (const [c, s] of circle(n)) out.push(x + rx * c, y + ry * s);
  return out;
}

/** The outline of what lies between two heights over `x`. */
export function band(x, top, bottom) {
  const n = x.length;
  const out = new Array(4 * n);
  for (let k = 0; k < n; k++) {
    out[2 * k] = out[4 * n - 2 * k - 2] = x[k];
    out[2 * k + 1] = top[k];
    out[4 * n - 2 * k - 1] = Math.max(top[k], bottom[k]);
  }
  return out;
}

/** A line through heights over `x`, without `less` points at both ends. */
export function line(x, y, less = 0) {
  const out = [];
  for (let k = less; k < x.length - less; k++) out.push(x[k], y[k]);
  return out;
}

/** Points (flat), each moved: `move(x, y)` returns [x, y]. */
export function moved(points, move) {
  const out = new Array(points.length);
  for (let k = 0; k < points.length; k += 2) [out[k], out[k + 1]] = move(points[k], points[k + 1]);
  return out;
}

/** The outline of a line that is `width` in the middle and ends in points. */
export function tapered(curve, width) {
  const n = curve.length / 2;
  const x = (k) => curve[2 * k];
  const y = (k) => curve[2 * k + 1];
  const turns = linspace(0, Math.PI, n);
  const there = [];
  const back = [];
  for (let k = 0; k < n; k++) {
    const [from, to] = [Math.max(k - 1, 0), Math.min(k + 1, n - 1)];
    const [along, down] = [(x(to) - x(from)) / (to - from), (y(to) - y(from)) / (to - from)];
    const half = ((width / 2) * Math.sin(turns[k])) / Math.hypot(along, down);
    there.push(x(k) - half * down, y(k) + half * along);
    back.unshift(x(k) + half * down, y(k) - half * along);
  }
  return there.concat(back);
}

/** The `d` of an SVG path in thousandths of a picture unit. */
export function svgPath(points, closed) {
  let out = "";
  let [fromX, fromY] = [0, 0];
  for (let k = 0; k < points.length; k += 2) {
    const x = Math.round(points[k] * 1000);
    const y = Math.round(points[k + 1] * 1000);
    out += k ? `${x - fromX},${y - fromY} ` : `M${x},${y}l`;
    [fromX, fromY] = [x, y];
  }
  return closed ? `${out}z` : out;
}
