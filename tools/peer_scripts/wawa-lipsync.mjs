// Runs wawa-lipsync over raw float32 samples at 48 kHz (stdin), 60 times a second as a page does.
// The browser's analyser is computed as the Web Audio specification says: 2048 samples through a
// Blackman window, magnitudes smoothed by 0.8, -100 to -30 dB as bytes. Prints JSON rows: time in s
// and its 15 visemes, of which one is on.
import { readFileSync } from "node:fs";

const RATE = 48000;
const bytes = readFileSync(0);
const samples = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
let now = 0;

function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j], im[i], im[j]] = [re[j], re[i], im[j], im[i]];
  }
  for (let size = 2; size <= n; size *= 2) {
    const angle = (-2 * Math.PI) / size;
    for (let start = 0; start < n; start += size) {
      for (let k = 0; k < size / 2; k++) {
        const [c, s] = [Math.cos(angle * k), Math.sin(angle * k)];
        const [a, b] = [start + k, start + k + size / 2];
        const [x, y] = [re[b] * c - im[b] * s, re[b] * s + im[b] * c];
        [re[b], im[b]] = [re[a] - x, im[a] - y];
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

class Analyser {
  fftSize = 2048;
  connect() {}
  get frequencyBinCount() {
    return this.fftSize / 2;
  }
  getByteFrequencyData(out) {
    const n = this.fftSize;
    const [re, im] = [new Float64Array(n), new Float64Array(n)];
    const first = Math.round(now * RATE) - n;
    for (let i = 0; i < n; i++) {
      const turn = (2 * Math.PI * i) / n;
      const window = 0.42 - 0.5 * Math.cos(turn) + 0.08 * Math.cos(2 * turn);
      re[i] = (samples[first + i] || 0) * window;
    }
    fft(re, im);
    this.smooth ??= new Float64Array(n / 2);
    for (let k = 0; k < n / 2; k++) {
      this.smooth[k] = 0.8 * this.smooth[k] + (0.2 * Math.hypot(re[k], im[k])) / n;
      const db = 20 * Math.log10(this.smooth[k] + 1e-20);
      out[k] = Math.max(0, Math.min(255, Math.floor((255 / 70) * (db + 100))));
    }
  }
}
class AudioContext {
  sampleRate = RATE;
  createAnalyser() {
    return new Analyser();
  }
}
globalThis.window = { AudioContext };
Object.defineProperty(globalThis, "performance", { value: { now: () => 1000 * now } });

const { Lipsync, VISEMES } = await import("wawa-lipsync");
const names = Object.values(VISEMES);
const lipsync = new Lipsync();
const rows = [];
for (now = 1 / 60; now < samples.length / RATE; now += 1 / 60) {
  lipsync.processAudio();
  rows.push([now, ...names.map((name) => Number(name === lipsync.viseme))]);
}
console.log(JSON.stringify(rows));
