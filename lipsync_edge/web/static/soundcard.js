// A sound for the head: a file that is chosen or dropped, or the microphone of this device.

import { decoded, noMicrophone, record } from "./sound.js";
import { h, icon, say } from "./ui.js";

const MOST_MB = 64;
const LONGEST_S = 300; // of a recording
const NO_MICROPHONE = {
  NotAllowedError: "The browser gives no microphone: allow it in the address bar, then try again.",
  NotFoundError: "This device has no microphone.",
  NotReadableError: "Another program has the microphone.",
};

/** The card; `page`: {api, ends, told} of speak.js. */
export function soundCard(page) {
  const card = new SoundCard(page);
  page.ends.push(() => card.end());
  return card.element;
}

class SoundCard {
  #sending = null;
  #recording = null;
  #timer = 0;
  #isOver = false;

  constructor({ api, told }) {
    Object.assign(this, { api, told });
    this.picker = h("input", { id: "file", type: "file", class: "visually-hidden",
      accept: "audio/*,.wav,.mp3,.ogg,.flac,.m4a", onchange: () => this.#pick() });
    this.drop = h("label", { class: "drop", for: "file" }, icon("upload"),
      h("span", {}, h("strong", {}, "Choose a sound"), " or drop it here"),
      h("span", { class: "hint" }, "WAV, MP3, OGG, FLAC or M4A"), this.picker);
    this.note = h("p", { class: "note", role: "status", hidden: true });
    this.talkWords = h("span", {}, "Record");
    this.talk = h("button", { type: "button", onclick: () => this.#toggle() }, icon("speak"), this.talkWords);
    this.clock = h("span", { class: "soft clock", hidden: true });
    this.cancel = h("button", { type: "button", hidden: true, onclick: () => this.#sending?.abort() }, "Cancel");
    this.why = h("p", { class: "hint" });
    this.element = h("section", { class: "card" }, h("h2", {}, "A sound"), this.drop, this.note,
      h("p", { class: "row" }, this.talk, this.clock, this.cancel), this.why);
    this.#acceptDrops();
    this.#explain();
  }

  /** The page is left: nothing is sent, and the microphone is let go. */
  end() {
    this.#isOver = true;
    this.#sending?.abort();
    this.#stopClock();
    this.#recording?.drop();
  }

  #acceptDrops() {
    const over = (isOver) => this.drop.classList.toggle("over-it", isOver);
    this.element.addEventListener("dragover", (event) => (event.preventDefault(), over(true)));
    this.element.addEventListener("dragleave", () => over(false));
    this.element.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      if (event.dataTransfer.files[0]) this.#speak(event.dataTransfer.files[0]);
    });
  }

  /** Where there is no microphone: why, and the way to one. */
  #explain() {
    const reason = noMicrophone();
    this.talk.disabled = Boolean(reason);
    if (!reason) return;
    const { tls_port: port } = this.api.hello || {};
    const safe = `https://${location.hostname}${port === 443 ? "" : `:${port}`}/#speak`;
    this.why.append(...(reason === "none" ? ["This browser has no microphone for pages."] : [
      "Browsers give a microphone to https pages only. ",
      ...(port
        ? [h("a", { href: safe }, "Open this page by https"), ". The browser will warn that it does not know the head's certificate, which the head made itself."]
        : ["On the robot: sudo lipsync-edge-web certificate"])]));
  }

  #tell(words, kind = "") {
    this.note.className = `note ${kind}`;
    this.note.hidden = !words;
    say(this.note, words);
  }

  /** One thing at a time; what goes wrong is told here. */
  async #trying(work) {
    this.picker.disabled = this.talk.disabled = true;
    this.#sending = new AbortController();
    try {
      await work(this.#sending.signal);
      this.#tell("");
    } catch (error) {
      if (error.name === "AbortError") this.#tell("Not sent.", "warn");
      else this.#tell(`${error.message} ${error.remedy || ""}`.trim(), "bad");
    } finally {
      this.#sending = null;
      this.cancel.hidden = true;
      this.picker.disabled = false;
      this.talk.disabled = Boolean(noMicrophone());
    }
  }

  #pick() {
    if (this.picker.files[0]) this.#speak(this.picker.files[0]);
    this.picker.value = ""; // so that the same one can be chosen again
  }

  #speak(file) {
    if (this.#sending || this.#recording) return this.#tell("One sound at a time: wait for the last one.", "warn");
    return this.#trying(async (signal) => {
      this.cancel.hidden = false;
      this.#tell(`Reading ${file.name} …`);
      await this.#send(await decoded(file), file.name, signal);
    });
  }

  async #send({ blob, seconds }, name, signal) {
    if (blob.size > MOST_MB << 20) throw new Error(`At most ${MOST_MB} MB can be spoken: cut it.`);
    this.cancel.hidden = false;
    this.#tell(`Sending ${seconds.toFixed(1)} s of sound …`);
    this.told(name, (await this.api.post("/say", blob, { signal })).waiting);
  }

  // ---------------------------------------------------------------- the microphone

  #toggle() {
    return this.#trying(this.#recording ? (signal) => this.#finish(signal) : () => this.#begin());
  }

  async #begin() {
    const recording = await record().catch((error) => {
      throw new Error(NO_MICROPHONE[error.name] || `The browser cannot record: ${error.message}`);
    });
    if (this.#isOver) return recording.drop();
    this.#recording = recording;
    this.talk.classList.add("danger");
    say(this.talkWords, "Stop and speak");
    this.#startClock();
  }

  async #finish(signal) {
    const recording = this.#recording;
    this.#recording = null;
    this.#stopClock();
    this.talk.classList.remove("danger");
    say(this.talkWords, "Record");
    await this.#send(await recording.stop(), "what you said", signal);
  }

  #startClock() {
    let seconds = 0;
    const draw = () => say(this.clock, `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`);
    this.clock.hidden = false;
    draw();
    this.#timer = setInterval(() => {
      seconds += 1;
      draw();
      if (seconds >= LONGEST_S) this.#toggle();
    }, 1000);
  }

  #stopClock() {
    clearInterval(this.#timer);
    this.clock.hidden = true;
  }
}
