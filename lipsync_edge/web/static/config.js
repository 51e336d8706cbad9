// The head's config as text: the checker's words at their lines, the difference, save, undo.

import { h, say, showDiff, tellError, toast } from "./ui.js";

const PAUSE_MS = 500;
const KEPT = "config-text"; // in this tab: {path, revision, text} that was not saved

export async function mount(root, { api }) {
  const ended = new AbortController();
  const name = h("p", { class: "path" });
  const numbers = h("div", { class: "line-numbers", "aria-hidden": "true" });
  const text = h("textarea", { id: "config-text", class: "code", rows: "18", wrap: "off", spellcheck: "false",
    autocapitalize: "off", autocomplete: "off", "aria-describedby": "problems", oninput: changed, onscroll: () => (numbers.scrollTop = text.scrollTop) });
  const problems = h("ul", { class: "problems" });
  const difference = h("pre", { class: "changes", tabindex: "0", hidden: true, "aria-label": "What changes" });
  const note = h("input", { id: "note", maxlength: "200", autocomplete: "off" });
  const save = h("button", { type: "button", class: "primary", onclick: store, disabled: true }, "Save");
  const revert = h("button", { type: "button", onclick: () => load({ afresh: true }) }, "Load again");
  const trial = h("button", { type: "button", onclick: attempt, disabled: true }, "Try for a minute");
  const backups = h("ul", { class: "backups" });
  const state = h("p", { class: "note", role: "status", hidden: true });
  let saved = { text: "", revision: "" };
  let timer = 0;
  let turn = 0;
  root.append(
    h("h1", {}, "Config"),
    state,
    h("section", { class: "card" }, name,
      h("div", { class: "field" }, h("label", { for: "config-text" }, "The head's config, YAML"),
        h("div", { class: "editor" }, numbers, text)),
      h("div", { id: "problems", role: "status" }, problems), difference,
      h("div", { class: "field" }, h("label", { for: "note" }, "A note for yourself"), note),
      h("p", { class: "row" }, save, trial, revert,
        h("button", { type: "button", onclick: download }, "Download"))),
    h("section", { class: "card" }, h("h2", {}, "Earlier texts"), backups));
  addEventListener("beforeunload", warn);
  await load();

  /** What the file has; what was typed and not saved comes back, where the file is still the same. */
  async function load({ afresh = false } = {}) {
    if (afresh) sessionStorage.removeItem(KEPT);
    try {
      saved = await api.get("/config", { signal: ended.signal });
    } catch (error) {
      if (error.name !== "AbortError") tell("bad", `${error.message} ${error.remedy || ""}`);
      text.disabled = revert.disabled = !saved.text && error.status === 404;
      return;
    }
    const kept = keptText();
    text.value = kept ?? saved.text;
    say(name, saved.path);
    if (!saved.writable) tell("warn", "This page may not write the file: what you try here cannot be saved.");
    else if (kept !== null) tell("warn", "What you typed before is here again. It is not saved.");
    else state.hidden = true;
    list(saved.backups);
    changed();
  }

  function keptText() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT));
      return kept?.path === saved.path && kept.revision === saved.revision ? kept.text : null;
    } catch {
      return null;
    }
  }

  function keep() {
    try {
      if (isChanged()) sessionStorage.setItem(KEPT, JSON.stringify({ path: saved.path, revision: saved.revision, text: text.value }));
      else sessionStorage.removeItem(KEPT);
    } catch {
      // No storage: it is there until the page is left.
    }
  }

  function isChanged() {
    return Boolean(saved.revision) && text.value !== saved.text;
  }

  function warn(event) {
    if (isChanged()) event.preventDefault();
  }

  function tell(kind, words) {
    state.className = `note ${kind}`;
    state.hidden = false;
    say(state, words);
  }

  function changed() {
    const n = text.value.split("\n").length;
    if (numbers.childElementCount !== n) {
      numbers.replaceChildren(...Array.from({ length: n }, (_, k) => h("span", { "data-line": k + 1 }, String(k + 1))));
    }
    keep();
    save.disabled = trial.disabled = true;
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE_MS);
  }

  async function check() {
    const mine = (turn += 1);
    try {
      const told = await api.post("/config/preview", { text: text.value }, { signal: ended.signal });
      if (mine !== turn) return;
      draw(told.problems, told.needs_restart || []);
      showDiff(difference, told.diff);
      const isWrong = told.problems.some((problem) => problem.severity === "error");
      save.disabled = trial.disabled = isWrong || !told.diff;
    } catch (error) {
      tellError(error);
    }
  }

  function draw(found, later) {
    for (const mark of numbers.querySelectorAll("[data-severity]")) mark.removeAttribute("data-severity");
    for (const { line, severity } of found) numbers.children[line - 1]?.setAttribute("data-severity", severity);
    problems.replaceChildren(...found.map((problem) => h("li", { class: `note ${problem.severity === "error" ? "bad" : "warn"}` },
      h("button", { type: "button", class: "quiet", onclick: () => go(problem.line) },
        problem.line ? `Line ${problem.line}` : "The file"), ` ${problem.key ? `${problem.key}: ` : ""}${problem.message}`,
      problem.remedy && h("span", { class: "remedy-line" }, problem.remedy))));
    if (!found.length) problems.append(h("li", { class: "soft" }, "No mistakes."));
    if (later.length) problems.append(h("li", { class: "note" }, `In force after a restart of the head: ${later.join(", ")}.`));
  }

  function go(line) {
    const lines = text.value.split("\n");
    const begin = lines.slice(0, (line || 1) - 1).join("\n").length + (line > 1 ? 1 : 0);
    text.focus();
    text.setSelectionRange(begin, begin + (lines[(line || 1) - 1] || "").length);
  }

  async function store() {
    save.disabled = true;
    try {
      done(await api.post("/config/save", { text: text.value, revision: saved.revision, note: note.value }));
      note.value = "";
      await load({ afresh: true });
    } catch (error) {
      save.disabled = false;
      if (error.status !== 409 || error.code !== "changed") return tellError(error);
      toast(error.message, { kind: "error", remedy: "Your text is still here: copy it, then load again.",
        action: { label: "Load again", run: () => load({ afresh: true }) } });
    }
  }

  async function attempt() {
    try {
      await api.post("/config/try", { text: text.value, hold_s: 60 });
      toast("The head moves by this text for a minute; nothing is saved.");
    } catch (error) {
      tellError(error);
    }
  }

  async function undo(id) {
    try {
      done(await api.post("/config/undo", id ? { id } : {}), "Undone");
      await load({ afresh: true });
    } catch (error) {
      tellError(error);
    }
  }

  function done({ needs_restart: keys, in_force: isInForce }, what = "Saved") {
    if (isInForce) return toast(`${what}, and in force.`);
    if (!keys.length) return toast(`${what}. The head takes it when it starts.`);
    toast(`${what}. After a restart: ${keys.join(", ")}.`, { kind: "warn",
      action: { label: "Restart now", run: () => api.post("/do", { cmd: "restart" }).catch(tellError) } });
  }

  function list(found) {
    backups.replaceChildren(...(found.length ? [
      h("li", {}, h("button", { type: "button", onclick: () => undo("") }, "Undo the last save")),
      ...found.map((b) => h("li", { class: "row" },
        h("span", {}, `${new Date(b.saved_at * 1000).toLocaleString()}${b.note ? `, ${b.note}` : ""}`),
        h("button", { type: "button", class: "quiet", onclick: () => undo(b.id), "aria-label": `Go back to the text of ${new Date(b.saved_at * 1000).toLocaleString()}` }, "Go back to it"))),
    ] : [h("li", { class: "soft" }, "Nothing was saved from here yet.")]));
  }

  function download() {
    const url = URL.createObjectURL(new Blob([text.value], { type: "application/yaml" }));
    h("a", { href: url, download: saved.path.split("/").pop() }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  return () => {
    removeEventListener("beforeunload", warn);
    clearTimeout(timer);
    ended.abort();
  };
}
