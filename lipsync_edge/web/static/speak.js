// Let the head say something: a text, a file, a recording. And faces to hold, mute, rest.

import { soundCard } from "./soundcard.js";
import { downNote, h, say, tellError, toast } from "./ui.js";

const SENTENCES = [
  "Bob, Pam and Will may move five warm waffles.",
  "Hello! I am new here. Does my mouth fit my voice?",
  "Who would move two blue shoes through a pool?",
];
const FACES = { closed: "Closed", open: "Open", half: "Half open", smile: "Smile", ooh: "Ooh", oh: "Oh", ee: "Ee" };
const SILENT = "No speech program is installed. On the robot: sudo apt install espeak-ng";

/** What was typed and chosen, while somebody looks at another page. */
const kept = { text: SENTENCES[0], voice: "", rate: "175", pitch: "50" };

export function mount(root, { api, live }) {
  const [down, end] = downNote(live, "It says nothing until it does.");
  const page = { api, live, ends: [end], order, told };
  root.append(h("h1", {}, "Speak"), down, textCard(page), soundCard(page), orderCard(page));

  /** Give an order; a promise that never fails. */
  function order(cmd, words) {
    return api.post("/do", { cmd }).then(() => toast(words), tellError);
  }

  /** Say that a sound was taken, with a way to stop it. */
  function told(what, waiting) {
    toast(waiting > 1 ? `${what} waits: ${waiting - 1} before it.` : `The head speaks ${what}.`,
      { action: { label: "Stop", run: () => order("hush", "It is quiet.") } });
  }

  return () => page.ends.forEach((run) => run());
}

// ---------------------------------------------------------------- a text

function textCard({ api, told }) {
  const text = keeping(h("textarea", { id: "text", rows: "3", maxlength: "2000", required: true }), "text");
  const voices = new Voices(api);
  const button = h("button", { class: "primary", type: "submit" }, "Say it");
  const wrong = h("p", { class: "note bad", role: "alert", hidden: true });
  voices.onmissing = () => {
    button.disabled = true;
    tellWrong(wrong, SILENT);
  };

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    wrong.hidden = true;
    try {
      told("the text", (await api.post("/say-text", { text: text.value, ...voices.chosen })).waiting);
    } catch (error) {
      tellWrong(wrong, error);
    } finally {
      button.disabled = false;
    }
  }

  function choose(sentence) {
    text.value = kept.text = sentence;
  }

  return h("form", { class: "card", onsubmit: submit },
    h("h2", {}, "A text"),
    field("text", "What it says", text),
    h("div", { class: "sentences", role: "group", "aria-label": "Sentences to try" }, ...SENTENCES.map((sentence) =>
      h("button", { type: "button", class: "sentence", onclick: () => choose(sentence) }, sentence))),
    voices.element, wrong, h("p", { class: "row" }, button));
}

/** The choice of a voice, its pace and its pitch. */
class Voices {
  constructor(api) {
    this.voice = keeping(h("select", { id: "voice" }, h("option", { value: "" }, "The usual one")), "voice");
    this.rate = keeping(h("input", { id: "rate", type: "range", min: "80", max: "300", step: "5" }), "rate");
    this.pitch = keeping(h("input", { id: "pitch", type: "range", min: "0", max: "99" }), "pitch");
    this.voice.addEventListener("change", () => this.#draw());
    this.element = h("details", {}, h("summary", {}, "Voice, pace, pitch"),
      field("voice", "Voice", this.voice),
      field("rate", "Pace", this.rate, (value) => `${value} words a minute`),
      field("pitch", "Pitch", this.pitch, (value) => `${value} of 99`));
    this.#load(api);
  }

  /** For the request. Piper's voices have a pace and a pitch of their own. */
  get chosen() {
    const [engine, id] = this.voice.value ? this.voice.value.split(/\/(.*)/) : ["", ""];
    const how = { rate: Number(this.rate.value), pitch: Number(this.pitch.value) };
    return { ...(engine && { engine, voice: id }), ...(engine !== "piper" && how) };
  }

  async #load(api) {
    try {
      const there = (await api.get("/voices")).engines.filter(({ installed }) => installed);
      for (const { name, voices } of there) {
        this.voice.append(h("optgroup", { label: name }, ...voices.map(({ id, name: words, language }) =>
          h("option", { value: `${name}/${id}` }, words === language ? words : `${words} (${language})`))));
      }
      this.voice.value = kept.voice;
      this.#draw();
      if (!there.length) this.onmissing();
    } catch (error) {
      tellError(error);
    }
  }

  #draw() {
    this.rate.disabled = this.pitch.disabled = this.voice.value.startsWith("piper/");
  }
}

// ---------------------------------------------------------------- faces and orders

function orderCard({ api, live, ends, order }) {
  const toggles = [
    toggle("Mute", "muted", ["mute", "It moves, and is not heard."], ["unmute", "It is heard again."]),
    toggle("Rest", "resting", ["rest", "The head goes to rest."], ["wake", "The head wakes."]),
  ];
  const doing = h("p", { class: "soft doing" });
  const faces = h("div", { class: "faces", role: "group", "aria-label": "Faces" });
  ends.push(live.subscribe("status", (status) => {
    toggles.forEach(({ draw }) => draw(status));
    say(doing, doingOf(status));
  }));
  ends.push(live.subscribe("hello", ({ poses = [] }) => faces.replaceChildren(...poses.map((name) =>
    h("button", { type: "button", "data-pose": name, onclick: () => hold(name) }, FACES[name] || name)))));

  function toggle(words, key, on, off) {
    const button = h("button", { type: "button", "aria-pressed": "false" }, words);
    button.addEventListener("click", () => order(...(button.getAttribute("aria-pressed") === "true" ? off : on)));
    return { button, draw: (status) => button.setAttribute("aria-pressed", String(Boolean(status[key]))) };
  }

  async function hold(name) {
    const words = FACES[name] || name;
    try {
      const { unmoved } = await api.post("/pose", { name });
      toast(unmoved.length ? `${words}: no servo shows ${unmoved.join(", ")}.` : `${words}, for ten seconds.`);
    } catch (error) {
      tellError(error);
    }
  }

  return h("section", { class: "card" }, h("h2", {}, "Faces and orders"), doing, faces,
    h("p", { class: "row" },
      h("button", { type: "button", onclick: () => order("follow", "It follows the sound again.") }, "Follow the sound"),
      h("button", { type: "button", onclick: () => order("hush", "It is quiet.") }, "Hush"),
      ...toggles.map(({ button }) => button)));
}

/** A sentence about the head now. Pure. */
function doingOf({ resting, posing, spoken_files: files = 0 }) {
  if (resting) return "It rests: its servos are off.";
  if (files > 1) return `It speaks, and ${files - 1} more ${files > 2 ? "sounds wait" : "sound waits"}.`;
  if (files) return "It speaks.";
  return posing ? "It holds a face." : "It follows what it hears.";
}

// ---------------------------------------------------------------- parts

function field(id, words, control, shown = null) {
  const value = shown && h("output", { for: id, class: "soft" });
  const draw = () => say(value, shown(control.value));
  if (shown) {
    control.addEventListener("input", draw);
    draw();
  }
  return h("div", { class: "field" }, h("div", { class: "row label-row" }, h("label", { for: id }, words), value), control);
}

/** A control whose value stays while other pages are looked at. */
function keeping(control, name) {
  control.value = kept[name];
  control.addEventListener("input", () => (kept[name] = control.value));
  return control;
}

function tellWrong(note, said) {
  note.hidden = false;
  say(note, typeof said === "string" ? said : `${said.message} ${said.remedy || ""}`.trim());
}
