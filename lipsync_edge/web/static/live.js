// The live view: the face as the head makes it now, its servos, and how it is.

import { Face, alive } from "./face.js";
import { opening } from "./face/mouth.js";
import { Horns } from "./horns.js";
import { Budget, Figures, LevelMeter } from "./meters.js";
import { Timeline } from "./timeline.js";
import { h, say, tellError } from "./ui.js";

const IDLE_MS = 30; // between two pictures that no message asks for: blinks and glances
const STALE_MS = 2500; // without a message: what is shown is no longer now
const START = "Start it: sudo systemctl start lipsync-edge. This page goes on by itself.";

export function mount(root, { api, live }) {
  const view = new View(root, api, live);
  return () => view.end();
}

class View {
  #motion = null;
  #drawn = null;
  #drawnAtMs = 0;
  #cameAtMs = 0;
  #frame = 0;
  #ends = [];
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(root, api, live) {
    Object.assign(this, { api, live });
    this.face = new Face();
    this.level = new LevelMeter();
    this.horns = new Horns([]);
    this.budget = new Budget();
    this.figures = new Figures();
    this.timeline = new Timeline();
    this.#build(root);
    const listen = (kind, run) => this.#ends.push(live.subscribe(kind, run));
    listen("hello", (hello) => this.#meet(hello));
    listen("motion", (motion) => this.#take(motion));
    listen("status", (status) => this.#tell(status));
    listen("engine", () => this.#state());
    listen("link", () => this.#state());
    this.#state();
    this.#frame = requestAnimationFrame((now) => this.#draw(now));
    const second = setInterval(() => this.#describe(), 1000);
    this.#ends.push(() => clearInterval(second), () => this.timeline.end());
  }

  end() {
    cancelAnimationFrame(this.#frame);
    this.#ends.forEach((end) => end());
  }

  #build(root) {
    this.words = h("p", { class: "visually-hidden", id: "face-words" });
    this.face.element.setAttribute("aria-describedby", "face-words");
    this.over = h("div", { class: "over", role: "status" });
    this.caption = h("p", { class: "caption soft" });
    this.notes = h("div", { class: "notes" });
    this.stage = h("div", { class: "stage" }, this.face.element, this.over);
    this.mute = h("button", { type: "button", onclick: () => this.#do(this.live.last.status?.muted ? "unmute" : "mute") }, "Mute");
    this.rest = h("button", { type: "button", onclick: () => this.#do(this.live.last.status?.resting ? "wake" : "rest") }, "Rest");
    this.hornsHome = h("section", { class: "card horns-card", "aria-labelledby": "horns-title" },
      h("h2", { id: "horns-title" }, "Servos"), this.horns.element);
    this.side = h("div", { class: "side" },
      this.notes, this.hornsHome,
      h("section", { class: "card", "aria-labelledby": "health-title" }, h("h2", { id: "health-title" }, "Health"), this.figures.element),
      this.budget.element);
    root.append(
      h("h1", { class: "visually-hidden" }, "Live view"),
      h("section", { class: "card face-card", "aria-label": "Face" },
        this.stage, this.words, this.level.element,
        h("div", { class: "under" }, this.caption, h("div", { class: "row" }, this.mute, this.rest))),
      this.side, this.timeline.element);
  }

  async #do(cmd) {
    try {
      await this.api.post("/do", { cmd });
    } catch (error) {
      tellError(error);
    }
  }

  #meet(hello) {
    const servos = hello.servos || [];
    const made = new Horns(servos);
    this.horns.element.replaceWith(made.element);
    this.horns = made;
    if (servos.length > 6) this.side.after(this.hornsHome);
    else this.notes.after(this.hornsHome);
    this.timeline.meet(hello);
  }

  #take(motion) {
    this.#motion = motion;
    this.#cameAtMs = performance.now();
    this.timeline.push(motion, opening(motion.pose || {}));
  }

  #tell(status) {
    this.figures.draw(status);
    this.budget.draw(status);
    say(this.caption, status.line || "");
    say(this.mute, status.muted ? "Unmute" : "Mute");
    say(this.rest, status.resting ? "Wake" : "Rest");
    this.#note(status);
    this.#state();
  }

  /** What a maker should know, each a line; written anew only where one changed. */
  #note(status) {
    const lines = warnings(status);
    const key = lines.join("\n");
    if (this.notes.dataset.key === key) return;
    this.notes.dataset.key = key;
    this.notes.replaceChildren(...lines.map(([kind, words]) => h("p", { class: `note ${kind}` }, words)));
  }

  /** What stands over the picture while it shows nothing new. */
  #state() {
    const { link, engine } = this.live.last;
    const isQuiet = this.#motion !== null && performance.now() - this.#cameAtMs > STALE_MS;
    const [words, remedy, action] = why(link, engine, isQuiet);
    const isStale = Boolean(words);
    this.stage.classList.toggle("stale", isStale && this.#drawn !== null);
    this.stage.classList.toggle("empty", isStale && this.#drawn === null);
    if (this.over.dataset.key === words) return;
    this.over.dataset.key = words;
    this.over.replaceChildren();
    this.mute.disabled = this.rest.disabled = isStale;
    if (!words) return;
    this.#forget();
    this.over.append(h("p", { class: "over-words" }, words), h("p", {}, remedy));
    if (action) this.over.append(h("button", { type: "button", class: "primary", onclick: () => this.api.onLogin?.() }, action));
  }

  /** Figures of a head that is not there would be old ones. */
  #forget() {
    say(this.caption, "");
    this.figures.draw({});
    this.horns.forget();
    this.level.draw(0, performance.now());
    this.#note({});
  }

  #draw(nowMs) {
    this.#frame = requestAnimationFrame((next) => this.#draw(next));
    if (!this.#motion) return;
    const isNew = this.#motion !== this.#drawn;
    const isLive = nowMs - this.#cameAtMs < STALE_MS;
    if (!isNew && (!isLive || this.#still.matches || nowMs - this.#drawnAtMs < IDLE_MS)) return;
    this.#drawnAtMs = nowMs;
    this.#drawn = this.#motion;
    const { pose, at_s = "", level, widths_us } = this.#motion;
    this.face.draw(this.#still.matches ? pose || {} : { ...alive(nowMs / 1000), ...pose }, at_s);
    this.level.draw(level, nowMs);
    if (isNew) this.horns.draw(widths_us || {}, nowMs);
    this.timeline.draw(nowMs);
  }

  #describe() {
    const open = Number(this.face.element.dataset.opening);
    say(this.words, this.#drawn === null ? "Nothing is shown yet." : `The mouth is ${open < 0.03 ? "shut" : `${Math.round(100 * open)} % open`}.`);
    this.#state();
  }
}

/** [sentence, remedy, button] that tells why nothing moves; an empty sentence while all is well. */
function why(link, engine, isQuiet) {
  if (link === "closed") return ["The live view wants the PIN.", "Its owner closed it to strangers.", "Log in"];
  if (link === "lost") return ["Not connected to the head.", "Is it on, and this device in its Wi-Fi? This page tries again by itself."];
  if (engine === "down") return ["The head is not running.", START];
  if (link !== "open" || engine !== "up") return ["Looking for the head…", ""];
  if (isQuiet) return ["The head tells of no motion.", "It may be starting, or stuck: see Doctor."];
  return ["", ""];
}

/** [kind, sentence] of everything unusual. Pure. */
export function warnings(status) {
  const all = [];
  if (status.safe_mode) all.push(["bad", `Safe mode: the servos are off. ${status.safe_mode}`]);
  if (status.lost) all.push(["bad", `No sound device: ${status.lost}`]);
  if (status.input_lost) all.push(["bad", `No microphone: ${status.input_lost}`]);
  if (status.board_ok === false) all.push(["bad", `The servo board does not answer. ${status.board_message || ""}`]);
  if (status.setup) all.push(["warn", `Set-up: ${status.setup.servo ? `servo ${status.setup.servo} is moved by hand` : "under way"}. The head does not follow the sound.`]);
  if (status.resting && !status.setup) all.push(["warn", "The servos are off, until Wake."]);
  if (status.trial) all.push(["warn", "A config is being tried. It ends by itself."]);
  if (status.hot?.length) all.push(["warn", `Too warm, so slowed down: ${status.hot.join(", ")}.`]);
  for (const note of status.notes || []) all.push(["warn", note]);
  return all;
}
