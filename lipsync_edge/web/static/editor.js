// A text field for YAML: line numbers, marks at lines, a line that keeps the indentation of the last.

import { h } from "./ui.js";

/** `element` is for the page; `text` its field, which may be written to, then call `draw()`. */
export class Editor {
  #problems = [];

  /** `changed()` is called whenever somebody typed. */
  constructor(id, describedBy, changed) {
    this.numbers = h("div", { class: "line-numbers", "aria-hidden": "true" });
    this.marks = h("div", { class: "line-marks", "aria-hidden": "true" });
    this.text = h("textarea", {
      id, class: "code", wrap: "off", spellcheck: "false", autocapitalize: "off", autocomplete: "off",
      autocorrect: "off", "aria-describedby": describedBy, onscroll: () => this.#follow(),
      onbeforeinput: (event) => this.#indent(event), oninput: () => (this.draw(), changed()),
    });
    this.element = h("div", { class: "editor" }, this.numbers, h("div", { class: "code-box" }, this.marks, this.text));
  }

  /** Put the numbers, as many as there are lines. */
  draw() {
    const n = this.text.value.split("\n").length;
    const { children } = this.numbers;
    while (children.length > n) children[n].remove();
    for (let k = children.length + 1; k <= n; k += 1) this.numbers.append(h("span", { "data-line": k }, String(k)));
    this.#follow();
  }

  /** Mark the lines of the checker's `problems`: [{line, severity}]. */
  mark(problems) {
    for (const { line } of this.#problems) this.numbers.children[line - 1]?.removeAttribute("data-severity");
    this.#problems = problems.filter(({ line }) => line);
    this.marks.replaceChildren();
    for (const { line, severity } of this.#problems) {
      this.numbers.children[line - 1]?.setAttribute("data-severity", severity);
      const stripe = h("div", { "data-severity": severity });
      stripe.style.setProperty("--line", line - 1);
      this.marks.append(stripe);
    }
    this.#follow();
  }

  /** Select a line, 1 for the first, and bring it into sight. */
  go(line) {
    const lines = this.text.value.split("\n");
    const k = Math.min(Math.max(line, 1), lines.length) - 1;
    const begin = lines.slice(0, k).reduce((sum, words) => sum + words.length + 1, 0);
    this.text.focus({ preventScroll: true });
    this.text.setSelectionRange(begin, begin + lines[k].length);
    const pitch = this.numbers.firstElementChild.getBoundingClientRect().height;
    this.text.scrollTo(0, (k + 0.5) * pitch - this.text.clientHeight / 2);
    this.#follow(); // the event of the scroll comes a frame later
    this.element.scrollIntoView({ block: "nearest" });
  }

  #follow() {
    this.numbers.scrollTop = this.text.scrollTop;
    this.marks.style.transform = `translateY(${-this.text.scrollTop}px)`;
  }

  /** A new line begins where the one before did: few phones have a key for that many spaces. */
  #indent(event) {
    if (event.inputType !== "insertLineBreak") return;
    const { value, selectionStart: at } = this.text;
    const indent = /^ *(?:- )?/.exec(value.slice(value.lastIndexOf("\n", at - 1) + 1, at))[0].replace("-", " ");
    if (!indent) return;
    event.preventDefault();
    document.execCommand("insertText", false, `\n${indent}`); // the only way that undo knows of
  }
}
