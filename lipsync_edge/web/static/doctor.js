// What is well with the head and what is not, and a zip for whoever helps.

import { h, say, tellError, toast } from "./ui.js";

export function mount(root, { api }) {
  const list = h("ul", { class: "checks" });
  const verdict = h("p", { class: "note", role: "status" }, "The doctor looks the head over. That may take some seconds.");
  const again = h("button", { type: "button", onclick: look }, "Look again");
  const pack = h("button", { type: "button", onclick: bundle }, "Download the support bundle");
  const ended = new AbortController();
  root.append(
    h("h1", {}, "Doctor"),
    h("section", { class: "card" }, verdict, list, h("p", { class: "row" }, again)),
    h("section", { class: "card" },
      h("h2", {}, "Support bundle"),
      h("p", {}, "One zip for whoever helps you: the config, versions, these findings, the last minute of figures, the journals. Never sound, no PIN."),
      h("p", { class: "row" }, pack)),
  );
  look();

  async function look() {
    again.disabled = true;
    try {
      draw((await api.get("/doctor", { signal: ended.signal })).checks);
    } catch (error) {
      if (error.name === "AbortError") return;
      list.replaceChildren();
      mark("bad", `${error.message} ${error.remedy || ""}`);
    } finally {
      again.disabled = false;
    }
  }

  function draw(checks) {
    const bad = checks.filter((check) => !check.ok);
    mark(bad.length ? "bad" : "good", bad.length
      ? `${bad.length} of ${checks.length} things need you.`
      : `All ${checks.length} things are well.`);
    list.replaceChildren(...[...bad, ...checks.filter((check) => check.ok)].map(row));
  }

  function mark(kind, words) {
    verdict.className = `note ${kind}`;
    say(verdict, words);
  }

  async function bundle() {
    pack.disabled = true;
    try {
      const url = URL.createObjectURL(await api.blob("/support"));
      const link = h("a", { href: url, download: `lipsync-edge-${new Date().toISOString().slice(0, 10)}.zip` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
      toast("The support bundle is there.");
    } catch (error) {
      tellError(error);
    } finally {
      pack.disabled = false;
    }
  }

  return () => ended.abort();
}

function row({ ok, name, message, remedy }) {
  return h("li", { class: ok ? "check-row" : "check-row bad", "data-ok": String(ok), "data-check": name },
    h("span", { class: "mark", "aria-hidden": "true" }, ok ? "✓" : "✗"),
    h("p", {}, h("strong", {}, name), h("span", { class: "visually-hidden" }, ok ? " is well: " : " is not well: "), ` ${message}`),
    ...remedy.split("\n").filter(Boolean).map((line) => h("p", { class: "remedy-line" }, line)));
}
