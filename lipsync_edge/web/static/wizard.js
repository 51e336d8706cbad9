// Set-up: servo by servo, from "which one is it?" to its limits, then all of it into the config.
// Nothing is saved before Save; what was found so far is kept in this tab.
//
// #setup: the servos; #setup/NAME/STEP: one of them; #setup/review: what would be saved.

import { changes, complaint, current, isOneSided, points, settings, turned } from "./setup/draft.js";
import { Hand, NUDGE, holdButton } from "./setup/hand.js";
import { Review } from "./setup/review.js";
import { Travel } from "./setup/travel.js";
import { h, icon, say, tellError } from "./ui.js";

const MIDDLE_US = 1500; // where horns are mounted
const PACES = [["Slow", 40], ["Medium", 120], ["Quick", 400]]; // µs/s
const SPEEDS = { low: 100, high: 4000, step: 50 };
const NEAR_US = 4; // a sweep turns round so close to an end

export async function mount(root, { api, live }) {
  const wizard = new Wizard(root, api, live, await api.get("/describe"));
  wizard.route();
  return () => wizard.end();
}

class Wizard {
  #ends = [];
  #us = new Map(); // by servo: where it is, as far as known
  #isOff = true;
  #pace = PACES[1][1];
  #step = null;
  #sweep = null;
  #review = null;
  status = h("div", { class: "notes" });

  constructor(root, api, live, head) {
    Object.assign(this, { root, api, live, head });
    this.drafts = new Drafts(head.config);
    this.hand = new Hand(api, tellError);
    const listen = (target, kind, run) => {
      target.addEventListener(kind, run);
      this.#ends.push(() => target.removeEventListener(kind, run));
    };
    listen(window, "hashchange", () => this.route());
    this.#ends.push(live.subscribe("motion", (motion) => this.#follow(motion)));
    this.#ends.push(live.subscribe("status", (status) => this.#tell(status)));
  }

  end() {
    this.#ends.forEach((end) => end());
    this.#review?.end();
    this.hand.close();
  }

  /** Draw what the address says. */
  route() {
    const [page, name, step] = location.hash.slice(1).split("/").map(decodeURIComponent);
    if (page !== "setup") return;
    this.hand.stop();
    this.#sweep = null;
    this.#review?.end();
    this.#review = null;
    this.status = h("div", { class: "notes" });
    this.#step = null;
    const servo = this.head.servos.find((one) => one.name === name);
    const body = servo ? this.#servo(servo, step) : name === "review" ? this.#lookOver() : this.#list();
    this.root.replaceChildren(...body);
    this.#tell(this.live.last.status || {});
    this.root.querySelector("h1").focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  // -------------------------------------------------------------- the list

  #list() {
    const found = Object.keys(this.drafts.all).length;
    return [
      title("Set up"),
      this.status,
      h("div", { class: "note warn" }, h("p", {}, h("strong", {}, "Before you start: "),
        "keep the switch of the servos' supply in reach, and fingers out of the mouth. A servo moves only while you hold a button, and slowly. Others are off meanwhile. Nothing is saved before you press Save.")),
      h("section", { class: "card" }, h("h2", {}, "Servos"),
        h("ul", { class: "servos" }, this.head.servos.map((servo) => this.#entry(servo)))),
      h("p", { class: "row" },
        h("a", { class: "button primary", href: "#setup/review" }, found ? "Look over and save" : "Test the mouth"),
        found > 0 && h("button", { type: "button", onclick: () => this.#discard() }, "Discard what I found")),
    ].filter(Boolean);
  }

  #entry(servo) {
    const draft = this.drafts.of(servo.name);
    const now = settings(servo, draft);
    const isNew = changes([servo], { [servo.name]: draft }).length > 0;
    return h("li", { "data-servo": servo.name },
      h("div", {},
        h("p", {}, h("strong", {}, servo.name), ` ${kindOf(servo)}, output ${servo.channel}${servo.board ? ` of board ${servo.board + 1}` : ""}`),
        h("p", { class: "hint" }, `${now.min_us} to ${now.max_us} µs, at rest ${now.neutral_us} µs`,
          isNew && h("span", { class: "badge" }, "not saved yet"))),
      h("div", { class: "row" },
        h("button", { type: "button", "aria-label": `Buzz ${servo.name}`, onclick: () => this.#buzz(servo) }, "Buzz"),
        h("a", { class: "button", href: stepHash(servo, "find"), "aria-label": `Set up ${servo.name}` }, "Set up")));
  }

  #discard() {
    this.drafts.clear();
    this.route();
  }

  // -------------------------------------------------------------- a servo

  #servo(servo, wanted) {
    const steps = stepsOf(servo);
    const at = Math.max(steps.findIndex(({ name }) => name === wanted), 0);
    const step = steps[at];
    const isLast = at === steps.length - 1;
    this.travel = new Travel(servo);
    this.#step = { servo, step };
    const back = at ? stepHash(servo, steps[at - 1].name) : "#setup";
    const next = isLast ? this.#after(servo) : { href: stepHash(servo, steps[at + 1].name), words: step.skip || "Next" };
    this.next = next.href;
    const body = [
      title(step.title),
      this.status,
      h("section", { class: "card" },
        h("p", { class: "hint progress" }, h("strong", {}, servo.name), ` step ${at + 1} of ${steps.length}`),
        h("p", {}, step.words),
        this.travel.element,
        ...this[step.draw](servo, step)),
      h("p", { class: "row spread" },
        h("a", { class: "button", href: back }, icon("left"), "Back"),
        h("a", { class: `button ${step.point ? "" : "primary"}`, href: next.href }, next.words, icon("right"))),
    ];
    this.#draw();
    return body;
  }

  #after(servo) {
    const others = this.head.servos.slice(this.head.servos.indexOf(servo) + 1);
    const next = others.find(({ name }) => !(name in this.drafts.all));
    return next ? { href: stepHash(next, "find"), words: `On to ${next.name}` } : { href: "#setup/review", words: "Look over and save" };
  }

  _find(servo) {
    return [
      h("p", { class: "row" }, h("button", { type: "button", class: "primary", onclick: () => this.#buzz(servo) }, "Buzz")),
      h("details", {}, h("summary", {}, "Another one moved, or none"),
        h("p", {}, `Plug the servo into output ${servo.channel} of ${servo.board ? `board ${servo.board + 1}` : "the board"}, or change its channel in Config. If none moves: has the board its own supply for the servos, and is it switched on? Doctor knows more.`)),
    ];
  }

  _point(servo, { point }) {
    const hard = servo.hard_us;
    const set = h("button", { type: "button", class: "primary", "data-set": point, onclick: () => this.#set(servo, point) }, `It is here: ${this.#step.step.title.toLowerCase()}`);
    const draft = this.drafts.of(servo.name);
    const known = Math.round({ ...current(servo), ...draft }[point]);
    this.setter = set;
    return [
      caution(),
      this.#paces(),
      h("div", { class: "mover" },
        this.#holder(servo, () => hard[0], { class: "wide", "aria-label": "Hold: shorter pulse", "data-move": "shorter" }, icon("left"), "Hold"),
        this.#nudger(servo, -1), this.#nudger(servo, 1),
        this.#holder(servo, () => hard[1], { class: "wide", "aria-label": "Hold: longer pulse", "data-move": "longer" }, "Hold", icon("right"))),
      h("div", { class: "row" },
        this.#holder(servo, () => MIDDLE_US, { "data-move": "middle" }, `Hold: to the middle, ${MIDDLE_US} µs`),
        this.#holder(servo, () => known, { "data-move": "known" }, `Hold: to ${known} µs, as it is now`)),
      h("p", { class: "hint" }, "The middle is where a horn is put on. When you let go of a button the servo stops, and after 3 s it gets no more pulses."),
      h("p", { class: "row" }, set, this.#letGo()),
    ];
  }

  _speed(servo) {
    const draft = this.drafts.of(servo.name);
    const slew = Math.round(draft.slew ?? servo.slew_us_per_s);
    const now = Math.min(Math.max(slew, SPEEDS.low), SPEEDS.high);
    const slider = h("input", { type: "range", id: "speed", min: SPEEDS.low, max: SPEEDS.high, step: SPEEDS.step, value: now, oninput: () => told() });
    const words = h("output", { for: "speed" });
    const set = h("button", { type: "button", class: "primary", "data-set": "slew", onclick: () => {
      this.drafts.set(servo.name, { slew: Number(slider.value) });
      location.hash = this.next;
    } });
    const { min_us, max_us } = settings(servo, draft);
    const told = () => {
      const speed = Number(slider.value);
      say(words, `${speed} µs/s: from end to end in ${((max_us - min_us) / speed).toFixed(2)} s`);
      say(set, `No faster than ${speed} µs/s`);
      if (this.#sweep) this.#sweep.speed = speed;
    };
    told();
    const sweep = {
      start: () => {
        this.#sweep = { servo, speed: Number(slider.value), ends: [min_us, max_us], to: 1 };
        this.hand.hold(servo.name, max_us, this.#sweep.speed);
      },
      stop: () => {
        this.#sweep = null;
        this.hand.stop();
      },
    };
    return [
      h("div", { class: "field" }, h("label", { for: "speed" }, "Speed"), slider, words),
      h("p", { class: "row" }, holdButton({ ...sweep, class: "wide", "data-move": "sweep" }, "Hold: back and forth"), this.#letGo()),
      h("p", { class: "hint" }, `The config says ${slew} µs/s now. A limit that is lower than the servo's own speed makes it calmer and spares the supply; one that is too low makes the mouth late.`),
      h("p", { class: "row" }, set),
    ];
  }

  _look(servo) {
    const draft = this.drafts.of(servo.name);
    const all = { ...current(servo), ...draft };
    const wrong = complaint(servo, draft);
    const rows = points(servo).map(({ name, title: words }) => h("tr", {},
      h("th", { scope: "row" }, words),
      h("td", {}, this.#number(servo, name, words, Math.round(all[name]))),
      h("td", {}, this.#holder(servo, () => Math.round(all[name]), { "data-move": `to-${name}`, "aria-label": `Hold: go to ${words}` }, "Hold: go"))));
    const { invert } = settings(servo, draft);
    return [
      wrong && h("p", { class: "note bad", role: "alert" }, wrong),
      this.#paces(),
      h("table", {}, h("caption", {}, "What was found, µs"), h("tbody", {}, rows)),
      h("label", { class: "check" }, h("input", { type: "checkbox", id: "invert", checked: invert, onchange: () => this.#turn(servo) }),
        isOneSided(servo) ? "Turned round (invert): it opens by shorter pulses" : "Turned round (invert): the mouth's positive way is by shorter pulses"),
      h("p", { class: "hint" }, "Tick this where the servo goes the wrong way when it speaks: its two ends change places."),
    ].filter(Boolean);
  }

  #number(servo, name, words, us) {
    const [low, high] = servo.hard_us;
    return h("input", { type: "number", inputmode: "numeric", min: low, max: high, step: 1, value: us, "aria-label": `${words}, µs`, "data-point": name,
      onchange: (event) => {
        const value = Math.round(Number(event.target.value));
        if (!event.target.value || !(value >= low && value <= high)) return (event.target.value = us);
        this.drafts.set(servo.name, { [name]: value });
        this.route();
      } });
  }

  #letGo() {
    return h("button", { type: "button", title: "No more pulses: its output off", onclick: () => this.hand.release() }, "Let go");
  }

  #turn(servo) {
    this.drafts.put(servo.name, turned(servo, this.drafts.of(servo.name)));
    this.route();
  }

  #set(servo, point) {
    const us = this.#us.get(servo.name);
    if (!Number.isFinite(us)) return;
    this.hand.stop();
    this.drafts.set(servo.name, { [point]: Math.round(us) });
    location.hash = this.next;
  }

  #paces() {
    return h("fieldset", { class: "paces" }, h("legend", { class: "visually-hidden" }, "How fast it moves"),
      PACES.map(([words, usPerS]) => h("label", {}, h("input", {
        type: "radio", name: "pace", value: usPerS, checked: usPerS === this.#pace, onchange: () => (this.#pace = usPerS),
      }), words)));
  }

  #holder(servo, to, props, ...content) {
    return holdButton({
      ...props,
      start: () => this.hand.hold(servo.name, to(), this.#pace),
      stop: this.hand.stop,
      nudge: () => this.#nudge(servo, Math.sign(to() - this.#believed(servo)) * NUDGE.us),
    }, ...content);
  }

  #nudger(servo, sign) {
    return h("button", { type: "button", "aria-label": `${sign < 0 ? "Shorter" : "Longer"} by ${NUDGE.us} µs`, "data-nudge": sign, onclick: () => this.#nudge(servo, sign * NUDGE.us) }, icon(sign < 0 ? "minus" : "plus"));
  }

  #nudge(servo, byUs) {
    return this.hand.nudge(servo.name, this.#believed(servo), byUs);
  }

  #believed(servo) {
    return this.#us.get(servo.name) ?? current(servo).rest;
  }

  async #buzz(servo) {
    try {
      await this.hand.buzz(servo.name);
    } catch (error) {
      tellError(error);
    }
  }

  // -------------------------------------------------------------- what the head does meanwhile

  #follow({ widths_us: widths = {} }) {
    if (!this.#step) return;
    const { servo } = this.#step;
    const us = widths[servo.name];
    this.#isOff = typeof us !== "number";
    const isOurs = Object.entries(widths).every(([name, other]) => name === servo.name || typeof other !== "number");
    if (!this.#isOff && isOurs) this.#us.set(servo.name, us);
    this.#turnRound(us);
    this.#draw();
  }

  #turnRound(us) {
    const sweep = this.#sweep;
    if (!sweep || !this.hand.isHeld || !(Math.abs(us - sweep.ends[sweep.to]) < NEAR_US)) return;
    sweep.to = 1 - sweep.to;
    this.hand.hold(sweep.servo.name, sweep.ends[sweep.to], sweep.speed);
  }

  #draw() {
    const { servo, step } = this.#step;
    const us = this.#us.get(servo.name) ?? NaN;
    this.travel.draw(settings(servo, this.drafts.of(servo.name)), us, this.#isOff);
    if (step.point) this.setter.disabled = !Number.isFinite(us);
  }

  #tell(status) {
    const lines = [];
    if (status.safe_mode) lines.push(["bad", "Safe mode: the servos are off. Doctor says why."]);
    else if (status.resting) lines.push(["warn", "The servos are off: wake the head to move one."]);
    if (status.board_ok === false) lines.push(["bad", `The servo board does not answer. ${status.board_message || ""}`]);
    const key = JSON.stringify(lines);
    if (this.status.dataset.key === key) return;
    this.status.dataset.key = key;
    this.status.replaceChildren(...lines.map(([kind, words]) => h("div", { class: `note ${kind}`, role: "status" }, h("p", {}, words),
      status.resting && !status.safe_mode && h("button", { type: "button", onclick: () => this.api.post("/do", { cmd: "wake" }).catch(tellError) }, "Wake"))));
  }

  #lookOver() {
    const { api, live, head, drafts, hand } = this;
    this.#review = new Review({ api, live, head, drafts, hand });
    return [title("Look over and save"), this.status, ...this.#review.elements];
  }
}

/** What was found, by servo; kept while this tab is open, for the config that it was found for. */
class Drafts {
  constructor(config) {
    this.key = `setup:${config}`;
    try {
      this.all = JSON.parse(sessionStorage.getItem(this.key)) || {};
    } catch {
      this.all = {};
    }
  }

  of(name) {
    return this.all[name] || {};
  }

  set(name, found) {
    this.put(name, { ...this.of(name), ...found });
  }

  put(name, draft) {
    this.all = { ...this.all, [name]: draft };
    this.#keep();
  }

  clear() {
    this.all = {};
    this.#keep();
  }

  #keep() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify(this.all));
    } catch {
      // No storage: it is kept until the page is closed.
    }
  }
}

function stepsOf(servo) {
  return [
    { name: "find", title: "Which one is it?", words: "Press Buzz and look: one servo wiggles a little.", draw: "_find", skip: "This one moved" },
    ...points(servo).map(({ name, title: words, words: how }) => ({ name, point: name, title: words, words: how, draw: "_point", skip: "Leave as it is" })),
    { name: "speed", title: "How fast?", words: "Let it go between its limits. It should reach both, without a stutter and without the light of the board going dim.", draw: "_speed", skip: "Leave as it is" },
    { name: "look", title: `All of ${servo.name}`, words: "Go to each of the points once more. Nothing may hum or press there.", draw: "_look" },
  ];
}

function title(words) {
  return h("h1", { tabindex: "-1" }, words);
}

function caution() {
  return h("p", { class: "note warn" }, h("strong", {}, "Does it hum, buzz or get warm? "), "Then it presses against something: go back a little, or Let go. A servo that is held against a stop burns out within minutes.");
}

function kindOf({ role }) {
  return role && role !== "other" ? role : "servo";
}

function stepHash(servo, step) {
  return `#setup/${encodeURIComponent(servo.name)}/${step}`;
}
