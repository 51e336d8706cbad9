// The head's PIN: asked for, shown by the head itself, and typed here.

import { h, say, tellError } from "./ui.js";

const WAYS = {
  terminal: "on the terminal it was started from, or in its journal (journalctl -u lipsync-edge-web)",
  led: "by its LED: so many flashes for each digit, ten for a zero",
  speech: "aloud",
};

/** `done()`: the browser is logged in. */
export function mount(root, { api, done }) {
  const field = h("input", {
    id: `pin-${Math.random().toString(36).slice(2)}`, inputmode: "numeric", autocomplete: "one-time-code",
    maxlength: "9", pattern: "[0-9 ]*", required: true, class: "pin",
  });
  const told = h("p", { class: "note", role: "status", hidden: true });
  const wrong = h("p", { class: "note bad", role: "alert", hidden: true });
  const enter = h("button", { class: "primary", type: "submit" }, "Log in");
  const show = h("button", { type: "button", onclick: tell }, "Show the PIN");
  const form = h("form", { class: "card login", onsubmit: login, novalidate: true },
    h("p", {}, "Who stands beside the head may set it up: it tells a PIN, good for ten minutes."),
    h("p", { class: "row" }, show), told,
    h("div", { class: "field" }, h("label", { for: field.id }, "PIN"), field), wrong,
    h("p", { class: "row" }, enter));
  let timer = 0;
  root.append(h("h1", {}, "Log in"), form);

  async function tell() {
    show.disabled = true;
    try {
      const { how } = await api.post("/pin/show");
      say(told, `The head tells it ${how.map((way) => WAYS[way] || way).join("; ")}.`);
      told.hidden = false;
      say(show, "Show another PIN");
      field.focus();
    } catch (error) {
      tellError(error);
    } finally {
      show.disabled = false;
    }
  }

  async function login(event) {
    event.preventDefault();
    const pin = field.value.replace(/\D/g, "");
    if (!pin) return refuse("Type the PIN that the head tells.");
    enter.disabled = true;
    wrong.hidden = true;
    try {
      await api.login(pin);
      done();
    } catch (error) {
      refuse(`${error.message} ${error.remedy || ""}`.trim());
      if (error.status === 429) await lock(error);
    } finally {
      if (!timer) enter.disabled = false;
    }
  }

  function refuse(words) {
    say(wrong, words);
    wrong.hidden = false;
    field.select();
    field.focus();
  }

  /** Locked out: nothing helps for a while, so the button says for how long. */
  function lock({ message }) {
    let left = Number(/(\d+) s/.exec(message)?.[1]) || 30;
    enter.disabled = true;
    clearInterval(timer);
    timer = setInterval(() => {
      left -= 1;
      say(enter, left > 0 ? `Log in (in ${left} s)` : "Log in");
      if (left > 0) return;
      clearInterval(timer);
      timer = 0;
      enter.disabled = false;
    }, 1000);
  }

  return () => clearInterval(timer);
}
