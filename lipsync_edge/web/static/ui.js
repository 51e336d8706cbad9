// Small things that all pages build with: elements, icons, messages to the user.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("button", {class: "primary", onclick: f, "aria-label": "..."}, "text", child)`.
 * A property whose value is a function listens, `true` is an empty attribute, `null` or `false`
 * none. Text is text, never HTML. Styles go by `element.style`: the page's CSP allows no other. */
export function h(tag, props = {}, ...children) {
  return build(document.createElement(tag), props, children);
}

/** The same for a part of an SVG. */
export function svg(tag, props = {}, ...children) {
  return build(document.createElementNS(SVG, tag), props, children);
}

/** One of the icons of index.html; it says nothing, so it needs words beside it. */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

/** Set the text of an element where it differs; false where nothing changed. */
export function say(element, text) {
  if (element.textContent === text) return false;
  element.textContent = text;
  return true;
}

/** A message that goes by itself; read out, and an error at once. `action`: {label, run}. Returns
 * what removes it. */
export function toast(text, { kind = "info", remedy = "", action = null, forMs = 0 } = {}) {
  const home = document.getElementById(kind === "error" ? "alerts" : "toasts");
  const remove = () => box.remove();
  const box = h(
    "div",
    { class: `toast ${kind}` },
    h("p", {}, text, remedy && h("span", { class: "remedy" }, remedy)),
    action && h("button", { type: "button", onclick: () => (remove(), action.run()) }, action.label),
    h("button", { type: "button", class: "icon-button", "aria-label": "Close this message", onclick: remove }, icon("close")),
  );
  while (home.childElementCount >= 3) home.firstElementChild.remove();
  home.append(box);
  setTimeout(remove, forMs || (kind === "error" || action ? 15000 : 5000));
  return remove;
}

/** Tell of an error as the head's answers have it: a sentence and a remedy. */
export function tellError(error) {
  if (error?.name === "AbortError") return;
  toast(error?.message || "Something went wrong.", { kind: "error", remedy: error?.remedy || "" });
}

/** Put a difference, as `diff -u` writes it, into an element, its lines coloured. */
export function showDiff(element, diff) {
  element.hidden = !diff;
  const kinds = { "+": "added", "-": "removed" };
  element.replaceChildren(...(diff || "").trimEnd().split("\n").map((line) => h("span", { class: /^(\+\+\+|---) /.test(line) ? null : kinds[line[0]] || null }, `${line}\n`)));
}

function build(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}
