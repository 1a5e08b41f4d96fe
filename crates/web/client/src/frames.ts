// Owns the framing: an action or event is a JSON header frame, then as many payload frames as its `frames` says.
import type { WireEvent } from "./wire.ts";

export type Frame = string | ArrayBuffer;

const decoder = new TextDecoder();

export function frameText(frame: Frame): string {
  return typeof frame === "string" ? frame : decoder.decode(frame);
}

function isEmpty(frame: Frame): boolean {
  return typeof frame === "string" ? frame.length === 0 : frame.byteLength === 0;
}

/** Puts a connection's frames together again. One instance per connection. */
export class Deframer {
  private header: WireEvent | null = null;
  private payload: Frame[] = [];
  private missing = 0;

  constructor(private readonly deliver: (event: WireEvent, payload: Frame[]) => void) {}

  push(frame: Frame): void {
    if (this.header) {
      // Payload frames may be empty, so only frames between events can be keep-alives.
      this.payload.push(frame);
      if (--this.missing === 0) this.finish(this.header);
      return;
    }
    if (isEmpty(frame)) return;
    const header = JSON.parse(frameText(frame)) as WireEvent;
    this.missing = header.frames ?? 0;
    this.payload = [];
    if (this.missing > 0) this.header = header;
    else this.finish(header);
  }

  private finish(header: WireEvent): void {
    const payload = this.payload;
    this.header = null;
    this.payload = [];
    this.deliver(header, payload);
  }
}

/** The first payload part as JSON; null when there is none or it isn't JSON. */
export function payloadJson(payload: Frame[]): unknown {
  const part = payload[0];
  if (part === undefined) return null;
  try {
    return JSON.parse(frameText(part));
  } catch {
    return null;
  }
}
