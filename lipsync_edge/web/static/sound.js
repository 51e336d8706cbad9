// Sound in the browser: any file it can play, or its microphone, becomes a WAV file of one channel.

const HIGHEST_HZ = 48000;
const LONGEST_S = 600;

/** A 16-bit WAV file (a Blob) of samples (Float32Array, -1..1). Pure. */
export function wav(samples, rate) {
  const data = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((c, k) => data.setUint8(at + k, c.charCodeAt(0)));
  text(0, "RIFF");
  data.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  [[16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rate, 4], [28, 2 * rate, 4], [32, 2, 2], [34, 16, 2]]
    .forEach(([at, value, bytes]) => (bytes === 4 ? data.setUint32(at, value, true) : data.setUint16(at, value, true)));
  text(36, "data");
  data.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, k) => data.setInt16(44 + 2 * k, Math.max(-1, Math.min(1, value)) * 32767, true));
  return new Blob([data], { type: "audio/wav" });
}

/** The file as WAV: {blob, seconds}. Raises Error with a sentence. */
export async function decoded(file) {
  const bytes = await file.arrayBuffer();
  if (!bytes.byteLength) throw new Error(`${file.name} is empty.`);
  const context = new OfflineAudioContext(1, 1, HIGHEST_HZ);
  let sound;
  try {
    sound = await context.decodeAudioData(bytes);
  } catch {
    throw new Error(`This browser cannot play ${file.name}. Try WAV, MP3, OGG, FLAC or M4A.`);
  }
  if (sound.duration > LONGEST_S) throw new Error(`${file.name} is longer than ${LONGEST_S / 60} minutes.`);
  return { blob: wav(mono(sound), sound.sampleRate), seconds: sound.duration };
}

function mono(sound) {
  const out = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    sound.getChannelData(channel).forEach((value, k) => (out[k] += value / sound.numberOfChannels));
  }
  return out;
}

/** Why this browser gives no microphone; empty: it may. */
export function noMicrophone() {
  if (!isSecureContext) return "http";
  return navigator.mediaDevices?.getUserMedia ? "" : "none";
}

/** Record until `stop()`, which answers {blob, seconds}. Raises what the browser raises. */
export async function record() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.start();
  return {
    async stop() {
      const ended = new Promise((resolve) => (recorder.onstop = resolve));
      if (recorder.state !== "inactive") recorder.stop();
      await ended;
      stream.getTracks().forEach((track) => track.stop());
      return decoded(new File(parts, "the recording", { type: recorder.mimeType }));
    },
  };
}
