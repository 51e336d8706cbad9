// Runs HeadAudio's processor over raw float32 samples at 16 kHz (stdin), in blocks of 128 as an
// AudioWorklet gets them. Prints JSON: times in s, and which of its 15 visemes is on (14: silence).
import { readFileSync } from "node:fs";
import { Processor } from "@met4citizen/headaudio/modules/processor.mjs";
import { Training } from "@met4citizen/headaudio/modules/training.mjs";

const bytes = readFileSync(0);
const samples = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const rows = [];
const port = {
  onmessage: null,
  postMessage: (told) => {
    if (told.event === "viseme") rows.push([told.t, told.viseme]);
    if (told.event === "ended") rows.push([told.t, 14]);
  },
};
const file = readFileSync(new URL("dist/model-en-mixed.bin", process.argv[2]));
globalThis.fetch = async () => ({
  ok: true,
  arrayBuffer: async () => file.buffer.slice(file.byteOffset, file.byteOffset + file.length),
});
const { model } = await new Training().loadModel("model-en-mixed.bin");
const processor = new Processor({ sampleRate: 16000 }, { port });
processor._onmessage({ data: { event: "model", model } });
for (let at = 0; at < samples.length; at += 128) processor.process(samples.subarray(at, at + 128));
const one = ([t, viseme]) => [t, ...Array.from({ length: 15 }, (_, k) => Number(k === viseme))];
console.log(JSON.stringify(rows.map(one)));
