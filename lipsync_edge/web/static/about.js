// What this is, and how this browser stands to it.

import { h, tellError } from "./ui.js";

export function mount(root, { api, live }) {
  const facts = h("dl", { class: "facts" });
  const log = h("p", {});
  const draw = () => {
    const { hello } = live.last;
    const rows = [
      ["Head", hello?.head || api.hello?.name],
      ["Model", hello?.model],
      ["Version", hello?.version || api.hello?.version],
      ["Servos", hello?.servos && String(hello.servos.length)],
      ["This connection", connection(api.hello)],
    ].filter(([, value]) => value);
    facts.replaceChildren(...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    log.replaceChildren(...[
      api.loggedIn
        ? h("button", { type: "button", onclick: () => api.logout().then(draw, tellError) }, "Log out here")
        : ["Whoever looks may watch the face. Everything else wants the head's PIN. ",
          h("button", { type: "button", onclick: () => api.onLogin().catch(tellError) }, "Log in")],
    ].flat());
  };
  root.append(
    h("h1", {}, "About"),
    h("section", { class: "card" }, facts, log),
    h("section", { class: "card" },
      h("h2", {}, "What this is"),
      h("p", {}, "lipsync-edge moves the mouth of an animatronic head in time with what it says. It listens to the sound before it is heard, works out the face that belongs to it, and turns that into pulses for the servos, on the robot itself."),
      h("p", {}, "This page comes from the head. It needs no internet and sends nothing there.")),
    h("section", { class: "card" },
      h("h2", {}, "In an emergency"),
      h("p", {}, h("strong", {}, "Detach"), " turns all servos off at once. They stay off until you wake the head. The surest way is still the switch of the servos' supply: keep it in reach.")),
  );
  const ends = ["hello", "link"].map((kind) => live.subscribe(kind, draw));
  api.addEventListener("session", draw);
  draw();
  return () => {
    ends.forEach((end) => end());
    api.removeEventListener("session", draw);
  };
}

function connection(hello) {
  if (!hello) return "";
  if (hello.https) return "https, private";
  const safe = `https://${location.hostname}${hello.tls_port === 443 ? "" : `:${hello.tls_port}`}/`;
  return hello.tls_port ? h("a", { href: safe }, "http; go to https") : "http, readable in your Wi-Fi";
}
