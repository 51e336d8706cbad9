// The last seconds as curves: sound, pose and pulses. To be frozen, zoomed and moved, by hand, by
// wheel, by pinch and by keyboard.

import { Plot, curvesOf } from "./plot.js";
import { decibels } from "./meters.js";
import { h, icon, say } from "./ui.js";

const KEEP_S = 20;
const SPAN_S = 5;
const [SHORTEST_S, LONGEST_S] = [0.25, KEEP_S];
const CALM_MS = 500; // between two pictures where motion is not wanted
const PREFERRED = ["opening", "mouthPucker", "mouthClosure"];

/** `element`: the card. `meet(hello)`, then `push(motion, opening)` for each message and `draw(now)`
 * for each picture. */
export class Timeline {
  #samples = [];
  #frozen = null; // samples at the moment of freezing
  #view = { spanS: SPAN_S, endS: 0 };
  #cursorS = null;
  #curves = [];
  #pointers = new Map();
  #drawnAt = 0;
  #toldAt = 0;
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  constructor() {
    this.canvas = h("canvas", { class: "plot", tabindex: "0", role: "slider", "aria-label": "Moment in the time line",
      "aria-orientation": "horizontal", "aria-describedby": "timeline-keys" });
    this.plot = new Plot(this.canvas, () => this.#redraw());
    this.readout = h("p", { class: "readout mono" }, " ");
    this.chooser = h("div", { class: "curves" });
    this.table = h("table", {});
    this.details = h("details", { class: "values", ontoggle: () => this.#tabulate() }, h("summary", {}, "Newest values as a table"), h("div", { class: "scroll" }, this.table));
    this.freezeButton = h("button", { type: "button", "aria-pressed": "false", onclick: () => this.freeze(!this.#frozen) }, icon("pause"), "Freeze");
    const tool = (label, name, run) => h("button", { type: "button", "aria-label": label, title: label, onclick: run }, icon(name));
    this.element = h("section", { class: "card timeline", "aria-labelledby": "timeline-title" },
      h("div", { class: "row timeline-head" },
        h("h2", { id: "timeline-title" }, "Time line"),
        h("div", { class: "row tools" }, this.freezeButton,
          tool("Earlier", "left", () => this.pan(-0.5)), tool("Later", "right", () => this.pan(0.5)),
          tool("Longer time", "minus", () => this.zoom(2)), tool("Shorter time", "plus", () => this.zoom(0.5)))),
      this.canvas, this.readout,
      h("p", { class: "visually-hidden", id: "timeline-keys" }, "Arrow keys move the moment, plus and minus zoom, Home and End go to the oldest and the newest, Escape goes on."),
      h("details", { class: "choose" }, h("summary", {}, "Choose curves"), this.chooser), this.details);
    this.#listen();
    this.#second = setInterval(() => this.#tabulate(), 1000);
    this.#tell();
  }

  #second = 0;

  end() {
    clearInterval(this.#second);
    this.plot.end();
  }

  /** Which curves this head has. What was chosen stays chosen. */
  meet(hello) {
    const before = new Map(this.#curves.map((curve) => [curve.key, curve.isOn]));
    this.#curves = curvesOf(hello, PREFERRED);
    for (const curve of this.#curves) curve.isOn = before.get(curve.key) ?? curve.isOn;
    this.#offer();
    this.plot.curves = this.#curves;
    this.#redraw();
  }

  push(motion, opening) {
    const last = this.#samples.at(-1);
    if (last && motion.at_s < last.atS) this.#samples.length = 0; // the computer was started anew
    this.#samples.push({ atS: motion.at_s, level: motion.level || 0, opening, pose: motion.pose || {}, widths: motion.widths_us || {} });
    const old = this.#samples.findIndex((sample) => sample.atS > motion.at_s - KEEP_S);
    if (old > 30) this.#samples.splice(0, old);
  }

  draw(nowMs) {
    if (this.#frozen || nowMs - this.#drawnAt < (this.#still.matches ? CALM_MS : 0)) return;
    this.#drawnAt = nowMs;
    this.#view.endS = this.#samples.at(-1)?.atS ?? 0;
    this.#redraw();
    if (nowMs - this.#toldAt > 250) {
      this.#toldAt = nowMs;
      this.#tell();
    }
  }

  freeze(isOn) {
    if (isOn === Boolean(this.#frozen)) return;
    this.#frozen = isOn ? [...this.#samples] : null;
    if (!isOn) this.#cursorS = null;
    this.freezeButton.setAttribute("aria-pressed", isOn);
    this.freezeButton.replaceChildren(icon(isOn ? "play" : "pause"), isOn ? "Go on" : "Freeze");
    this.#view.endS = (this.#frozen || this.#samples).at(-1)?.atS ?? 0;
    this.#redraw();
    this.#tell();
  }

  /** Show `factor` times as much time; `atShare` of the width stays where it is. */
  zoom(factor, atShare = 1) {
    const { spanS, endS } = this.#view;
    const wanted = Math.min(Math.max(spanS * factor, SHORTEST_S), LONGEST_S);
    this.#view.spanS = wanted;
    if (this.#frozen) this.#view.endS = this.#within(endS + (wanted - spanS) * (1 - atShare));
    this.#redraw();
    this.#tell();
  }

  /** Move by a share of what is shown; who looks back wants it to stand still. */
  pan(shares) {
    this.freeze(true);
    this.#view.endS = this.#within(this.#view.endS + shares * this.#view.spanS);
    this.#redraw();
    this.#tell();
  }

  #within(endS) {
    const all = this.#frozen || this.#samples;
    if (!all.length) return 0;
    return Math.max(Math.min(endS, all.at(-1).atS), Math.min(all[0].atS + this.#view.spanS, all.at(-1).atS));
  }

  #redraw() {
    this.plot.draw(this.#frozen || this.#samples, this.#view, this.#cursorS);
  }

  #offer() {
    this.chooser.replaceChildren(...["pose", "pulses"].map((lane) => {
      const curves = this.#curves.filter((curve) => curve.lane === lane);
      return curves.length ? h("fieldset", {}, h("legend", {}, lane === "pose" ? "Pose" : "Pulses"), curves.map((curve) => this.#box(curve))) : "";
    }).filter(Boolean));
  }

  #box(curve) {
    const box = h("input", { type: "checkbox", checked: curve.isOn });
    box.addEventListener("change", () => {
      curve.isOn = box.checked;
      this.#redraw();
    });
    return h("label", { class: "check" }, box, curve.name);
  }

  /** The values at the cursor, or now, in words. */
  #tell() {
    const all = this.#frozen || this.#samples;
    const newest = all.at(-1);
    const sample = this.#cursorS === null ? newest : nearest(all, this.#cursorS);
    if (!sample) {
      say(this.readout, "Nothing came yet.");
      this.#slide(0, 0, 0, "nothing came yet");
      return;
    }
    const ago = newest.atS - sample.atS;
    const words = [`sound ${Math.round(decibels(sample.level))} dB`, ...this.#curves.filter((curve) => curve.isOn).map((curve) => `${curve.name} ${curve.words(sample)}`)];
    const when = ago < 0.005 ? (this.#frozen ? "newest" : "now") : `${ago.toFixed(2)} s before`;
    say(this.readout, `${when}: ${words.join(" · ")}`);
    if (this.#frozen) this.#slide(all[0].atS - newest.atS, -ago, 0, `${when}: ${words.join(", ")}`);
    else this.#slide(-KEEP_S, 0, 0, "now; arrow keys freeze it");
  }

  #slide(low, now, high, words) {
    const told = { "aria-valuemin": low.toFixed(2), "aria-valuemax": high.toFixed(2), "aria-valuenow": now.toFixed(2), "aria-valuetext": words };
    for (const [name, value] of Object.entries(told)) {
      if (this.canvas.getAttribute(name) !== value) this.canvas.setAttribute(name, value);
    }
  }

  #tabulate() {
    const newest = this.#samples.at(-1);
    if (!this.details.open || !newest) return;
    const rows = [["sound", `${Math.round(decibels(newest.level))} dB`], ...this.#curves.map((curve) => [curve.name, curve.words(newest)])];
    this.table.replaceChildren(h("caption", {}, "Once a second."), h("tbody", {}, rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "number" }, value)))));
  }

  // ---------------------------------------------------------------- hands and keys

  #listen() {
    const on = (name, run, options) => this.canvas.addEventListener(name, run, options);
    on("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.#pointers.set(event.pointerId, event.offsetX);
      if (this.#pointers.size === 1) this.#point(event);
    });
    on("pointermove", (event) => this.#drag(event));
    for (const name of ["pointerup", "pointercancel"]) on(name, (event) => this.#pointers.delete(event.pointerId));
    on("pointerleave", () => {
      if (!this.#frozen && this.#cursorS !== null) this.#cursorS = null;
    });
    on("wheel", (event) => this.#wheel(event), { passive: false });
    on("keydown", (event) => this.#key(event));
  }

  #shareAt(x) {
    return this.plot.shareAt(x);
  }

  #point(event) {
    this.#cursorS = this.#view.endS - this.#view.spanS * (1 - this.#shareAt(event.offsetX));
    this.#redraw();
    this.#tell();
  }

  #drag(event) {
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) {
      if (event.pointerType === "mouse" && this.#frozen) this.#point(event);
      return;
    }
    const others = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
    this.#pointers.set(event.pointerId, event.offsetX);
    if (others.length) {
      const [was, is] = [Math.abs(before - others[0]), Math.abs(event.offsetX - others[0])];
      if (was > 8 && is > 8) this.zoom(was / is, this.#shareAt((event.offsetX + others[0]) / 2));
    } else if (event.offsetX !== before) {
      this.pan(this.#shareAt(before) - this.#shareAt(event.offsetX));
    }
  }

  /** The page scrolls as ever, unless the time line has the focus, is frozen, or Ctrl is held. */
  #wheel(event) {
    if (!this.#frozen && !event.ctrlKey && document.activeElement !== this.canvas) return;
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(Math.sign(event.deltaX) * 0.1);
    else this.zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, this.#shareAt(event.offsetX));
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: 10, PageDown: -10 }[event.key];
    if (step) this.#step(step * (event.shiftKey ? 10 : 1));
    else if (event.key === "Home") this.#step(-1e6);
    else if (event.key === "End") this.#step(1e6);
    else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else if (event.key === " " || event.key === "Enter") this.freeze(!this.#frozen);
    else if (event.key === "Escape") this.freeze(false);
    else return;
    event.preventDefault();
  }

  /** The cursor, by so many samples; what is shown follows it. */
  #step(n) {
    this.freeze(true);
    const all = this.#frozen;
    if (!all.length) return;
    const from = this.#cursorS === null ? all.length - 1 : all.indexOf(nearest(all, this.#cursorS));
    const to = Math.min(Math.max(from + n, 0), all.length - 1);
    this.#cursorS = all[to].atS;
    const { spanS, endS } = this.#view;
    if (this.#cursorS > endS) this.#view.endS = this.#cursorS;
    if (this.#cursorS < endS - spanS) this.#view.endS = this.#within(this.#cursorS + spanS);
    this.#redraw();
    this.#tell();
  }
}

function nearest(samples, atS) {
  let best = samples[0];
  for (const sample of samples) if (Math.abs(sample.atS - atS) < Math.abs(best.atS - atS)) best = sample;
  return best;
}
