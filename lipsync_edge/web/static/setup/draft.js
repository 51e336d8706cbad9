// What the wizard found out about servos, as points of their travel, and as values of a config.
//
// A servo has two or three points, each a pulse in µs: `rest` (the mouth is just closed, the eye
// looks ahead), `far` (all the way to where its axes are at their highest) and, where it goes both
// ways, `near` (where they are at their lowest). Which of them has the longer pulse depends on how
// the servo was built in; the config calls that `invert`. All here is pure.

const RESTS = {
  jaw: ["Just closed", "Move it until the lips just touch and nothing presses. That is where the mouth rests."],
  lip: ["Lips just touch", "With the jaw closed, move it until the lips just touch and nothing presses."],
  corner: ["Relaxed", "Move the corner to where it is when the face does nothing."],
  gaze: ["Straight ahead", "Move it until the eye looks straight ahead."],
  head: ["Straight ahead", "Move it until the head looks straight ahead."],
};
const OTHER_REST = ["At rest", "Move it to where it is when the head does nothing."];
/** What an axis does to the face, by the begin of its name: the first that fits. */
const ENDS = [
  ["jawOpen", "open"], ["jawLeft", "to its left"], ["jawRight", "to its right"], ["jawForward", "forward"],
  ["mouthClose", "together"], ["mouthClosure", "together"], ["mouthPress", "pressed"], ["mouthRoll", "rolled in"],
  ["mouthUpperUp", "raised"], ["mouthLowerDown", "lowered"], ["mouthShrugUpper", "raised"], ["mouthShrugLower", "raised"],
  ["mouthSmile", "smile"], ["mouthFrown", "frown"], ["mouthStretch", "wide"], ["mouthDimple", "drawn back"],
  ["mouthPucker", "pursed, as in “oo”"], ["mouthFunnel", "rounded, as in “oh”"], ["mouthLeft", "to its left"], ["mouthRight", "to its right"],
  ["tongueOut", "out"], ["browDown", "lowered"], ["brow", "raised"], ["eyeBlink", "shut"], ["eyeSquint", "narrowed"],
  ["eyeWide", "wide open"], ["cheek", "raised"], ["eyeLookUp", "up"], ["eyeLookDown", "down"], ["eyeLookIn", "to the nose"], ["eyeLookOut", "outwards"],
];
/** Axes that go to both sides of 0: their positive end, their negative one. */
const BOTH = [
  ["headYaw", "turned to its left", "turned to its right"],
  ["headPitch", "raised", "lowered"],
  ["headRoll", "tilted to one side", "tilted to the other side"],
];
const SAME_US = 0.5;

/** Whether it rests at one of its ends, as a jaw does. */
export function isOneSided({ min_us, neutral_us, max_us }) {
  return Math.min(Math.abs(neutral_us - min_us), Math.abs(neutral_us - max_us)) < SAME_US;
}

/** The points that are asked for, in order: [{name, title, words}]. */
export function points(servo) {
  const [title, words] = RESTS[servo.role] || OTHER_REST;
  const end = (sign) => meaning(servo, sign);
  const point = (name, what) => ({
    name, title: upper(what),
    words: `Walk to where it is ${what}, as far as it shall ever go, and stop while it still turns freely.`,
  });
  const all = [{ name: "rest", title, words }];
  if (!isOneSided(servo)) all.push(point("near", end(-1)));
  all.push(point("far", end(1)));
  return all;
}

/** In words what its end stands for: 1, all its axes at their highest; -1: at their lowest. */
export function meaning({ mix }, sign) {
  const both = BOTH.find(([begin]) => Object.keys(mix).some((axis) => axis.startsWith(begin)));
  if (both) return both[sign > 0 ? 1 : 2];
  const [axis, gain] = Object.entries(mix).reduce((best, next) => (sign * next[1] > sign * best[1] ? next : best), ["", 0]);
  if (!(sign * gain > 0)) return sign > 0 ? "its far end" : "its other end";
  const known = ENDS.find(([begin]) => axis.startsWith(begin));
  return known ? known[1] : axis.replace(/([A-Z])/g, " $1").toLowerCase();
}

/** The points that the config has now, and the speed limit. */
export function current(servo) {
  const { min_us, neutral_us, max_us, invert, trim_us } = servo;
  const at = (us) => Math.min(Math.max(us + trim_us, min_us), max_us);
  const slew = servo.slew_us_per_s;
  if (isOneSided(servo)) {
    const far = neutral_us - min_us < max_us - neutral_us ? max_us : min_us;
    return { rest: at(neutral_us), near: at(neutral_us), far, slew };
  }
  return { rest: at(neutral_us), near: invert ? max_us : min_us, far: invert ? min_us : max_us, slew };
}

/** The values of a config for a draft: a few of `current`'s, newly found, in whole µs. */
export function settings(servo, draft) {
  const all = { ...current(servo), ...draft };
  if (!isMoved(draft)) {
    const { min_us, neutral_us, max_us, invert, trim_us } = servo;
    return { min_us, neutral_us, max_us, invert, slew_us_per_s: all.slew, trim_us };
  }
  if (isOneSided(servo)) all.near = all.rest;
  const { rest, near, far } = all;
  return {
    min_us: Math.min(near, far), neutral_us: rest, max_us: Math.max(near, far), invert: far < near,
    slew_us_per_s: all.slew, trim_us: 0, // it is in what was found
  };
}

function isMoved(draft) {
  return ["rest", "near", "far"].some((name) => name in draft);
}

/** What is wrong with a draft that a maker can see; the head's own check has the last word. */
export function complaint(servo, draft) {
  const { min_us, neutral_us, max_us } = settings(servo, draft);
  if (max_us - min_us < 20) return "Both ends are in the same place: walk to each of them.";
  if (neutral_us < min_us || neutral_us > max_us) return "It rests outside of its limits: walk to the limits again.";
  return "";
}

/** What to write into the config for the drafts {servo: draft}: [{path, value}], only what differs. */
export function changes(servos, drafts) {
  return servos.filter(({ name }) => drafts[name]).flatMap((servo) =>
    Object.entries(settings(servo, drafts[servo.name]))
      .filter(([field, value]) => value !== servo[field])
      .map(([field, value]) => ({ path: servo.keys[field], value })));
}

/** The draft turned round: its two ends change places, and a jaw rests where it opened to. */
export function turned(servo, draft) {
  const { rest, near, far } = { ...current(servo), ...draft };
  return isOneSided(servo) ? { ...draft, rest: far, far: rest } : { ...draft, rest, near: far, far: near };
}

function upper(words) {
  return words[0].toUpperCase() + words.slice(1);
}
