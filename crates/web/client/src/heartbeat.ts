// Owns telling a dead connection from a silent one: keep-alives out, a probe after silence, then the verdict.

const TICK_MS = 5_000;
const KEEP_ALIVE_MS = 30_000;
const PROBE_AFTER_MS = 45_000;
/** After a probe; 45 s of silence and this make the 65 s after which a connection is given up. */
const PATIENCE_MS = 20_000;
/** When a page woke up its user is looking, so it gets a quicker verdict. */
const SHORT_PATIENCE_MS = 4_000;

export interface HeartbeatActions {
  keepAlive(): void;
  probe(): void;
  dead(): void;
}

export class Heartbeat {
  private timer: ReturnType<typeof setInterval> | undefined;
  private urgent: ReturnType<typeof setTimeout> | undefined;
  private receivedAt = 0;
  private probedAt = 0;
  private keptAliveAt = 0;

  constructor(private readonly actions: HeartbeatActions) {}

  start(): void {
    this.stop();
    this.receivedAt = this.keptAliveAt = Date.now();
    this.probedAt = 0;
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.timer);
    clearTimeout(this.urgent);
    this.timer = this.urgent = undefined;
  }

  received(): void {
    this.receivedAt = Date.now();
    this.probedAt = 0;
    clearTimeout(this.urgent);
    this.urgent = undefined;
  }

  probeNow(): void {
    if (this.timer === undefined || this.urgent !== undefined) return;
    this.actions.probe();
    this.urgent = setTimeout(() => this.actions.dead(), SHORT_PATIENCE_MS);
  }

  private tick(): void {
    const now = Date.now();
    if (now - this.keptAliveAt >= KEEP_ALIVE_MS) {
      this.keptAliveAt = now;
      this.actions.keepAlive();
    }
    // Measured from the probe, not from the last frame: a sleeping page's timers stop while the server stays well.
    if (this.probedAt > 0) {
      if (now - this.probedAt >= PATIENCE_MS) this.actions.dead();
    } else if (now - this.receivedAt >= PROBE_AFTER_MS) {
      this.probedAt = now;
      this.actions.probe();
    }
  }
}
