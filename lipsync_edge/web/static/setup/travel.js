// MIN | POS | MAX: where a servo stands between the limits that were found for it.

import { h, say } from "../ui.js";

const MARGIN_US = 120;
const LEAST_SPAN_US = 600;

/** `element`: show it; `draw({min_us, neutral_us, max_us}, us, isOff)`. */
export class Travel {
  #shown = "";

  constructor(servo) {
    this.name = servo.name;
    this.hard = servo.hard_us;
    this.span = [servo.min_us, servo.max_us];
    this.allowed = h("span", { class: "travel-allowed" });
    this.rest = h("span", { class: "travel-rest" });
    this.pointer = h("span", { class: "travel-now" });
    this.bar = h("div", { class: "travel-bar", "aria-hidden": "true" }, this.allowed, this.rest, this.pointer);
    this.values = Object.fromEntries(["MIN", "POS", "MAX"].map((word) => [word, h("dd", { "data-value": word })]));
    this.element = h("div", { class: "travel", "data-servo": servo.name }, this.bar,
      h("dl", { class: "travel-values" }, Object.entries(this.values).map(([word, value]) =>
        h("div", {}, h("dt", {}, word), value))));
  }

  draw({ min_us, neutral_us, max_us }, us, isOff) {
    this.#widen(min_us, max_us, us);
    const key = [min_us, neutral_us, max_us, Math.round(us), isOff, ...this.span].join();
    if (key === this.#shown) return;
    this.#shown = key;
    const [left, right] = [this.#share(min_us), this.#share(max_us)];
    this.allowed.style.left = percent(left);
    this.allowed.style.right = percent(1 - right);
    this.rest.style.left = percent(this.#share(neutral_us));
    this.pointer.hidden = !Number.isFinite(us);
    this.pointer.style.left = percent(this.#share(us));
    this.element.classList.toggle("off", isOff);
    say(this.values.MIN, `${min_us} µs`);
    say(this.values.MAX, `${max_us} µs`);
    say(this.values.POS, Number.isFinite(us) ? `${Math.round(us)} µs${isOff ? ", off" : ""}` : "not known");
  }

  /** The bar shows all that was seen, and some more. */
  #widen(...seen) {
    const known = seen.filter(Number.isFinite);
    let [low, high] = [Math.min(this.span[0], ...known.map((us) => us - MARGIN_US)), Math.max(this.span[1], ...known.map((us) => us + MARGIN_US))];
    const more = Math.max(LEAST_SPAN_US - (high - low), 0) / 2;
    low = Math.max(low - more, this.hard[0]);
    high = Math.min(high + more, this.hard[1]);
    this.span = [low, high];
  }

  #share(us) {
    const [low, high] = this.span;
    return Math.min(Math.max((us - low) / (high - low), 0), 1);
  }
}

function percent(share) {
  return `${(100 * share).toFixed(2)}%`;
}
