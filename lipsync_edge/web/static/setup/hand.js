// One servo in the hand of whoever holds a button: leases that are renewed while it is held.

import { ApiError, socketAddress } from "../api.js";
import { h } from "../ui.js";

const LEASE_S = 0.4; // so far a servo goes on at the most when this page is cut off
const BEAT_MS = 120;
const ANSWER_MS = 5000;
const MOST_PENDING = 4;
const STAY_MS = 20000; // the head ends a set-up after a minute without a word
const CRAWL_US_PER_S = 10;
const NUDGE = { us: 5, usPerS: 200 };

/** The head's set-up, through a socket of its own; whoever closes it lets go of the servo.
 * `onError(error)` is told of what is refused while a button is held. `atUs`: where the servo was
 * by the last answer. */
export class Hand {
  atUs = NaN;
  #socket = null;
  #opening = null;
  #pending = new Map();
  #last = 0;
  #held = null;
  #timer = 0;
  #stay = 0;

  constructor(api, onError) {
    Object.assign(this, { api, onError });
    this.#stay = setInterval(() => this.#socket && !document.hidden && !this.#held && this.release(), STAY_MS);
    addEventListener("blur", this.stop);
    document.addEventListener("visibilitychange", this.stop);
  }

  /** Towards `toUs` until `stop()`. */
  hold(servo, toUs, usPerS) {
    this.#held = { servo, to_us: toUs, us_per_s: usPerS, hold_s: LEASE_S };
    this.#beat();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Where it is; after 3 s its output goes off by itself. */
  stop = () => {
    if (!this.#held) return;
    const { servo } = this.#held;
    this.#held = null;
    clearInterval(this.#timer);
    if (Number.isFinite(this.atUs)) this.#jog({ servo, to_us: this.atUs, us_per_s: CRAWL_US_PER_S, hold_s: 0.1 });
  };

  get isHeld() {
    return this.#held !== null;
  }

  /** A small step by `byUs` from `fromUs`. */
  async nudge(servo, fromUs, byUs) {
    const to = { servo, to_us: fromUs + byUs, us_per_s: NUDGE.usPerS, hold_s: 0.2 };
    await this.#ask("jog", to).catch(this.onError);
  }

  /** A few small wiggles. Raises ApiError. */
  buzz(servo) {
    return this.#ask("buzz", { servo });
  }

  /** Its output off. */
  release() {
    this.#held = null;
    clearInterval(this.#timer);
    return this.#socket ? this.#ask("release").catch(this.onError) : null;
  }

  close() {
    removeEventListener("blur", this.stop);
    document.removeEventListener("visibilitychange", this.stop);
    clearInterval(this.#timer);
    clearInterval(this.#stay);
    this.#socket?.close();
  }

  #beat() {
    if (this.#pending.size < MOST_PENDING) this.#jog(this.#held);
  }

  async #jog(wish) {
    try {
      await this.#open();
      if (wish.hold_s === LEASE_S && wish !== this.#held) return; // let go while it was opened
      const { us } = await this.#ask("jog", wish);
      this.atUs = us;
    } catch (error) {
      const wasHeld = this.#held !== null;
      this.#held = null;
      clearInterval(this.#timer);
      if (wasHeld) this.onError(error);
    }
  }

  async #ask(cmd, rest = {}) {
    await this.#open();
    const id = (this.#last += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, null), ANSWER_MS);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ id, cmd, ...rest }));
    });
  }

  /** The answer of a request; null: none came. */
  #settle(id, told) {
    const waiting = this.#pending.get(id);
    if (!waiting) return;
    this.#pending.delete(id);
    clearTimeout(waiting.timer);
    if (told?.ok) waiting.resolve(told);
    else waiting.reject(refused(told));
  }

  #open() {
    if (this.#socket) return Promise.resolve();
    this.#opening ??= this.#enter().finally(() => (this.#opening = null));
    return this.#opening;
  }

  async #enter() {
    await this.api.get("/status"); // asks for the PIN where the session ended
    const socket = new WebSocket(socketAddress("/setup"));
    await new Promise((resolve, reject) => {
      socket.onopen = () => socket.send(JSON.stringify({ csrf: this.api.csrf }));
      socket.onclose = () => reject(refused(null));
      socket.onmessage = (event) => {
        const told = JSON.parse(event.data);
        if (told.ok) resolve();
        else reject(refused(told));
      };
    });
    socket.onmessage = (event) => {
      const told = JSON.parse(event.data);
      this.#settle(told.id, told);
    };
    socket.onclose = () => this.#lost();
    this.#socket = socket;
  }

  #lost() {
    this.#socket = null;
    for (const id of [...this.#pending.keys()]) this.#settle(id, null);
  }
}

function refused(told) {
  const { code = "offline", message = "The head does not answer.", remedy = "Is it on, and this device in its Wi-Fi?" } = told?.error || {};
  return new ApiError(0, code, message, remedy);
}

/** A button that acts while it is held by finger, mouse or key. A click that no one holds, as screen
 * readers make them, is one nudge. */
export function holdButton({ start, stop, nudge, ...props }, ...content) {
  let isDown = false;
  const down = (event) => {
    if (isDown || (event.button ?? 0) !== 0) return;
    isDown = true;
    if (event.pointerId !== undefined) button.setPointerCapture(event.pointerId);
    button.dataset.held = "";
    start();
  };
  const up = () => {
    if (!isDown) return;
    isDown = false;
    delete button.dataset.held;
    stop();
  };
  const isKey = (event) => event.key === " " || event.key === "Enter";
  const button = h("button", {
    type: "button", ...props, class: `hold ${props.class || ""}`.trim(),
    onpointerdown: down, onpointerup: up, onpointercancel: up, onlostpointercapture: up, onblur: up,
    oncontextmenu: (event) => event.preventDefault(),
    onkeydown: (event) => isKey(event) && (event.preventDefault(), event.repeat || down(event)),
    onkeyup: (event) => isKey(event) && (event.preventDefault(), up()),
    onclick: (event) => event.detail === 0 && event.pointerType === "" && nudge?.(),
  }, ...content);
  return button;
}

export { NUDGE };
