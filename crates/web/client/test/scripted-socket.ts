// Owns a WebSocket whose other end is the test: it records what is sent and delivers what the test says.
import { vi } from "vitest";
import { Chat, type ChatOptions } from "../src/chat.ts";
import type { SavedSession } from "../src/connection.ts";

export type Header = { action: string } & Record<string, unknown>;

export class ScriptedSocket {
  static opened: ScriptedSocket[] = [];
  static readonly OPEN = 1;
  readyState = 0;
  binaryType = "blob";
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string | ArrayBuffer }) => void) | null = null;
  onclose: (() => void) | null = null;
  readonly frames: string[] = [];

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    ScriptedSocket.opened.push(this);
  }

  static get latest(): ScriptedSocket {
    return ScriptedSocket.opened.at(-1)!;
  }

  /** The actions sent on this socket, without payload and keep-alive frames. */
  get actions(): Header[] {
    return this.frames.filter((frame) => frame.includes('"action"')).map((frame) => JSON.parse(frame) as Header);
  }

  named(action: string): Header[] {
    return this.actions.filter((header) => header.action === action);
  }

  send(frame: string): void {
    this.frames.push(frame);
  }

  close(): void {
    this.readyState = 3;
  }

  accept(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  /** The network takes the connection away. */
  cut(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  event(event: string, params: object = {}, ...payload: unknown[]): void {
    const frames = payload.length > 0 ? { frames: payload.length } : {};
    this.frame(JSON.stringify({ event, ...params, ...frames }));
    for (const part of payload) this.frame(JSON.stringify(part));
  }

  frame(data: string | ArrayBuffer): void {
    this.onmessage?.({ data });
  }
}

export class MemoryStore {
  constructor(public saved: SavedSession | null = null) {}
  load(): SavedSession | null {
    return this.saved;
  }
  save(session: SavedSession | null): void {
    this.saved = session && structuredClone(session);
  }
}

export const CHANNEL = {
  channel_id: "c1",
  channel_attrs: { name: "Help", queue_id: "q1", audience_id: "a1" },
  channel_members: {
    me: { user_attrs: { name: "Ann" }, member_attrs: {} },
    you: { user_attrs: { name: "Bo", connected: true }, member_attrs: {} },
  },
};

export function useScriptedSocket(): void {
  ScriptedSocket.opened = [];
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", ScriptedSocket);
}

export function makeChat(options: Partial<ChatOptions> = {}): Chat {
  return new Chat({ url: "ws://host/v2/socket", credentials: () => ({}), ...options });
}

/** A chat with a session and the conversation `c1`, whose history is loaded and empty. */
export async function chatInConversation(options: Partial<ChatOptions> = {}): Promise<Chat> {
  const chat = makeChat(options);
  chat.start();
  const socket = ScriptedSocket.latest;
  socket.accept();
  socket.event("session_created", { event_id: 1, session_id: "s1", user_id: "me", user_attrs: { name: "Ann" } });
  socket.event("channel_joined", { event_id: 2, ...CHANNEL });
  const [history] = socket.named("load_history");
  socket.event("history_results", { event_id: 3, action_id: history!.action_id, history_length: 0 });
  await vi.advanceTimersByTimeAsync(0);
  return chat;
}

export function textMessage(id: string, author: string, more: object = {}): object {
  return {
    channel_id: "c1",
    message_id: id,
    message_time: Number(id),
    message_type: "ninchat.com/text",
    message_user_id: author,
    ...more,
  };
}

export function texts(chat: Chat): unknown[] {
  return chat.state.value.conversations.c1!.messages.map((message) => message.content.text);
}
