// Draws poses (JSON on standard input: {poses, times}) and prints what came of it, for test_face_js.

import { readFileSync } from "node:fs";
import { alive } from "../../lipsync_edge/web/static/face/alive.js";
import { Portrait, draw } from "../../lipsync_edge/web/static/face/portrait.js";

const { poses, times } = JSON.parse(readFileSync(0, "utf8"));
const portrait = new Portrait();
const openings = [];
const pictures = poses.map((pose) => {
  const paths = draw(pose, portrait);
  openings.push(portrait.opening);
  return paths;
});
process.stdout.write(JSON.stringify({ pictures, openings, alive: times.map((timeS) => alive(timeS)) }));
