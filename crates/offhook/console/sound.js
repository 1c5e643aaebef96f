// @ts-check
/** The browser's clock of sound, which everything that is heard here runs by. */

/** So long a browser may take to open the loudspeaker. */
const OPENS_WITHIN_MS = 5000;

/** Starts a context, within a gesture of the user's: browsers insist. Without a loudspeaker some never start, and never say so. @param {AudioContext} context */
export async function startSound(context) {
  let timer = 0;
  const late = new Promise((_, reject) => {
    timer = window.setTimeout(() => reject(new Error("The browser can't open a loudspeaker. Connect one, or allow this page to play sound, and try again.")), OPENS_WITHIN_MS);
  });
  await Promise.race([Promise.all([context.audioWorklet.addModule("worklet.js"), context.resume()]), late]).finally(() => clearTimeout(timer));
}
