// What would be saved, heard and seen before it is: the difference, a test, Save, Undo.

import { changes, complaint, settings } from "./draft.js";
import { h, say, showDiff, tellError, toast } from "../ui.js";

const SENTENCE = "Bob, Pam and Will may move five warm waffles";
const TRY_S = 90;

export class Review {
  #ended = new AbortController();
  #saved = null;

  constructor({ api, live, head, drafts, hand }) {
    Object.assign(this, { api, live, head, drafts, hand });
    this.difference = h("pre", { class: "changes", tabindex: "0", "aria-label": "What changes in the config" });
    this.verdict = h("p", { class: "note", role: "status" }, "The head checks it …");
    this.problems = h("ul", { class: "findings" });
    this.test = h("button", { type: "button", onclick: () => this.#test() }, "Try it, and speak");
    this.follow = h("button", { type: "button", onclick: () => this.#end() }, "End the test");
    this.save = h("button", { type: "button", class: "primary", disabled: true, onclick: () => this.#save() }, "Save");
    this.undo = h("button", { type: "button", hidden: true, onclick: () => this.#undo() }, "Undo");
    this.elements = [
      h("section", { class: "card" }, h("h2", {}, "Test"),
        h("p", {}, `The head says “${SENTENCE}” with these values, for ${TRY_S} s, saved or not. Do the lips meet at each b, p and m?`),
        h("p", { class: "row" }, this.test, this.follow)),
      h("section", { class: "card" }, h("h2", {}, "Save"), this.verdict, this.problems, this.#table(), this.difference,
        h("p", { class: "row" }, this.save, this.undo, h("a", { class: "button", href: "#setup" }, "Back to the servos"))),
    ];
    this.#look();
  }

  end() {
    this.#ended.abort();
  }

  get #changes() {
    return changes(this.head.servos, this.drafts.all);
  }

  #table() {
    const rows = this.head.servos.filter(({ name }) => name in this.drafts.all).map((servo) => {
      const now = settings(servo, this.drafts.of(servo.name));
      const wrong = complaint(servo, this.drafts.of(servo.name));
      return h("tr", {}, h("th", { scope: "row" }, servo.name, wrong && h("p", { class: "hint" }, wrong)),
        ...["min_us", "neutral_us", "max_us"].map((field) => h("td", { class: "number" }, String(now[field]))));
    });
    if (!rows.length) return "";
    const head = ["Servo", "Min", "Rest", "Max"].map((words, k) => h("th", { scope: "col", class: k ? "number" : "" }, words));
    return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The new values" },
      h("table", {}, h("caption", {}, "Pulses, µs"), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
  }

  async #look() {
    this.save.disabled = true;
    const wanted = this.#changes;
    this.difference.hidden = true;
    if (!wanted.length) return this.#mark("", "Nothing was changed, so there is nothing to save.");
    try {
      const signal = this.#ended.signal;
      this.#saved = await this.api.get("/config", { signal });
      const { diff, problems, needs_restart: later } = await this.api.post("/config/preview", { changes: wanted }, { signal });
      this.#found(diff, problems, later);
    } catch (error) {
      if (error.name !== "AbortError") this.#mark("bad", `${error.message} ${error.remedy || ""}`);
    }
  }

  #found(diff, problems, later = []) {
    const wrong = problems.filter(({ severity }) => severity === "error");
    this.#mark(wrong.length ? "bad" : "good", wrong.length
      ? "The head does not take these values. Set the servo up again."
      : `The head takes these values${later.length ? `, after a restart: ${later.join(", ")}` : ""}. They are not saved yet.`);
    this.problems.replaceChildren(...problems.map(({ key, message, remedy, severity }) =>
      h("li", { class: `note ${severity === "error" ? "bad" : "warn"}` }, `${key ? `${key}: ` : ""}${message}`, remedy && h("span", { class: "remedy" }, ` ${remedy}`))));
    showDiff(this.difference, diff);
    this.save.disabled = wrong.length > 0;
    this.test.disabled = wrong.length > 0;
  }

  #mark(kind, words) {
    this.verdict.className = `note ${kind}`;
    say(this.verdict, words);
  }

  /** As saved, without saving: the head ends the trial by itself. */
  async #test() {
    this.test.disabled = true;
    try {
      await this.#follow();
      const wanted = this.#changes;
      if (wanted.length) await this.api.post("/config/try", { changes: wanted, hold_s: TRY_S });
      await this.#awake();
      await this.api.post("/say-text", { text: `${SENTENCE}.` });
    } catch (error) {
      tellError(error);
    } finally {
      this.test.disabled = false;
    }
  }

  /** End set-up, whoever began it. */
  #follow() {
    this.hand.stop();
    return this.api.post("/do", { cmd: "follow" });
  }

  /** Wait until the servos got up from set-up: they do so slowly. */
  async #awake() {
    const until = performance.now() + 6000;
    const isUp = () => Object.values(this.live.last.motion?.widths_us || {}).some((us) => typeof us === "number");
    while (!isUp() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 200));
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }

  async #end() {
    try {
      await this.api.post("/do", { cmd: "hush" });
      if (this.live.last.status?.trial) await this.api.post("/do", { cmd: "reload" });
    } catch (error) {
      tellError(error);
    }
  }

  async #save() {
    this.save.disabled = true;
    const names = Object.keys(this.drafts.all).join(", ");
    try {
      const told = await this.api.post("/config/save", { changes: this.#changes, revision: this.#saved.revision, note: `set up: ${names}` });
      await this.#over();
      this.drafts.clear();
      this.#mark("good", outcome(told));
      this.undo.hidden = false;
    } catch (error) {
      if (error.code === "changed") {
        toast(error.message, { kind: "error", remedy: "Look at the difference again, then save." });
        return this.#look();
      }
      tellError(error);
      this.save.disabled = false;
    }
  }

  async #undo() {
    this.undo.disabled = true;
    try {
      const { diff } = await this.api.post("/config/undo");
      await this.#over();
      this.undo.hidden = true;
      showDiff(this.difference, diff);
      this.#mark("warn", "Undone: the config is as it was before.");
    } catch (error) {
      tellError(error);
    } finally {
      this.undo.disabled = false;
    }
  }

  /** The head has other values now. */
  async #over() {
    await this.#follow().catch(() => null);
    Object.assign(this.head, await this.api.get("/describe"));
  }
}

function outcome({ needs_restart: later, in_force: isInForce }) {
  if (isInForce) return "Saved, and in force.";
  return later.length ? `Saved. After a restart of the head: ${later.join(", ")}.` : "Saved. The head takes it when it starts.";
}
