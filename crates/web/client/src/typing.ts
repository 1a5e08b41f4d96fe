// Owns when to tell others that this user is writing: once at the start, and once at the end or after a long pause.

const PAUSE_MS = 30_000;

export class Typing {
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(private readonly tell: (channelId: string, writing: boolean) => void) {}

  typed(channelId: string): void {
    const before = this.timers.get(channelId);
    clearTimeout(before);
    this.timers.set(
      channelId,
      setTimeout(() => this.stop(channelId), PAUSE_MS),
    );
    if (before === undefined) this.tell(channelId, true);
  }

  stop(channelId: string): void {
    const timer = this.timers.get(channelId);
    if (timer === undefined) return;
    clearTimeout(timer);
    this.timers.delete(channelId);
    this.tell(channelId, false);
  }

  reset(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }
}
