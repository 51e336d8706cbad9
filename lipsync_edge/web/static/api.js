// The page's two ways to the head: requests, and the live socket that brings what it does.

const BASE = "/api/v1";
const FIRST_MS = 500;
const LONGEST_MS = 10000;
const QUIET_MS = 4000; // for so long nothing may come of a socket that is open: a Wi-Fi that is gone

/** A refusal: a sentence (`message`), what to do (`remedy`), a word (`code`) and the HTTP status;
 * `status` 0 where nobody answered. */
export class ApiError extends Error {
  constructor(status, code, message, remedy = "") {
    super(message);
    Object.assign(this, { name: "ApiError", status, code, remedy });
  }
}

/** Requests. `hello`: the last answer of GET hello. `onLogin`: an async function that asks the user
 * for the PIN and tells whether the browser is logged in then; a request that lacks a session waits
 * for it and is made once more. */
export class Api extends EventTarget {
  hello = null;
  loggedIn = false;
  onLogin = null;
  #csrf = "";
  #asking = null;

  /** Ask who is there and whether this browser is logged in. Raises ApiError. */
  async load() {
    this.hello = await this.#ask("GET", "/hello");
    this.#become(await this.#ask("GET", "/session"));
    return this.hello;
  }

  get csrf() {
    return this.#csrf;
  }

  /** The answer (an object) to GET `path`, such as "/config". Raises ApiError. */
  get(path, options = {}) {
    return this.#try("GET", path, undefined, options);
  }

  /** POST an object as JSON, or a Blob as it is. Raises ApiError. */
  post(path, body = {}, options = {}) {
    return this.#try("POST", path, body, options);
  }

  /** Log in; raises ApiError where the PIN is wrong or too many were. */
  async login(pin) {
    const told = await this.#ask("POST", "/login", { pin });
    this.#become({ logged_in: true, csrf: told.csrf });
  }

  async logout() {
    await this.#ask("POST", "/logout", {});
    this.#become({ logged_in: false, csrf: null });
  }

  /** A file that needs a session, such as "/support": a Blob. */
  async blob(path) {
    return (await this.#fetch("GET", path)).blob();
  }

  async #try(method, path, body, options) {
    try {
      return await this.#ask(method, path, body, options);
    } catch (error) {
      if (error.status !== 401 && error.code !== "csrf") throw error;
      if (!(await this.#admitted(error))) throw error;
      return this.#ask(method, path, body, options);
    }
  }

  async #admitted(error) {
    this.#become(await this.#ask("GET", "/session"));
    if (this.loggedIn) return error.code === "csrf"; // a fresh token may do
    if (!this.onLogin) return false;
    this.#asking ??= this.onLogin().finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #ask(method, path, body, options) {
    const answer = await this.#fetch(method, path, body, options);
    return answer.json();
  }

  async #fetch(method, path, body, { signal } = {}) {
    const headers = {};
    if (method !== "GET") headers["X-CSRF"] = this.#csrf;
    if (body !== undefined && !(body instanceof Blob)) {
      headers["Content-Type"] = "application/json";
      body = JSON.stringify(body);
    }
    let answer;
    try {
      answer = await fetch(BASE + path, { method, headers, body, signal, credentials: "same-origin" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "offline", "The head's page does not answer.", "Is the head on, and this device in its Wi-Fi?");
    }
    if (!answer.ok) throw await refusal(answer);
    return answer;
  }

  #become({ logged_in, csrf }) {
    const changed = this.loggedIn !== logged_in;
    this.loggedIn = logged_in;
    this.#csrf = csrf || "";
    if (changed) this.dispatchEvent(new Event("session"));
  }
}

async function refusal(answer) {
  const told = await answer.json().catch(() => ({}));
  const { code = "http", message = `The page answered ${answer.status}.`, remedy = "" } = told.error || {};
  return new ApiError(answer.status, code, message, remedy);
}

/** The address of a WebSocket of the head, such as socketAddress("/setup"). */
export function socketAddress(path) {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${BASE}${path}`;
}

/** What the head does, as it comes. Kinds: `hello` (the head describes itself), `motion` (30 a
 * second), `status` (once a second), `engine` ("up" | "down"), `link` ("open" | "lost" | "closed":
 * one that needs a PIN). The newest of each is kept: `live.last.motion`. */
export class Live {
  last = { hello: null, motion: null, status: null, engine: null, link: null };
  #listeners = new Map();
  #socket = null;
  #timer = 0;
  #wait = FIRST_MS;
  #heardAt = 0;

  /** `api`: who is asked whether a PIN is missing where the socket is refused. */
  constructor(api) {
    this.api = api;
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => this.#onVisible());
    api.addEventListener("session", () => this.#hurry());
    setInterval(() => this.#watch(), 1000);
  }

  /** Call `listener(message)` for each one of this kind, with the newest at once. Returns what ends
   * it. */
  subscribe(kind, listener) {
    if (!this.#listeners.has(kind)) this.#listeners.set(kind, new Set());
    this.#listeners.get(kind).add(listener);
    if (this.last[kind] !== null) listener(this.last[kind]);
    return () => this.#listeners.get(kind).delete(listener);
  }

  start() {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    const socket = new WebSocket(socketAddress("/live"));
    this.#socket = socket;
    this.#heardAt = performance.now();
    socket.onopen = () => this.#put("link", "open");
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = () => socket === this.#socket && this.#lost();
  }

  /** What is drawn ends, until `start`. */
  stop() {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#timer);
    socket?.close();
  }

  #take(data) {
    this.#heardAt = performance.now();
    this.#wait = FIRST_MS;
    for (const [kind, message] of Object.entries(JSON.parse(data))) {
      if (kind in this.last) this.#put(kind, message);
    }
  }

  #put(kind, message) {
    this.last[kind] = message;
    for (const listener of this.#listeners.get(kind) || []) listener(message);
  }

  async #lost() {
    this.#socket = null;
    const isClosed = await this.#isClosed();
    if (this.#socket) return; // the user was faster
    this.#put("link", isClosed ? "closed" : "lost");
    clearTimeout(this.#timer);
    if (document.hidden) return;
    const again = () => (isClosed ? this.#lost() : this.start()); // while it is closed, asking is enough
    this.#timer = setTimeout(again, this.#wait * (0.75 + Math.random() / 2));
    this.#wait = Math.min(2 * this.#wait, LONGEST_MS);
  }

  async #isClosed() {
    try {
      const hello = await this.api.load();
      return !hello.live_public && !this.api.loggedIn;
    } catch {
      return false;
    }
  }

  /** A socket that says nothing is gone, whatever the browser thinks: statuses come every second. */
  #watch() {
    if (!this.#socket || document.hidden || performance.now() - this.#heardAt < QUIET_MS) return;
    if (this.last.engine === "down" && this.#socket.readyState === WebSocket.OPEN) return;
    const socket = this.#socket;
    socket.onclose = null;
    socket.close();
    this.#lost();
  }

  #hurry() {
    this.#wait = FIRST_MS;
    if (!this.#socket && !document.hidden) this.start();
  }

  /** Nobody looks: the head need not send. */
  #onVisible() {
    if (document.hidden) this.stop();
    else this.#hurry();
  }
}
