// The servos of the head: where each stands within its travel, by the pulse that it is sent.

import { h, say, svg } from "./ui.js";

const SWEEP = 75; // degrees to either side, whatever the travel: so small ones can be read, too
const PIVOT = { x: 70, y: 74 };
const REACH = 52;
const TEXT_MS = 150; // numbers that change faster cannot be read

/** Where a pulse lies in a servo's travel: 0 at min_us, 1 at max_us. */
export function share(us, { min_us, max_us }) {
  return (us - min_us) / Math.max(max_us - min_us, 1e-9);
}

/** `element`: a list of servos. Call `draw(motion.widths_us)` for each picture. */
export class Horns {
  #dials = [];
  #textAt = 0;

  constructor(servos) {
    this.#dials = servos.map((servo) => new Dial(servo));
    this.element = this.#dials.length
      ? h("ul", { class: `horns${servos.length > 6 ? " many" : ""}` }, this.#dials.map((dial) => dial.element))
      : h("p", { class: "soft" }, "This head has no servos: the face is all there is to see.");
  }

  /** Pulses in µs by servo; null, NaN or none: the servo is off, and its horn stays. */
  draw(widthsUs, nowMs) {
    const withText = nowMs - this.#textAt > TEXT_MS;
    if (withText) this.#textAt = nowMs;
    for (const dial of this.#dials) dial.draw(widthsUs[dial.name], withText);
  }

  /** Nobody knows where they are. */
  forget() {
    for (const dial of this.#dials) dial.draw(null, true, "–");
  }
}

class Dial {
  #shown = "";
  #isOff = null;
  #us = NaN;

  constructor(servo) {
    this.name = servo.name;
    this.#us = servo.neutral_us;
    this.servo = servo;
    this.horn = svg("g", { class: "horn" },
      svg("path", { d: `M${PIVOT.x - 9},${PIVOT.y} L${PIVOT.x - 4.5},${PIVOT.y - 44} a4.5,4.5 0 0 1 9,0 L${PIVOT.x + 9},${PIVOT.y} a9,9 0 0 1 -18,0z` }),
      ...[14, 26, 38].map((far) => svg("circle", { class: "hole", cx: PIVOT.x, cy: PIVOT.y - far, r: 2.2 })),
      svg("circle", { class: "hub", cx: PIVOT.x, cy: PIVOT.y, r: 4 }));
    this.value = h("span", { class: "now" }, "off");
    const [low, rest, high] = [servo.min_us, servo.neutral_us, servo.max_us].map((us) => String(Math.round(us)));
    this.element = h("li", { class: "dial", "data-servo": servo.name, title: `${servo.name}: ${low} to ${high} µs, at rest ${rest} µs` },
      svg("svg", { viewBox: "0 0 140 92", "aria-hidden": "true" },
        svg("path", { class: "travel", d: arc(-SWEEP, SWEEP) }),
        tick(-SWEEP), tick(SWEEP), tick(angle(share(servo.neutral_us, servo)), "neutral"),
        this.horn),
      h("p", { class: "dial-name" }, breakable(servo.name)),
      h("p", { class: "dial-now" }, this.value),
      h("p", { class: "dial-ends" },
        h("span", {}, h("span", { class: "visually-hidden" }, "from "), low),
        h("span", { class: "visually-hidden" }, `, at rest ${rest}, to `),
        h("span", {}, high)));
    this.#turn();
    this.draw(null, true, "–");
  }

  draw(us, withText, offWord = "off") {
    const isOff = typeof us !== "number" || !Number.isFinite(us);
    if (isOff !== this.#isOff) {
      this.#isOff = isOff;
      this.element.classList.toggle("off", isOff);
      withText = true;
    }
    if (!isOff && us !== this.#us) {
      this.#us = us;
      this.#turn();
    }
    if (!withText) return;
    this.element.dataset.us = isOff ? "" : us;
    say(this.value, isOff ? offWord : `${Math.round(us)} µs`);
  }

  #turn() {
    const at = share(this.#us, this.servo);
    const turned = `rotate(${angle(at).toFixed(1)} ${PIVOT.x} ${PIVOT.y})`;
    if (turned === this.#shown) return;
    this.#shown = turned;
    this.horn.setAttribute("transform", turned);
    this.element.classList.toggle("beyond", at < -0.005 || at > 1.005);
  }
}

/** A name that may go on in a second line after an underscore. */
function breakable(name) {
  return name.split("_").flatMap((part, k) => (k ? ["_", h("wbr"), part] : [part]));
}

function angle(at) {
  return (Math.min(Math.max(at, -0.15), 1.15) * 2 - 1) * SWEEP;
}

function point(degrees, r) {
  const turn = (degrees * Math.PI) / 180;
  return `${(PIVOT.x + r * Math.sin(turn)).toFixed(1)},${(PIVOT.y - r * Math.cos(turn)).toFixed(1)}`;
}

function arc(from, to) {
  return `M${point(from, REACH)} A${REACH},${REACH} 0 0 1 ${point(to, REACH)}`;
}

function tick(at, kind = "end") {
  return svg("path", { class: kind, d: `M${point(at, REACH - 5)} L${point(at, REACH + 7)}` });
}
