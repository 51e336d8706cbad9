// The shell: pages by their hash, the state of the head, Detach, colours.
//
// A page is a module with `mount(root, {api, live})`: it fills `root` (its own <h1> first) and
// returns a function that ends it, or nothing. It may be async. `login.js` gets `done` beside them,
// to be called when the browser is logged in.

import { Api, ApiError, Live } from "./api.js";
import { h, say, tellError, toast } from "./ui.js";

const PAGES = {
  live: { title: "Live", load: () => import("./live.js") },
  speak: { title: "Speak", load: () => import("./speak.js"), pin: true },
  setup: { title: "Set up", load: () => import("./wizard.js"), pin: true },
  config: { title: "Config", load: () => import("./config.js"), pin: true },
  doctor: { title: "Doctor", load: () => import("./doctor.js"), pin: true },
  about: { title: "About", load: () => import("./about.js") },
};
const THEMES = { auto: "as the device", light: "light", dark: "dark" };

const api = new Api();
const live = new Live(api);
const main = document.getElementById("main");
let shown = { name: "", end: null, turn: 0 };

async function show(name, { isFirst = false } = {}) {
  const page = PAGES[name];
  const turn = shown.turn + 1;
  leave();
  shown = { name, end: null, turn };
  mark(name);
  const root = h("div", { class: `page page-${name}` });
  main.replaceChildren(root);
  scrollTo(0, 0);
  const isOver = () => shown.turn !== turn;
  try {
    await known;
    if (isOver()) return;
    if (page.pin && !api.loggedIn) await login(root, isOver);
    if (isOver()) return;
    const module = await page.load();
    if (isOver()) return;
    const end = await module.mount(root, { api, live });
    if (isOver()) end?.();
    else shown.end = end || null;
  } catch (error) {
    if (!isOver()) fail(root, page, error);
  }
  if (!isFirst && !isOver()) main.focus({ preventScroll: true });
}

function leave() {
  try {
    shown.end?.();
  } catch (error) {
    console.error(error);
  }
}

function mark(name) {
  document.title = `${PAGES[name].title} · ${api.hello?.name || "lipsync-edge"}`;
  for (const link of document.querySelectorAll("[data-route]")) {
    if (link.dataset.route === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function fail(root, page, error) {
  if (!(error instanceof ApiError)) console.error(error);
  root.replaceChildren(
    h("h1", {}, page.title),
    h("div", { class: "note bad" },
      h("p", {}, error instanceof ApiError ? error.message : "This page could not be opened."),
      h("p", {}, error.remedy || "Load the page again."),
      h("button", { type: "button", onclick: () => location.reload() }, "Load again")),
  );
}

/** The PIN, in the place of the page that needs it. */
async function login(root, isOver) {
  const { mount } = await import("./login.js");
  if (isOver()) return;
  const done = Promise.withResolvers ? Promise.withResolvers() : resolvers();
  const end = await mount(root, { api, live, done: done.resolve });
  const onSession = () => api.loggedIn && done.resolve(); // by the dialog, say
  api.addEventListener("session", onSession);
  shown.end = done.resolve;
  await done.promise;
  api.removeEventListener("session", onSession);
  end?.();
  if (!isOver()) {
    shown.end = null;
    root.replaceChildren();
  }
}

function resolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** The PIN in a dialog, for a request that lacks a session. Tells whether there is one then. */
api.onLogin = async () => {
  const { mount } = await import("./login.js");
  const root = h("div", {});
  const dialog = h("dialog", { "aria-label": "Log in" }, root,
    h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"));
  document.body.append(dialog);
  const end = await mount(root, { api, live, done: () => dialog.close() });
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  end?.();
  dialog.remove();
  return api.loggedIn;
};

function onHash() {
  const wanted = location.hash.slice(1).split("/")[0];
  if (wanted === "main") return main.focus();
  const name = wanted in PAGES ? wanted : "live";
  if (name !== shown.name) show(name, { isFirst: !shown.name });
}

// ---------------------------------------------------------------- state of the head

/** [kind, words] of the chip beside the name. Pure. */
function stateOf({ link, engine, status }) {
  if (link === "lost") return ["bad", "Not connected"];
  if (link === "closed") return ["wait", "Locked"];
  if (engine === "down") return ["bad", "Head is down"];
  if (link !== "open" || !status) return ["wait", "Connecting"];
  if (status.safe_mode) return ["bad", "Safe mode"];
  if (status.setup) return ["warn", "Set-up"];
  if (status.resting) return ["warn", "Servos off"];
  if (status.lost) return ["bad", "No sound"];
  if (status.board_ok === false) return ["bad", "Board lost"];
  if (status.muted) return ["warn", "Muted"];
  if (status.hot?.length || status.notes?.length) return ["warn", "Strained"];
  return status.ready === false ? ["wait", "Starting"] : ["good", "Running"];
}

function drawState() {
  const [kind, words] = stateOf(live.last);
  const chip = document.getElementById("state");
  chip.dataset.state = kind;
  chip.title = live.last.status?.line || "";
  say(document.getElementById("state-word"), words);
  const name = live.last.hello?.head || api.hello?.name;
  if (name) say(document.getElementById("head-name"), name);
}

for (const kind of ["link", "engine", "status", "hello"]) live.subscribe(kind, drawState);

async function detach() {
  try {
    await api.post("/do", { cmd: "detach" });
    toast("All servos are off.", { kind: "warn", action: { label: "Wake", run: wake } });
  } catch (error) {
    tellError(error);
  }
}

async function wake() {
  try {
    await api.post("/do", { cmd: "wake" });
    toast("The head is awake.");
  } catch (error) {
    tellError(error);
  }
}

document.getElementById("detach").addEventListener("click", detach);

// ---------------------------------------------------------------- colours

function theme() {
  return document.documentElement.dataset.theme || "auto";
}

function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  say(document.getElementById("theme-word"), `Colours: ${THEMES[name]}`);
  document.getElementById("theme").title = `Colours: ${THEMES[name]}`;
  try {
    localStorage.setItem("theme", name);
  } catch {
    // No storage: it holds until the page is closed.
  }
  dispatchEvent(new Event("themechange"));
}

document.getElementById("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(theme()) + 1) % names.length]);
});
setTheme(theme());

const known = api.load().then(drawState, (error) => {
  tellError(error);
});
live.start();
addEventListener("hashchange", onHash);
onHash();
