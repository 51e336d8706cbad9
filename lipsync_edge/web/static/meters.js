// Figures of the live view: the sound's level, the sync budget, and how the head is.

import { h, say } from "./ui.js";

const FLOOR_DB = -60;
const HOLD_MS = 1200;
const WORDS = {
  block: "sound block",
  resampler: "change of sample rate",
  frame: "one frame of sound",
  "model delay": "what the model waits for",
  inference: "working out the face",
  "servo lag": "the slowest servo",
  margin: "reserve",
  lead: "the mouth comes first",
  "output latency": "behind the sound card",
  prediction: "guessed ahead",
};

/** A level (RMS, 1: full scale) in dB, at least FLOOR_DB. */
export function decibels(level) {
  return level > 0 ? Math.max(20 * Math.log10(level), FLOOR_DB) : FLOOR_DB;
}

/** `element`: a bar for the level of the sound that is heard now. */
export class LevelMeter {
  #peak = 0;
  #peakAt = 0;
  #toldAt = 0;

  constructor() {
    this.bar = h("div", { class: "level-bar" });
    this.hold = h("div", { class: "level-hold" });
    this.number = h("span", { class: "mono" }, "silent");
    this.track = h("div", { class: "level-track", role: "meter", "aria-label": "Sound level", "aria-valuemin": FLOOR_DB,
      "aria-valuemax": 0, "aria-valuenow": FLOOR_DB }, this.bar, this.hold);
    this.element = h("div", { class: "level" }, h("span", { class: "soft" }, "Sound"), this.track, this.number);
  }

  draw(level, nowMs) {
    const db = decibels(Number(level) || 0);
    const share = 1 - db / FLOOR_DB;
    if (share >= this.#peak || nowMs - this.#peakAt > HOLD_MS) [this.#peak, this.#peakAt] = [share, nowMs];
    this.bar.style.clipPath = `inset(0 ${(100 * (1 - share)).toFixed(1)}% 0 0)`;
    this.hold.style.left = `${(100 * this.#peak).toFixed(1)}%`;
    this.hold.style.opacity = this.#peak > 0.01 ? "1" : "0";
    if (nowMs - this.#toldAt < 250) return;
    this.#toldAt = nowMs;
    const words = db <= FLOOR_DB ? "silent" : `${Math.round(db)} dB`;
    if (say(this.number, words)) {
      this.track.setAttribute("aria-valuenow", Math.round(db));
      this.track.setAttribute("aria-valuetext", words);
    }
  }
}

/** `element`: from sound to motion, part by part, beside the look-ahead that it must fit into. */
export class Budget {
  #shown = "";

  constructor() {
    this.verdict = h("p", { class: "verdict" });
    this.bar = h("div", { class: "budget-bar", "aria-hidden": "true" });
    this.legend = h("ul", { class: "legend" });
    this.element = h("section", { class: "card budget", "aria-labelledby": "budget-title" },
      h("h2", { id: "budget-title" }, "Sync budget"), this.verdict, this.bar, this.legend);
    this.element.hidden = true;
  }

  draw(status) {
    const parts = Object.entries(status.budget || {}).filter(([, ms]) => Number.isFinite(ms) && ms !== 0);
    const ahead = status.lookahead_ms;
    const key = JSON.stringify([parts, ahead, status.trail_ms]);
    this.element.hidden = !parts.length;
    if (key === this.#shown || !parts.length) return;
    this.#shown = key;
    const needed = status.needed_ms ?? parts.reduce((sum, [, ms]) => sum + ms, 0);
    say(this.verdict, verdict(needed, ahead, status.trail_ms ?? Math.max(0, needed - ahead)));
    const spent = parts.reduce((sum, [, ms]) => sum + Math.max(ms, 0), 0);
    const whole = Math.max(spent, ahead || 0, 1);
    const colour = (k) => `var(--c${(k % 7) + 1})`;
    this.bar.replaceChildren(...parts.filter(([, ms]) => ms > 0).map(([, ms], k) => styled(h("span", { class: "part" }), {
      width: `${(100 * ms) / whole}%`, background: colour(k),
    })));
    if (ahead > spent) this.bar.append(h("span", { class: "spare" }, `+${Math.round(ahead - needed)} ms`));
    if (ahead > 0) this.bar.append(styled(h("span", { class: "ahead" }), { left: `${(100 * ahead) / whole}%` }));
    let k = 0;
    this.legend.replaceChildren(...parts.map(([name, ms]) => h("li", {},
      styled(h("span", { class: "swatch", "aria-hidden": "true" }), { background: ms > 0 ? colour(k++) : "transparent" }),
      h("span", {}, WORDS[name] || name), h("span", { class: "mono" }, `${ms < 0 ? "−" : ""}${Math.abs(ms).toFixed(ms < 10 ? 1 : 0)} ms`))));
  }
}

function verdict(needed, ahead, trail) {
  const asked = `From sound to motion it takes ${Math.round(needed)} ms`;
  if (!ahead) return `${asked}. Nothing is heard ahead, so the mouth follows by ${Math.round(trail)} ms.`;
  if (trail > 0) return `${asked}; ${Math.round(ahead)} ms are heard ahead. The mouth is ${Math.round(trail)} ms late: raise audio.lookahead_ms.`;
  return `In sync, ${Math.round(ahead - needed)} ms to spare. ${asked}; ${Math.round(ahead)} ms are heard ahead.`;
}

function styled(element, style) {
  Object.assign(element.style, style);
  return element;
}

/** `element`: a grid of figures. Call `draw(status)` once a second. */
export class Figures {
  #cells = new Map();

  constructor() {
    this.element = h("dl", { class: "figures" });
    this.draw({});
  }

  draw(status) {
    for (const [name, value, more, state] of figures(status)) {
      if (!this.#cells.has(name)) this.#add(name);
      const cell = this.#cells.get(name);
      say(cell.value, value);
      say(cell.more, more);
      cell.box.dataset.state = state;
    }
  }

  #add(name) {
    const [value, more] = [h("span", { class: "value" }), h("span", { class: "more" })];
    const box = h("div", {}, h("dt", {}, name), h("dd", {}, value, more));
    this.#cells.set(name, { box, value, more });
    this.element.append(box);
  }
}

/** [name, value, more, state] of what is worth a look. Pure. */
export function figures(status) {
  const { p50, p99 } = status.late_ms || {};
  const { cpu_c: heat, under_voltage: low, throttled } = status.computer || {};
  const cpu = status.cpu_percent;
  return [
    ["xruns", text(status.xruns), "gaps in the sound", status.xruns > 0 ? "warn" : ""],
    ["Late ticks", text(status.late), Number.isFinite(p99) ? `p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms` : "", status.late > 0 ? "warn" : ""],
    ["CPU", text(cpu, 0, " %"), "of one core", cpu > 90 ? "warn" : ""],
    ["Temperature", text(heat, 0, " °C"), throttled ? "slowed down by heat" : "", heat >= 80 || throttled ? "bad" : ""],
    ["Supply", low === true ? "too low" : low === false ? "good" : "–", low === true ? "use a stronger supply" : low === null ? "not measured" : "", low === true ? "bad" : ""],
    ["Up", duration(status.uptime_s), "", ""],
    ["Safe mode", status.safe_mode ? "on" : status.safe_mode === "" ? "off" : "–", status.safe_mode || "", status.safe_mode ? "bad" : ""],
    ["Speaker", status.lost ? "lost" : status.muted ? "muted" : status.muted === false ? "on" : "–", status.lost || "", status.lost ? "bad" : status.muted ? "warn" : ""],
  ];
}

function text(value, digits = 0, unit = "") {
  return Number.isFinite(value) ? value.toFixed(digits) + unit : "–";
}

/** A duration in words, coarser the longer it is. */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.floor(seconds);
  const [d, hr, m, s] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  if (d) return `${d} d ${hr} h`;
  if (hr) return `${hr} h ${m} min`;
  return m ? `${m} min` : `${s} s`;
}
