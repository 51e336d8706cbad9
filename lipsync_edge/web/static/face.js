// The face as an SVG: of each picture only what changed is written, and turns of the head are left
// to the browser.

import { svg } from "./ui.js";
import { portrait as P, styles } from "./face/design.js";
import { svgPath } from "./face/drawing.js";
import { Portrait, turn } from "./face/portrait.js";

export { alive } from "./face/alive.js";

/** `element`: an SVG to put somewhere. Its `data-opening` is how far apart the lips are drawn, 1 = by
 * a fully open jaw, its `data-at` the moment of the head's clock that is shown. */
export class Face {
  #portrait = new Portrait();
  #groups = [];
  #paths = [];
  #drawn = styles.map(() => "");
  #turned = "";

  constructor(label = "The head's face") {
    this.element = svg("svg", { class: "face", viewBox: "-1000 -1000 2000 2000", role: "img", "aria-label": label,
      "stroke-linecap": "round", "stroke-linejoin": "round" });
    const rest = [...styles];
    for (const { depth, paths } of this.#portrait.look({})) {
      const group = svg("g");
      for (const style of rest.splice(0, paths.length)) {
        const path = svg("path", attributes(style));
        group.append(path);
        this.#paths.push(path);
      }
      this.#groups.push({ group, depth });
      this.element.append(group);
    }
    this.draw({});
  }

  /** Show a pose; `at`: what `data-at` says. */
  draw(pose, at = "") {
    let k = 0;
    for (const { paths, changed } of this.#portrait.look(pose)) {
      if (changed || !this.#drawn[k]) paths.forEach((points, j) => this.#write(k + j, points));
      k += paths.length;
    }
    this.#turn(pose);
    this.element.dataset.opening = this.#portrait.opening.toFixed(4);
    this.element.dataset.at = at;
  }

  #write(k, points) {
    const d = svgPath(points, Boolean(styles[k].fill));
    if (d === this.#drawn[k]) return;
    this.#drawn[k] = d;
    this.#paths[k].setAttribute("d", d);
  }

  #turn(pose) {
    const { x, y, radians } = turn(pose);
    const roll = ((radians * 180) / Math.PI).toFixed(2);
    const key = `${x.toFixed(4)} ${y.toFixed(4)} ${roll}`;
    if (key === this.#turned) return;
    this.#turned = key;
    const [neckX, neckY] = P.NECK.map((at) => at * 1000);
    for (const { group, depth } of this.#groups) {
      if (depth === null) continue;
      const shift = `translate(${(x * depth * 1000).toFixed(1)} ${(y * depth * 1000).toFixed(1)})`;
      group.setAttribute("transform", `rotate(${roll} ${neckX} ${neckY}) ${shift}`);
    }
  }
}

function attributes({ name, fill, stroke, width, alpha }) {
  return {
    "data-part": name,
    fill: fill || "none",
    stroke: stroke || null,
    "stroke-width": stroke ? Math.round(width * 1000) : null,
    opacity: alpha < 1 ? alpha : null,
  };
}
