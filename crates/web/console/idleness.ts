// Owns noticing that nobody is at the console, so that colleagues and the server know it.

const IDLE_AFTER_MS = 5 * 60_000;
const SIGNS = ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"] as const;

/** Calls `tell` when the agent has been away for a while, and when they are back. */
export function watchIdleness(tell: (isIdle: boolean) => void): void {
  let isIdle = false;
  let timer: ReturnType<typeof setTimeout>;
  const awake = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      isIdle = true;
      tell(true);
    }, IDLE_AFTER_MS);
    if (isIdle) tell(false);
    isIdle = false;
  };
  for (const sign of SIGNS) addEventListener(sign, awake, { passive: true });
  awake();
}
