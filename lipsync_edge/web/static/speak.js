// Let the head say something: a file, a recording, a text. And faces to hold, mute, rest.

import { decoded, noMicrophone, record } from "./sound.js";
import { h, say, tellError, toast } from "./ui.js";

const MOST_MB = 64;
const SENTENCES = [
  "Bob, Pam and Will may move five warm waffles.",
  "Hello! I am new here. Does my mouth fit my voice?",
  "Who would move two blue shoes through a pool?",
];
const WORDS = { closed: "Closed", open: "Open", half: "Half open", smile: "Smile", ooh: "Ooh", oh: "Oh", ee: "Ee" };

export async function mount(root, { api, live }) {
  const ends = [];
  const status = h("p", { class: "note", role: "status", hidden: true });
  root.append(h("h1", {}, "Speak"), status, textCard(), fileCard(), orderCard());

  function tell(words, kind = "good") {
    status.className = `note ${kind}`;
    status.hidden = false;
    say(status, words);
  }

  async function send(blob, what, signal) {
    if (blob.size > MOST_MB << 20) throw new Error(`At most ${MOST_MB} MB can be spoken: cut it.`);
    const { waiting } = await api.post("/say", blob, { signal });
    tell(waiting > 1 ? `${what} waits: it is number ${waiting}.` : `The head speaks ${what}.`);
  }

  async function trying(button, work) {
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") tell(`${error.message} ${error.remedy || ""}`.trim(), "bad");
    } finally {
      button.disabled = false;
    }
  }

  function textCard() {
    const text = h("textarea", { id: "text", rows: "3", maxlength: "2000" });
    text.value = SENTENCES[0];
    const voice = h("select", { id: "voice" }, h("option", { value: "" }, "The usual voice"));
    const rate = h("input", { id: "rate", type: "range", min: "80", max: "300", step: "5", value: "165" });
    const pitch = h("input", { id: "pitch", type: "range", min: "0", max: "99", value: "50" });
    const button = h("button", { class: "primary", type: "submit" }, "Say it");
    const missing = h("p", { class: "note warn", hidden: true });
    api.get("/voices").then(({ engines }) => {
      const there = engines.filter((engine) => engine.installed);
      for (const { name, voices } of there) {
        voice.append(h("optgroup", { label: name }, ...voices.map((v) =>
          h("option", { value: `${name}/${v.id}` }, `${v.name} (${v.language})`))));
      }
      if (there.length) return;
      say(missing, "No speech program is installed. On the robot: sudo apt install espeak-ng");
      missing.hidden = false;
      button.disabled = true;
    }, tellError);
    const form = h("form", { class: "card", onsubmit: (event) => {
      event.preventDefault();
      const [engine, id] = voice.value ? voice.value.split(/\/(.*)/) : ["", ""];
      const isPiper = engine === "piper";
      const asked = { text: text.value, ...(engine && { engine, voice: id }),
        ...(!isPiper && { rate: Number(rate.value), pitch: Number(pitch.value) }) };
      trying(button, async () => {
        const { waiting } = await api.post("/say-text", asked);
        tell(waiting > 1 ? `The text waits: it is number ${waiting}.` : "The head speaks the text.");
      });
    } },
      h("h2", {}, "A text"), missing,
      field("text", "Text", text),
      h("div", { class: "sentences", role: "group", "aria-label": "Sentences to try" }, ...SENTENCES.map((sentence) =>
        h("button", { type: "button", class: "quiet sentence", onclick: () => (text.value = sentence) }, sentence))),
      h("details", {}, h("summary", {}, "Voice, pace, pitch"),
        field("voice", "Voice", voice), field("rate", "Pace", rate), field("pitch", "Pitch", pitch)),
      h("p", { class: "row" }, button));
    return form;
  }

  function fileCard() {
    const picker = h("input", { id: "file", type: "file", accept: "audio/*,.wav,.mp3,.ogg,.flac,.m4a", onchange: pick });
    const drop = h("div", { class: "drop" },
      field("file", "Drop a sound here, or choose one (WAV, MP3, OGG, FLAC, M4A)", picker));
    drop.addEventListener("dragover", (event) => (event.preventDefault(), drop.classList.add("over-it")));
    drop.addEventListener("dragleave", () => drop.classList.remove("over-it"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over-it");
      if (event.dataTransfer.files[0]) speak(event.dataTransfer.files[0]);
    });
    const cancel = h("button", { type: "button", hidden: true }, "Cancel");
    const talk = h("button", { type: "button", onclick: toggle }, "Record");
    const why = h("p", { class: "hint" });
    let recording = null;
    let sending = null;
    cancel.addEventListener("click", () => sending?.abort());
    ends.push(() => (sending?.abort(), recording?.stop().catch(() => {})));
    explain();

    function explain() {
      const reason = noMicrophone();
      talk.disabled = Boolean(reason);
      if (!reason) return;
      const { tls_port } = api.hello || {};
      const safe = `https://${location.hostname}${tls_port === 443 ? "" : `:${tls_port}`}/#speak`;
      why.replaceChildren(...(reason === "none" ? ["This browser has no microphone for pages."] : tls_port
        ? ["Browsers give a microphone to https pages only. ", h("a", { href: safe }, "Open this page by https"), ": the browser will warn that it does not know the head's certificate, which the head made itself."]
        : ["Browsers give a microphone to https pages only. On the robot: sudo lipsync-edge-web certificate"]));
    }

    function pick() {
      if (picker.files[0]) speak(picker.files[0]);
      picker.value = "";
    }

    function speak(file) {
      return trying(picker, async () => {
        tell(`Reading ${file.name} …`, "");
        sending = new AbortController();
        cancel.hidden = false;
        try {
          const { blob, seconds } = await decoded(file);
          tell(`Sending ${seconds.toFixed(1)} s of sound …`, "");
          await send(blob, file.name, sending.signal);
        } finally {
          cancel.hidden = true;
          if (sending.signal.aborted) tell("Not sent.", "warn");
          sending = null;
        }
      });
    }

    function toggle() {
      trying(talk, async () => {
        if (!recording) {
          recording = await record().catch(() => {
            throw new Error("The browser gives no microphone: allow it in the address bar.");
          });
          talk.classList.add("danger");
          say(talk, "Stop and speak");
          return;
        }
        const { blob } = await recording.stop().finally(() => {
          recording = null;
          talk.classList.remove("danger");
          say(talk, "Record");
        });
        await send(blob, "what you said");
      });
    }

    return h("section", { class: "card" }, h("h2", {}, "A sound"), drop,
      h("p", { class: "row" }, talk, cancel), why);
  }

  function orderCard() {
    const mute = h("button", { type: "button", "aria-pressed": "false" }, "Mute");
    const rest = h("button", { type: "button", "aria-pressed": "false" }, "Rest");
    const order = (cmd, words) => () => api.post("/do", { cmd }).then(() => toast(words), tellError);
    mute.addEventListener("click", () => order(pressed(mute) ? "unmute" : "mute", pressed(mute) ? "It is heard again." : "It moves, and is not heard.")());
    rest.addEventListener("click", () => order(pressed(rest) ? "wake" : "rest", pressed(rest) ? "The head wakes." : "The head goes to rest.")());
    ends.push(live.subscribe("status", (now) => {
      mute.setAttribute("aria-pressed", String(Boolean(now.muted)));
      rest.setAttribute("aria-pressed", String(Boolean(now.resting)));
    }));
    const faces = h("p", { class: "row" });
    ends.push(live.subscribe("hello", (head) => faces.replaceChildren(
      ...(head.poses || []).map((name) => h("button", { type: "button", "data-pose": name, onclick: () =>
        api.post("/pose", { name }).then(({ unmoved }) => unmoved.length
          ? toast(`${WORDS[name] || name}: no servo shows ${unmoved.join(", ")}.`)
          : toast(`${WORDS[name] || name}, for ten seconds.`), tellError) }, WORDS[name] || name)),
      h("button", { type: "button", onclick: order("follow", "It follows the sound again.") }, "Follow the sound"))));
    return h("section", { class: "card" }, h("h2", {}, "Faces and orders"), faces,
      h("p", { class: "row" }, mute, h("button", { type: "button", onclick: order("hush", "It is quiet.") }, "Hush"), rest));
  }

  return () => ends.forEach((end) => end());
}

function pressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}

function field(id, words, control) {
  return h("div", { class: "field" }, h("label", { for: id }, words), control);
}
