// The head's config as text: the checker's words at their lines, the difference, save, undo.

import { Editor } from "./editor.js";
import { ask, downNote, h, say, showDiff, tellError, toast } from "./ui.js";

const PAUSE_MS = 500;
const TRIAL_S = 60;
const KEPT = "config-text"; // in this tab: {path, revision, text} that was not saved

let draft = null; // the same, where the tab may store nothing

export async function mount(root, { api, live }) {
  const view = new View(root, api, live);
  await view.load();
  return () => view.end();
}

class View {
  #saved = { text: "", revision: "" };
  #timer = 0;
  #turn = 0;
  #failed = false;
  #ends = [];
  #ended = new AbortController();
  #warn = (event) => this.#isChanged && event.preventDefault();

  constructor(root, api, live) {
    Object.assign(this, { api, live });
    this.editor = new Editor("config-text", "problems", () => this.#changed());
    this.#build(root);
    this.#ends.push(live.subscribe("status", ({ trial }) => (this.trialNote.hidden = !trial)));
    this.#ends.push(live.subscribe("engine", (engine) => engine === "up" && this.#failed && this.load()));
    addEventListener("beforeunload", this.#warn);
  }

  end() {
    removeEventListener("beforeunload", this.#warn);
    if (this.#isChanged) {
      toast("What you typed in the config is not saved. This tab keeps it for you.", { kind: "warn",
        action: { label: "Back to it", run: () => (location.hash = "config") } });
    }
    clearTimeout(this.#timer);
    this.#ended.abort();
    this.#ends.forEach((end) => end());
  }

  #build(root) {
    const button = (words, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, words);
    const [down, end] = downNote(this.live, "What is saved here counts when it starts.");
    this.#ends.push(end);
    this.state = h("div", { class: "note", role: "status", hidden: true });
    this.name = h("p", { class: "path" });
    this.problems = h("ul", { class: "problems" });
    this.difference = h("pre", { class: "changes", tabindex: "0", "aria-label": "What changes" });
    this.changes = h("div", { hidden: true }, h("h2", {}, "What changes"), this.difference);
    this.note = h("input", { id: "note", maxlength: "200", autocomplete: "off" });
    this.save = button("Save", () => this.#store(), { class: "primary", disabled: true });
    this.trial = button("Try for a minute", () => this.#attempt(), { disabled: true });
    this.outcome = h("div", { class: "note", role: "status", hidden: true });
    this.trialNote = h("div", { class: "note warn", role: "status", hidden: true },
      h("p", {}, "The head tries a text that is not saved, for a minute at most."),
      button("End the trial", () => this.#order("reload", "The head moves by its file again.")));
    this.backups = h("ul", { class: "backups" });
    root.append(
      h("h1", {}, "Config"), down, this.state,
      h("section", { class: "card" }, this.name,
        h("div", { class: "field" }, h("label", { for: "config-text" }, "The head's config, YAML"), this.editor.element),
        h("div", { id: "problems", role: "status" }, this.problems), this.changes,
        h("div", { class: "field" }, h("label", { for: "note" }, "A note for yourself"), this.note),
        h("p", { class: "row" }, this.save, this.trial,
          button("Load again", () => this.#again()), button("Download", () => this.#download())),
        this.trialNote, this.outcome),
      h("section", { class: "card" }, h("h2", {}, "Earlier texts"), this.backups));
  }

  // ---------------------------------------------------------------- the text

  get #text() {
    return this.editor.text.value;
  }

  get #isLost() {
    return !this.#saved.revision;
  }

  get #isChanged() {
    return !this.#isLost && this.#text !== this.#saved.text;
  }

  /** What the file has, and over it what was typed and not saved, unless `afresh`. */
  async load({ afresh = false } = {}) {
    if (afresh) this.#keep(null);
    try {
      this.#saved = await this.api.get("/config", { signal: this.#ended.signal });
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#failed = true;
      tell(this.state, "bad", error);
      this.editor.text.disabled = this.#isLost;
      return;
    }
    this.#failed = false;
    this.#saved.text = this.#saved.text.replaceAll("\r\n", "\n"); // as a text field has it
    const kept = keptOf(this.#saved.path);
    this.editor.text.disabled = false;
    this.editor.text.value = kept?.text ?? this.#saved.text;
    this.editor.draw();
    say(this.name, this.#saved.path);
    this.#tellState(kept);
    this.#list(this.#saved.backups);
    this.#changed();
  }

  #tellState(kept) {
    this.state.hidden = true;
    if (kept && kept.revision !== this.#saved.revision) {
      tell(this.state, "warn", "The file was changed meanwhile. What you typed is here: see below what it would change now, before you save.");
    } else if (kept) tell(this.state, "warn", "What you typed before is here again. It is not saved.");
    if (!this.#saved.writable) tell(this.state, "warn", "This page may not write the file: what you try here cannot be saved.");
  }

  #changed() {
    this.#keep(this.#isChanged ? { path: this.#saved.path, revision: this.#saved.revision, text: this.#text } : null);
    this.save.disabled = this.trial.disabled = true;
    this.#turn += 1; // what is asked now is about another text
    clearTimeout(this.#timer);
    if (!this.#isLost) this.#timer = setTimeout(() => this.#check(), PAUSE_MS);
  }

  #keep(kept) {
    draft = kept;
    try {
      if (kept) sessionStorage.setItem(KEPT, JSON.stringify(kept));
      else sessionStorage.removeItem(KEPT);
    } catch {
      // No storage: it is there until the page is left.
    }
  }

  async #check() {
    const turn = this.#turn;
    try {
      const told = await this.api.post("/config/preview", { text: this.#text }, { signal: this.#ended.signal });
      if (turn !== this.#turn) return;
      this.#draw(told.problems, told.needs_restart || []);
      showDiff(this.difference, told.diff);
      this.changes.hidden = !told.diff;
      const isWrong = told.problems.some(({ severity }) => severity === "error");
      this.trial.disabled = isWrong || !told.diff;
      this.save.disabled = this.trial.disabled || !this.#saved.writable;
    } catch (error) {
      tellError(error);
    }
  }

  #draw(found, later) {
    this.editor.mark(found);
    this.problems.replaceChildren(...found.map((problem) => this.#row(problem)));
    if (!found.length) this.problems.append(h("li", { class: "soft" }, "No mistakes."));
    if (later.length) this.problems.append(h("li", { class: "note" }, `In force after a restart of the head: ${later.join(", ")}.`));
  }

  #row({ line, key, message, remedy, severity }) {
    return h("li", { class: `note ${severity === "error" ? "bad" : "warn"}` },
      line
        ? h("button", { type: "button", class: "quiet", onclick: () => this.editor.go(line) }, `Line ${line}`)
        : h("strong", {}, "The file"),
      h("p", {}, `${key ? `${key}: ` : ""}${message}`, remedy && h("span", { class: "remedy-line" }, remedy)));
  }

  // ---------------------------------------------------------------- what is done with it

  async #store() {
    this.save.disabled = true;
    try {
      const { revision } = this.#saved;
      const told = await this.api.post("/config/save", { text: this.#text, revision, note: this.note.value });
      this.note.value = "";
      await this.load({ afresh: true });
      this.#done(told, "Saved");
    } catch (error) {
      this.save.disabled = false;
      if (error.status === 409 && error.code === "changed") this.#tellChanged();
      else tell(this.outcome, "bad", error);
    }
  }

  #tellChanged() {
    tell(this.outcome, "bad", "The config file was changed meanwhile. Nothing was saved; your text is still here.",
      ["Compare with the file", async () => {
        this.outcome.hidden = true;
        await this.load();
      }],
      ["Load the file, drop my text", () => this.load({ afresh: true })]);
  }

  async #attempt() {
    try {
      await this.api.post("/config/try", { text: this.#text, hold_s: TRIAL_S });
      this.outcome.hidden = true;
    } catch (error) {
      tell(this.outcome, "bad", error);
    }
  }

  async #again() {
    if (await this.#mayDrop()) await this.load({ afresh: true });
    else this.editor.text.focus();
  }

  async #undo(id) {
    if (!(await this.#mayDrop())) return;
    try {
      const told = await this.api.post("/config/undo", id ? { id } : {});
      await this.load({ afresh: true });
      this.#done(told, "Undone");
    } catch (error) {
      tell(this.outcome, "bad", error);
    }
  }

  async #mayDrop() {
    return !this.#isChanged || ask("Drop what you typed?", { words: "It is not saved.", yes: "Drop it", no: "Keep it" });
  }

  async #order(cmd, words) {
    try {
      await this.api.post("/do", { cmd });
      tell(this.outcome, "good", words);
    } catch (error) {
      tell(this.outcome, "bad", error);
    }
  }

  #done({ needs_restart: keys, in_force: isInForce }, what) {
    if (isInForce) return tell(this.outcome, "good", `${what}, and in force.`);
    if (!keys.length) return tell(this.outcome, "good", `${what}. The head takes it when it starts.`);
    tell(this.outcome, "warn", `${what}, but not in force yet. A running head cannot take over: ${keys.join(", ")}.`,
      ["Restart the head", () => this.#order("restart", "The head starts again with the new config.")]);
  }

  #list(found) {
    if (!found.length) return this.backups.replaceChildren(h("li", { class: "soft" }, "Nothing was saved from here yet."));
    this.backups.replaceChildren(
      h("li", {}, h("button", { type: "button", onclick: () => this.#undo("") }, "Undo the last save")),
      ...found.map(({ id, saved_at: at, note, size }) => {
        const time = new Date(at * 1000).toLocaleString();
        return h("li", {}, h("p", {}, h("span", {}, time), h("span", { class: "soft" }, [note, `${size} bytes`].filter(Boolean).join(", "))),
          h("button", { type: "button", class: "quiet", onclick: () => this.#undo(id), "aria-label": `Go back to it, the text of ${time}` }, "Go back to it"));
      }));
  }

  #download() {
    const url = URL.createObjectURL(new Blob([this.#text], { type: "application/yaml" }));
    h("a", { href: url, download: this.#saved.path?.split("/").pop() || "config.yaml" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
}

/** What was typed into the config of that path, and not saved: {revision, text}, or null. */
function keptOf(path) {
  let kept = draft;
  try {
    kept ??= JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    // No storage, or something else lies there.
  }
  return kept?.path === path && typeof kept.text === "string" ? kept : null;
}

/** A sentence, or an error, with buttons: [words, run]. */
function tell(note, kind, said, ...choices) {
  const [words, remedy] = typeof said === "string" ? [said, ""] : [said.message, said.remedy];
  note.className = `note ${kind}`;
  note.hidden = false;
  note.replaceChildren(h("p", {}, words, remedy && h("span", { class: "remedy-line" }, remedy)),
    ...(choices.length ? [h("p", { class: "row" }, ...choices.map(([name, run]) => h("button", { type: "button", onclick: run }, name)))] : []));
  note.scrollIntoView({ block: "nearest" });
}
