// Draws curves over time on a canvas, in three lanes: sound, pose, pulses.

import { decibels } from "./meters.js";
import { share } from "./horns.js";

const LANES = [["sound", "Sound", 0.22], ["pose", "Pose", 0.43], ["pulses", "Pulses", 0.35]];
const LEFT = 8;
const RIGHT = 8;
const FOOT = 20;
const GAP = 10;
const HOLE_S = 0.5; // samples further apart are not joined
const DASHES = [[], [7, 3], [2, 3]];
const STEPS_S = [0.05, 0.1, 0.25, 0.5, 1, 2, 5];

/** The curves that a head has: {key, name, lane, isOn, value(sample) -> 0..1 or NaN, words(sample)}. */
export function curvesOf(hello, preferred) {
  const curve = (lane, name, isOn, value, words) => ({ key: `${lane} ${name}`, name, lane, isOn, value, words });
  const number = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");
  const pose = Object.entries(hello.axes || {}).map(([name, [low, high]]) =>
    curve("pose", name, preferred.includes(name),
      ({ pose: at }) => ((at[name] ?? NaN) - low) / (high - low), ({ pose: at }) => number(at[name] ?? NaN)));
  const pulses = (hello.servos || []).map((servo, k) => {
    const us = ({ widths }) => widths[servo.name] ?? NaN;
    return curve("pulses", servo.name, k < 6, (sample) => share(us(sample), servo),
      (sample) => (Number.isFinite(us(sample)) ? `${Math.round(us(sample))} µs` : "off"));
  });
  return [curve("pose", "opening", true, ({ opening }) => opening, ({ opening }) => number(opening)), ...pose, ...pulses];
}

/** `curves`: which to draw. It redraws by `redraw()` where its size or the colours change. */
export class Plot {
  curves = [];
  #colours = null;
  #isSeen = true; // far down the page it need not be drawn
  #size = { width: 0, height: 0, scale: 1 };

  constructor(canvas, redraw) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.observer = new ResizeObserver(([entry]) => {
      this.#fit(entry.contentRect);
      redraw();
    });
    this.observer.observe(canvas);
    this.sight = new IntersectionObserver(([entry]) => {
      this.#isSeen = entry.isIntersecting;
      redraw();
    }, { rootMargin: "200px" });
    this.sight.observe(canvas);
    this.onColours = () => {
      this.#colours = null;
      redraw();
    };
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", this.onColours);
    addEventListener("themechange", this.onColours);
  }

  end() {
    this.observer.disconnect();
    this.sight.disconnect();
    this.scheme.removeEventListener("change", this.onColours);
    removeEventListener("themechange", this.onColours);
  }

  /** Which share of the time lies left of `x` px. */
  shareAt(x) {
    return Math.min(Math.max((x - LEFT) / Math.max(this.#size.width - LEFT - RIGHT, 1), 0), 1);
  }

  draw(samples, { spanS, endS }, cursorS) {
    const { width, height, scale } = this.#size;
    if (!width || !this.#isSeen) return;
    this.#colours ??= readColours(this.canvas);
    const c = this.context;
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, width, height);
    const startS = endS - spanS;
    const x = (atS) => LEFT + ((atS - startS) / spanS) * (width - LEFT - RIGHT);
    const shown = samples.filter(({ atS }) => atS > startS - HOLE_S && atS <= endS + 0.001);
    this.#ticks(spanS, height, width);
    let y = 0;
    for (const [lane, title, part] of LANES) {
      const box = { y, height: part * (height - FOOT) - GAP };
      this.#lane(box, width);
      c.save();
      c.beginPath();
      c.rect(LEFT, y - 1, width - LEFT - RIGHT, box.height + 2);
      c.clip();
      if (lane === "sound") this.#sound(shown, x, box);
      else this.#lines(lane, shown, x, box);
      c.restore();
      this.#legend(lane, title, box, width);
      y += box.height + GAP;
    }
    if (cursorS !== null && cursorS >= startS && cursorS <= endS) this.#cursor(x(cursorS), height);
  }

  #fit({ width, height }) {
    const scale = Math.min(devicePixelRatio || 1, 3);
    this.#size = { width, height, scale };
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
  }

  #lane({ y, height }, width) {
    const c = this.context;
    c.fillStyle = this.#colours.inset;
    c.beginPath();
    c.rect(LEFT, y, width - LEFT - RIGHT, height);
    c.globalAlpha = 0.6;
    c.fill();
    c.globalAlpha = 1;
  }

  #ticks(spanS, height, width) {
    const c = this.context;
    const step = STEPS_S.find((seconds) => spanS / seconds <= 6) || STEPS_S.at(-1);
    c.font = "12px system-ui, sans-serif";
    c.fillStyle = this.#colours.soft;
    c.strokeStyle = this.#colours.line;
    c.lineWidth = 1;
    c.setLineDash([]);
    for (let k = 0; k * step <= spanS + 1e-9; k++) {
      const at = Math.round(width - RIGHT - ((k * step) / spanS) * (width - LEFT - RIGHT)) - 0.5;
      c.beginPath();
      c.moveTo(at, 0);
      c.lineTo(at, height - FOOT);
      c.stroke();
      const words = k ? `−${Number((k * step).toFixed(2))} s` : "0";
      if (k && at < 24 && (step / spanS) * width < 60) continue; // its neighbour is too near
      c.textAlign = k ? (at < 24 ? "left" : "center") : "right";
      c.fillText(words, k ? at : width - RIGHT, height - 5);
    }
  }

  #sound(samples, x, { y, height }) {
    if (!samples.length) return;
    const c = this.context;
    c.beginPath();
    c.moveTo(x(samples[0].atS), y + height);
    for (const { atS, level } of samples) c.lineTo(x(atS), y + height - (1 + decibels(level) / 60) * (height - 2));
    c.lineTo(x(samples.at(-1).atS), y + height);
    c.closePath();
    c.fillStyle = this.#colours.lines[0];
    c.globalAlpha = 0.75;
    c.fill();
    c.globalAlpha = 1;
  }

  #lines(lane, samples, x, { y, height }) {
    const c = this.context;
    c.lineJoin = "round";
    this.#chosen(lane).forEach((curve, k) => {
      this.#pen(k);
      c.beginPath();
      let lastS = -Infinity;
      for (const sample of samples) {
        const value = curve.value(sample);
        if (!Number.isFinite(value)) lastS = -Infinity;
        else {
          const at = y + height - 3 - Math.min(Math.max(value, -0.02), 1.05) * (height - 8);
          if (sample.atS - lastS > HOLE_S) c.moveTo(x(sample.atS), at);
          else c.lineTo(x(sample.atS), at);
          lastS = sample.atS;
        }
      }
      c.stroke();
    });
    c.setLineDash([]);
  }

  #chosen(lane) {
    return this.curves.filter((curve) => curve.lane === lane && curve.isOn);
  }

  #pen(k) {
    const { lines } = this.#colours;
    this.context.strokeStyle = lines[k % lines.length];
    this.context.setLineDash(DASHES[Math.floor(k / lines.length) % DASHES.length]);
    this.context.lineWidth = k ? 1.8 : 2.4;
  }

  /** The names, each in its curve's colour and dash, on the lane itself. */
  #legend(lane, title, { y }, width) {
    const c = this.context;
    c.font = "600 12px system-ui, sans-serif";
    c.textAlign = "left";
    const write = (text, at, colour) => {
      c.lineWidth = 3;
      c.strokeStyle = this.#colours.card;
      c.setLineDash([]);
      c.strokeText(text, at, y + 14);
      c.fillStyle = colour;
      c.fillText(text, at, y + 14);
      return at + c.measureText(text).width;
    };
    let at = write(title, LEFT + 6, this.#colours.soft) + 12;
    if (lane === "sound") return;
    const chosen = this.#chosen(lane);
    for (const [k, curve] of chosen.entries()) {
      if (at + 18 + c.measureText(curve.name).width > width - RIGHT - (k < chosen.length - 1 ? 40 : 4)) {
        write(`+ ${chosen.length - k}`, at, this.#colours.soft);
        return;
      }
      this.#pen(k);
      c.beginPath();
      c.moveTo(at, y + 10);
      c.lineTo(at + 14, y + 10);
      c.stroke();
      at = write(curve.name, at + 18, this.#colours.text) + 12;
    }
  }

  #cursor(at, height) {
    const c = this.context;
    c.strokeStyle = this.#colours.text;
    c.lineWidth = 1.5;
    c.setLineDash([]);
    c.beginPath();
    c.moveTo(at, 0);
    c.lineTo(at, height - FOOT);
    c.stroke();
  }
}

function readColours(element) {
  const style = getComputedStyle(element);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    lines: [1, 2, 3, 4, 5, 6, 7].map((k) => read(`c${k}`)),
    text: read("text"), soft: read("soft"), line: read("line"), inset: read("inset"), card: read("card"),
  };
}
